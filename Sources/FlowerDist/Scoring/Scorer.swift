import Foundation

/// Answers requests for scores with a model, in batches of bounded size.
public struct Scorer {
  private let language: LanguageModel

  public init(_ language: LanguageModel) { self.language = language }

  /// Rows of a forest, unless one sequence or prompt alone has more.
  private static let rowsAtOnce = 2048
  /// Prompts of a forest: each has flows over the whole catalogue.
  private static let promptsAtOnce = 16

  /// Answers the request in the file `input` with a model directory (a checkpoint, a run), which needs no `flower.json`.
  /// - Throws: `FlowerError` as of ``ScoreRequest`` and ``score(_:)``, and of kind `data` for the model's files.
  public static func result(model: String, input: String) throws -> ScoreResult {
    let directory = try ServedModel.modelDirectory(model)
    let source = try ModelSource(directory)
    let request = try ScoreRequest(contentsOf: input, vocabularySize: source.configuration.vocabularySize)
    let transformer = try Transformer.read(source).transformer
    return try Scorer(LanguageModel(transformer)).score(request)
  }

  /// - Throws: `FlowerError` of kind `diverged` if a loss or a gradient is not finite or a log-probability no number.
  public func score(_ request: ScoreRequest) throws -> ScoreResult {
    var result = ScoreResult()
    if let sequences = request.sequences { result.sequences = try score(sequences, top: request.top) }
    if let trajectories = request.trajectories {
      let gradient = request.gradients ? FloatArena(count: language.transformer.trainable.list.count) : nil
      result.trajectories = try score(trajectories, into: gradient)
    }
    return result
  }

  // MARK: - Sequences

  private func score(_ sequences: [[Int32]], top: Int) throws -> [ScoreResult.Sequence] {
    try Self.batches(sequences.map(\.count), limit: sequences.count).flatMap { batch -> [ScoreResult.Sequence] in
      var forest = Forest()
      var readouts = Readouts()
      // A last token is only predicted: it needs no row.
      for tokens in sequences[batch] where tokens.count > 1 {
        let start = forest.rowCount
        _ = forest.addTrunk(tokens.dropLast())
        for (index, token) in tokens.dropFirst().enumerated() {
          _ = readouts.add(query: forest.read(start + index), set: readouts.addSet([token]), support: .vocabulary)
        }
      }
      let logProbabilities = try compute(forest, readouts, training: false)
      var best: [[(token: Int, logProbability: Double)]] = []
      if top > 0, forest.queryCount > 0 {
        language.forEachDistribution(forest) { _, logProbabilities in
          best.append(
            Evaluator.top(logProbabilities, count: top).map { (token: Int($0.leaf), logProbability: $0.logProbability) }
          )
        }
      }
      var next = 0
      return sequences[batch].map { tokens in
        let range = next..<next + tokens.count - 1
        next = range.upperBound
        return .init(logProbabilities: Array(logProbabilities[range]), top: top > 0 ? Array(best[range]) : nil)
      }
    }
  }

  // MARK: - Trajectories

  /// Adds the gradient of the loss to `gradient`, if there is one.
  func score(_ request: TrajectoryRequest, into gradient: FloatArena?) throws -> ScoreResult.Trajectories {
    let objective = TrainingObjective(request.objective, supervisedScale: 1)
    let shared = TokenRewards(request.tree, request.rewards)
    let rows = request.prompts.map { prompt in
      prompt.tokens.count + prompt.leaves.reduce(0) { $0 + Int(request.tree.depth[Int(request.tree.leafNode[$1])]) }
    }
    var prompts: [ScoreResult.Prompt] = []
    for batch in Self.batches(rows, limit: Self.promptsAtOnce) {
      let (titles, scored) = try forest(request, batch, shared, training: gradient != nil)
      let output = objective.evaluate(scored, scale: 1 / Double(request.prompts.count))
      if let gradient, titles.readouts.count > 0 {
        language.backward(titles.forest, titles.readouts, gradient: output.gradient, into: gradient)
      }
      for (index, prompt) in scored.prompts.enumerated() {
        prompts.append(Self.result(prompt, loss: output.losses[index], scored, objective))
      }
    }
    var result = ScoreResult.Trajectories(
      loss: prompts.reduce(0) { $0 + $1.loss } / Double(prompts.count), prompts: prompts, isList: request.isList)
    result.gradientNorms = gradient.map { gradient in
      language.transformer.trainable.list.parameters.map { parameter in
        let squares = gradient.view(parameter.range).reduce(0) { $0 + Double($1) * Double($1) }
        return (parameter.name, squares.squareRoot())
      }
    }
    guard result.loss.isFinite, result.gradientNorms?.allSatisfy(\.norm.isFinite) ?? true else {
      throw FlowerError(
        .diverged, "the \(result.loss.isFinite ? "gradient" : "loss") of the trajectories is not finite")
    }
    return result
  }

