/// What one training step measured: a line of `metrics.jsonl`.
public struct StepLine: Equatable, Sendable {
  /// Counted from 1.
  public var step: Int
  /// The training loss, a mean over the global batch.
  public var loss: Double
  /// The supervised part before weighting, where there is one.
  public var sftLoss: Double?
  /// The balance part before weighting, where there is one.
  public var flowLoss: Double?
  /// Global gradient norm before clipping.
  public var gradNorm: Double
  public var learningRate: Double
  /// Rows (tokens) computed by all ranks in this step.
  public var tokens: Int
  /// Trajectories drawn by all ranks in this step.
  public var trajectories: Int
  /// Steps that the weights behind the policy's trajectories were behind, where samplers wrote them.
  public var trajectoryAge: Int?
  /// Training time from step 1 to the end of this step, over all attempts.
  public var seconds: Double
  /// Steps so far that updated nothing because their loss or gradient was not finite.
  public var skippedSteps: Int

  /// Whether this is one of them.
  public var isSkipped: Bool { !loss.isFinite || !gradNorm.isFinite }

  public init(
    step: Int, loss: Double, sftLoss: Double? = nil, flowLoss: Double? = nil, gradNorm: Double, learningRate: Double,
    tokens: Int, trajectories: Int, trajectoryAge: Int? = nil, seconds: Double, skippedSteps: Int = 0
  ) {
    self.step = step
    self.loss = loss
    self.sftLoss = sftLoss
    self.flowLoss = flowLoss
    self.gradNorm = gradNorm
    self.learningRate = learningRate
    self.tokens = tokens
    self.trajectories = trajectories
    self.trajectoryAge = trajectoryAge
    self.seconds = seconds
    self.skippedSteps = skippedSteps
  }

  /// Numbers that are not finite are written as `null`.
  public var json: JSON {
    var members = [JSON.Member("step", JSON(step)), JSON.Member("loss", JSON(loss))]
    if let sftLoss { members.append(JSON.Member("sft_loss", JSON(sftLoss))) }
    if let flowLoss { members.append(JSON.Member("flow_loss", JSON(flowLoss))) }
    members += [
      JSON.Member("grad_norm", JSON(gradNorm)),
      JSON.Member("learning_rate", JSON(learningRate)),
      JSON.Member("tokens", JSON(tokens)),
      JSON.Member("trajectories", JSON(trajectories)),
      JSON.Member("seconds", JSON(seconds)),
    ]
    if let trajectoryAge { members.append(JSON.Member("trajectory_age", JSON(trajectoryAge))) }
    if skippedSteps > 0 { members.append(JSON.Member("skipped_steps", JSON(skippedSteps))) }
    return .object(members)
  }

  /// - Throws: `FlowerError` naming the place and the field.
  public init(json: JSON, place: String) throws {
    let record = try JSONRecord(json, place: place)
    step = try record.count("step")
    loss = try record.doubleOrNull("loss", null: .nan)
    sftLoss = try record.optionalDouble("sft_loss")
    flowLoss = try record.optionalDouble("flow_loss")
    gradNorm = try record.doubleOrNull("grad_norm", null: .nan)
    learningRate = try record.double("learning_rate")
    tokens = try record.count("tokens")
    trajectories = try record.count("trajectories")
    trajectoryAge = record.has("trajectory_age") ? try record.count("trajectory_age") : nil
    seconds = try record.double("seconds")
    skippedSteps = record.has("skipped_steps") ? try record.count("skipped_steps") : 0
  }
}

/// What a validation measured: a line of `metrics.jsonl`.
public struct ValidationLine: Equatable, Sendable {
  /// The training step after which it ran.
  public var step: Int
  /// In the order of the file.
  public var metrics: [Metric]

  public init(step: Int, metrics: [Metric]) {
    self.step = step
    self.metrics = metrics
  }

  /// `{"step": 200, "validation": {"loss": 1.2, "hr@10": 0.1}}`; standard errors are not kept.
  public var json: JSON {
    ["step": JSON(step), "validation": .object(metrics.map { JSON.Member($0.name, JSON($0.value)) })]
  }

  /// - Throws: `FlowerError` naming the place and the field.
  public init(json: JSON, place: String) throws {
    let record = try JSONRecord(json, place: place)
    step = try record.count("step")
    let members = try record.required("validation", "an object of at most \(Metric.limit) metrics") { json in
      json.object.flatMap { $0.count <= Metric.limit ? $0 : nil }
    }
    metrics = try members.map { member in
      guard let value = member.value.isNull ? .nan : member.value.double else {
        throw FlowerError(.data, "\(place): \(member.key.quoted): expected a number, found \(member.value.kind)")
      }
      return Metric(member.key, value)
    }
  }
}
