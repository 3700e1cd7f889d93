import FlowerDist

/// Run directories as training and evaluation leave them, and rows of a sweep.
enum SampleRun {
  /// The files of a run of next items: three steps, two validations, both kinds of lists.
  static func nextItems(_ name: String, seed: UInt64, parts: Bool) -> [String: [UInt8]] {
    let steps = (1...3).map { step in
      StepLine(
        step: step, loss: 4 / Double(step), sftLoss: parts ? 1 : nil, flowLoss: parts ? 9 / Double(step) : nil,
        gradNorm: 1,
        learningRate: 1e-3, tokens: 100, trajectories: 8, seconds: Double(step) / 4, skippedSteps: step / 3
      ).json
    }
    let validations = (1...2).map {
      ValidationLine(step: $0, metrics: [Metric("loss", 2), Metric("ndcg@10", 0.1)]).json
    }
    return [
      "config.yaml": Array(recipe(name, seed: seed).yaml.utf8),
      "environment.json": environment,
      "metrics.jsonl": lines(steps + validations),
      "evaluation.json": evaluation(name, ranks: "03k1").serialized(pretty: true),
    ]
  }

  /// The files of a run without histories.
  static func distribution(_ name: String) -> [String: [UInt8]] {
    let audit = AuditReport(
      policy: [0.5, 0.3, 0.2, 0], target: [4, 3, 2, 1], titles: ["One", "Two", "Three", "Four"], counts: [3, 2, 1, 0],
      perPrompt: [Metric("js", 0.1, standardError: 0.01)],
      groups: .init(policy: [0.8, 0.2], target: [0.7, 0.3], training: [0.6, 0.4], personal: [0.5, 0.5]))
    let step = StepLine(
      step: 1, loss: 2, flowLoss: 2, gradNorm: 1, learningRate: 1e-3, tokens: 100, trajectories: 8, seconds: 0.5)
    return [
      "config.yaml": Array(recipe(name, seed: 1).yaml.utf8), "metrics.jsonl": lines([step.json]),
      "audit.json": audit.json.serialized(),
    ]
  }

  private static func recipe(_ name: String, seed: UInt64) -> Recipe {
    var recipe = Recipe()
    recipe.name = name
    recipe.data.generated = 20
    recipe.training.steps = 3
    recipe.training.seed = seed
    return recipe
  }

  private static func lines(_ lines: [JSON]) -> [UInt8] { lines.flatMap { $0.serialized() + [0x0A] } }

  private static let environment = Array(
    #"""
    {"git_revision": null, "cpu": "x", "cores": 2, "hosts": ["a", "b"], "threads": {"a": 1}, "started":
    "2026-01-02T03:04:05Z", "data_sha256": "abababababababababababababababababababababababababababababababab"}
    """#.utf8)

  /// The model's lists of both kinds, and popularity's.
  ///
  /// - Parameter ranks: of the targets of four examples, two of each user.
  private static func evaluation(_ name: String, ranks: String) -> JSON {
    func row(_ name: String, isReference: Bool = false, lists: EvaluationReport.Lists = .topK, hr: Double) -> JSON {
      let report = EvaluationReport(
        name: name, isReference: isReference, lists: lists, examples: 4,
        metrics: [
          Metric("hr@10", hr, standardError: 0.007), Metric("ndcg@10", hr / 2), Metric("dgu@10", 0.5),
          Metric("coverage@10", 17), Metric("kl", .infinity),
        ],
        groupShares: [.init(cutoff: 10, recommended: [0.7, 0.3], training: [0.5, 0.5])])
      let targets: JSON = lists == .topK ? ["ranks": .string(ranks), "users": [2, 2]] : nil
      return .object((report.json.object ?? []).map { $0.key == "targets" ? JSON.Member($0.key, targets) : $0 })
    }
    return [
      row(name, hr: Double(name.utf8.count) / 100), row(name, lists: .sampled, hr: 0.1),
      row("popularity", isReference: true, hr: 0.04),
    ]
  }

  /// Far more of something than a run has: metrics, rows, groups, validations, items or steps.
  static func many(_ random: inout FuzzRandom) -> [UInt8] {
    let count = 1 + random.length(1 << 12)
    func row(_ name: String, _ metrics: Int, groups: Int = 2) -> JSON {
      let shares = [Double](repeating: 0.5, count: groups)
      return EvaluationReport(
        name: name, isReference: random.chance(1, in: 2), lists: .topK, examples: 4,
        metrics: (0..<metrics).map { Metric("m\(name)-\($0)", 1) },
        groupShares: [.init(cutoff: 10, recommended: shares, training: shares)]
      ).json
    }
    switch random.below(6) {
    case 0: return JSON([row("x", count)]).serialized()
    case 1: return JSON((0..<count).map { row("\($0)", 1 + random.below(3)) }).serialized()
    case 2: return JSON([row("x", 1, groups: count)]).serialized()
    case 3:
      return lines(
        (1...count).map { ValidationLine(step: $0, metrics: [Metric("m\($0)", 1), Metric("loss", 1)]).json })
    case 4:
      let shares = [Double](repeating: 1, count: count)
      return AuditReport(policy: shares, target: shares, titles: shares.indices.map { "\($0)" }, counts: shares).json
        .serialized()
    default:
      return lines(
        (1...count).map { step in
          StepLine(
            step: step, loss: 1, sftLoss: 1, flowLoss: 1, gradNorm: 1, learningRate: 1, tokens: 1, trajectories: 1,
            seconds: 1
          ).json
        })
    }
  }

  /// A row of a sweep over theta: of one seed, measured on both splits.
  static func row(theta: String, seed: UInt64, position: Int) -> JSON {
    let ranks = seed == 1 ? "03k1" : "0010"
    return [
      "format_version": 1, "run": .string(runName(theta: theta, seed: seed)), "recipe": "flower",
      "setting": ["theta": .string(theta)], "seed": JSON(seed), "position": JSON(position), "status": "finished",
      "recipe_values": ["data.path": "\"data\"", "training.steps": "3"], "data_sha256": "ab", "steps": 3,
      "seconds": 1.5, "tokens": 300, "trajectories": 24, "checkpoint": "step-00000003", "environment": ["cpu": "x"],
      "evaluation": ["valid": evaluation("flower", ranks: ranks), "test": evaluation("flower", ranks: ranks)],
    ]
  }

  /// A row of a run that diverged.
  static func divergedRow(theta: String, seed: UInt64, position: Int) -> JSON {
    let members = (row(theta: theta, seed: seed, position: position).object ?? []).filter { $0.key != "evaluation" }
    return .object(
      members.map { $0.key == "status" ? JSON.Member("status", "diverged") : $0 }
        + [JSON.Member("message", "step 3: the loss is not finite")])
  }

  /// A row of data without histories.
  static func auditedRow(theta: String, seed: UInt64, position: Int) -> JSON {
    let members = (row(theta: theta, seed: seed, position: position).object ?? []).filter { $0.key != "evaluation" }
    return .object(
      members + [JSON.Member("audit", [["name": "total_variation", "value": 0.1], ["name": "kl", "value": nil]])])
  }

  static func runName(theta: String, seed: UInt64) -> String { "flower_theta=\(theta)_seed=\(seed)" }
}