  /// The forest of some prompts and their trajectories; what SFT imitates are the trajectories where it is all there is.
  private func forest(
    _ request: TrajectoryRequest, _ batch: Range<Int>, _ shared: TokenRewards, training: Bool
  ) throws -> (TitleForest, ScoredForest) {
    let o = request.objective
    var titles = TitleForest(request.tree)
    for (index, prompt) in request.prompts[batch].enumerated() {
      _ = titles.addPrompt(prompt.tokens)
      for leaf in prompt.leaves { titles.addTitle(prompt: index, leaf: leaf, support: o.support) }
      if let target = prompt.target { titles.addTitle(prompt: index, leaf: target, support: o.sftSupport) }
    }
    let prompts = request.prompts[batch].enumerated().map { index, prompt in
      let trajectories = prompt.leaves.map {
        Trajectory(leaf: $0, prompt: index, in: titles, support: o.support)
      }
      let targets = prompt.target.map { [Trajectory(leaf: $0, prompt: index, in: titles, support: o.sftSupport)] }
      return ScoredPrompt(
        trajectories: trajectories, targets: o.name == .sft ? trajectories : targets ?? [],
        rewards: prompt.rewards.map { TokenRewards(request.tree, $0) } ?? shared)
    }
    let logProbabilities = try compute(titles.forest, titles.readouts, training: training)
    return (titles, ScoredForest(logProbabilities: logProbabilities, prompts: prompts))
  }

  private static func result(
    _ prompt: ScoredPrompt, loss: Double, _ scored: ScoredForest, _ objective: TrainingObjective
  ) -> ScoreResult.Prompt {
    let logProbabilities = scored.logProbabilities
    func negativeSum(_ trajectory: Trajectory) -> Double { -trajectory.logPolicy(logProbabilities).reduce(0, +) }
    let losses =
      objective.flow == nil
      ? prompt.trajectories.map(negativeSum) : objective.flowLosses(prompt, in: scored)
    var result = ScoreResult.Prompt(
      loss: loss,
      trajectories: zip(prompt.trajectories, losses).map { trajectory, loss in
        Self.result(trajectory, loss: loss, logProbabilities, prompt.rewards, objective)
      })
    if objective.flow != nil, let target = prompt.targets.first {
      result.flowLoss = losses.reduce(0, +) / Double(losses.count)
      result.supervised = .init(logPolicy: target.logPolicy(logProbabilities), loss: negativeSum(target))
    }
    return result
  }

  private static func result(
    _ trajectory: Trajectory, loss: Double, _ logProbabilities: [Double], _ rewards: TokenRewards,
    _ objective: TrainingObjective
  ) -> ScoreResult.Trajectory {
    var residuals: [Double]?
    if case .balance = objective.flow {
      residuals = objective.network.residuals(trajectory, logProbabilities, rewards)
    }
    return .init(
      logPolicy: trajectory.logPolicy(logProbabilities),
      // Where ⊤ was not read it is the only option or none.
      logTerminate: trajectory.transitions.map { transition in
        transition.terminatorScore.map { logProbabilities[$0] }
          ?? (rewards.tree.leaf[transition.node] >= 0 ? 0 : -.infinity)
      },
      logTokenReward: rewards.logRewards(toLeaf: trajectory.leaf),
      logFlow: rewards.logFlows(toLeaf: trajectory.leaf),
      logReward: objective.network.logStateRewards(trajectory, rewards), residuals: residuals, loss: loss)
  }

  // MARK: - Both

  private func compute(_ forest: Forest, _ readouts: Readouts, training: Bool) throws -> [Double] {
    if readouts.count == 0 { return [] }
    language.begin(rows: forest.rowCount, queries: forest.queryCount, training: training)
    let logProbabilities = language.score(forest, readouts)
    guard !logProbabilities.contains(where: \.isNaN) else {
      throw FlowerError(.diverged, "the model's log-probabilities are not numbers: its activations overflow")
    }
    return logProbabilities
  }

  /// Neighbours that are computed together: at most `limit` of them, and of so many rows as are allowed at once.
  private static func batches(_ rows: [Int], limit: Int) -> [Range<Int>] {
    var batches: [Range<Int>] = []
    var total = 0
    for (index, rows) in rows.enumerated() {
      total += rows
      if let last = batches.last, total <= rowsAtOnce, last.count < limit {
        batches[batches.count - 1] = last.lowerBound..<index + 1
      } else {
        batches.append(index..<index + 1)
        total = rows
      }
    }
    return batches
  }
}
