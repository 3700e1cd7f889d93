import Foundation

/// Answers requests for scores with a model, in batches of bounded size.
public struct Scorer {
  private let language: LanguageModel
  /// Bytes that a forest may take; `nil` for what the machine has left.
  private let memory: Int?

  public init(_ language: LanguageModel, memory: Int? = nil) {
    self.language = language
    self.memory = memory
  }

  /// Rows of a forest, unless one sequence or prompt alone has more.
  private static let rowsAtOnce = 2048
  /// Prompts of a forest: each has flows over the whole catalogue.
  private static let promptsAtOnce = 16

  /// Answers the request in the file `input` with a model directory (a checkpoint, a run), which needs no `flower.json`.
  /// - Parameter arithmetic: how its matrices are multiplied; `nil` takes that of the run's recipe, or ``Arithmetic/fma``.
  /// - Throws: `FlowerError` as of ``ScoreRequest`` and ``score(_:)``, and of kind `data` for the model's files.
  public static func result(model: String, input: String, arithmetic: Arithmetic? = nil) throws -> ScoreResult {
    let directory = try ServedModel.modelDirectory(model)
    let source = try ModelSource(directory)
    let request = try ScoreRequest(contentsOf: input, vocabularySize: source.configuration.vocabularySize)
    let transformer = try Transformer.read(source).transformer
    transformer.arithmetic = try arithmetic ?? Arithmetic.ofRun(model)
    return try Scorer(LanguageModel(transformer)).score(request)
  }

  /// - Throws: `FlowerError` of kind `data` if a sequence, or a prompt with its titles, does not fit into memory; of kind
  ///   `diverged` if a loss, a residual or a gradient is not finite or a log-probability no number.
  public func score(_ request: ScoreRequest) throws -> ScoreResult {
    var result = ScoreResult()
    if let sequences = request.sequences {
      result.sequences = try score(sequences, top: request.top) { "\(request.file): sequences[\($0)]" }
    }
    if let trajectories = request.trajectories {
      let gradient = request.gradients ? FloatArena(count: language.transformer.trainable.list.count) : nil
      result.trajectories = try score(trajectories, into: gradient)
    }
    return result
  }

  // MARK: - Sequences

  private func score(
    _ sequences: [[Int32]], top: Int, place: (Int) -> String
  ) throws -> [ScoreResult.Sequence] {
    let sizes = sequences.map { ForestSize(sequence: $0.count) }
    return try batches(sizes, limit: sequences.count, training: false, place: place).flatMap { batch in
      // A last token is only predicted: it needs no row.
      var forest = Forest()
      for tokens in sequences[batch] where tokens.count > 1 {
        let start = forest.rowCount
        _ = forest.addTrunk(tokens.dropLast())
        for row in start..<forest.rowCount { forest.read(row) }
      }
      let scores = try score(forest, following: sequences[batch].flatMap { $0.dropFirst() }, top: top)
      var next = 0
      return sequences[batch].map { tokens in
        let range = next..<next + tokens.count - 1
        next = range.upperBound
        return ScoreResult.Sequence(
          logProbabilities: Array(scores.logProbabilities[range]), top: top > 0 ? Array(scores.best[range]) : nil)
      }
    }
  }

  /// The log-probability of the token that follows each output, and the `top` most probable ones.
  private func score(
    _ forest: Forest, following tokens: [Int32], top: Int
  ) throws -> (logProbabilities: [Double], best: [[(token: Int, logProbability: Double)]]) {
    if tokens.isEmpty { return ([], []) }
    var readouts = Readouts()
    if top == 0 {
      for (query, token) in tokens.enumerated() {
        _ = readouts.add(query: query, set: readouts.addSet([token]), support: .vocabulary)
      }
      return (try compute(forest, readouts, training: false), [])
    }
    // The distributions have both, so that nothing is to be read besides.
    var logProbabilities: [Double] = []
    var best: [[(token: Int, logProbability: Double)]] = []
    _ = try compute(forest, readouts, training: false)
    language.forEachDistribution(forest) { query, distribution in
      logProbabilities.append(distribution[Int(tokens[query])])
      best.append(distribution.indicesOfLargest(top).map { ($0, distribution[$0]) })
    }
    try check(logProbabilities)
    return (logProbabilities, best)
  }

  // MARK: - Trajectories

  /// Adds the gradient of the loss to `gradient`, if there is one.
  func score(_ request: TrajectoryRequest, into gradient: FloatArena?) throws -> ScoreResult.Trajectories {
    let objective = TrainingObjective(request.objective, supervisedScale: 1)
    let shared = TokenRewards(request.tree, request.rewards)
    let sizes = request.prompts.map { prompt in
      ForestSize(prompt: prompt.tokens.count, request.tree, Self.titles(of: prompt, request.objective))
    }
    let batches = try batches(sizes, limit: Self.promptsAtOnce, training: gradient != nil) {
      request.prompts[$0].place + " with its titles"
    }
    var prompts: [ScoreResult.Prompt] = []
    for batch in batches {
      let (titles, scored) = try forest(request, batch, shared, training: gradient != nil)
      let output = objective.evaluate(scored, scale: 1 / Double(request.prompts.count))
      if let gradient, titles.readouts.count > 0 {
        language.backward(titles.forest, titles.readouts, gradient: output.gradient, into: gradient)
      }
      for (index, prompt) in scored.prompts.enumerated() {
        prompts.append(Self.result(prompt, index, output, scored, objective))
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
    if let divergence = result.divergence { throw FlowerError(.diverged, "\(divergence) is not finite") }
    return result
  }

  /// The titles of a prompt's forest, each once for what it is there for.
  private static func titles(
    of prompt: TrajectoryRequest.Prompt, _ objective: Recipe.Objective
  ) -> [(leaf: Int, support: Recipe.Objective.Support)] {
    prompt.distinctLeaves.map { ($0, objective.support) } + (prompt.target.map { [($0, objective.sftSupport)] } ?? [])
  }

  /// The forest of some prompts and their trajectories; what SFT imitates are the trajectories where it is all there is.
  private func forest(
    _ request: TrajectoryRequest, _ batch: Range<Int>, _ shared: TokenRewards, training: Bool
  ) throws -> (TitleForest, ScoredForest) {
    let o = request.objective
    var titles = TitleForest(request.tree)
    for (index, prompt) in request.prompts[batch].enumerated() {
      _ = titles.addPrompt(prompt.tokens)
      for title in Self.titles(of: prompt, o) {
        titles.addTitle(prompt: index, leaf: title.leaf, support: title.support)
      }
    }
    let prompts = request.prompts[batch].enumerated().map { index, prompt in
      let byLeaf = Dictionary(
        uniqueKeysWithValues: prompt.distinctLeaves.map {
          ($0, Trajectory(leaf: $0, prompt: index, in: titles, support: o.support))
        })
      let trajectories = prompt.leaves.map { byLeaf[$0]! }
      let targets = prompt.target.map { [Trajectory(leaf: $0, prompt: index, in: titles, support: o.sftSupport)] }
      return ScoredPrompt(
        trajectories: trajectories, targets: o.name == .sft ? trajectories : targets ?? [],
        rewards: prompt.rewards.map { TokenRewards(request.tree, $0) } ?? shared)
    }
    let logProbabilities = try compute(titles.forest, titles.readouts, training: training)
    return (titles, ScoredForest(logProbabilities: logProbabilities, prompts: prompts))
  }

  private static func result(
    _ prompt: ScoredPrompt, _ index: Int, _ output: ObjectiveOutput, _ scored: ScoredForest,
    _ objective: TrainingObjective
  ) -> ScoreResult.Prompt {
    let logProbabilities = scored.logProbabilities
    func negativeSum(_ trajectory: Trajectory) -> Double { -trajectory.logPolicy(logProbabilities).reduce(0, +) }
    let losses = objective.flow == nil ? prompt.trajectories.map(negativeSum) : output.flowByTrajectory[index]
    var result = ScoreResult.Prompt(
      loss: output.losses[index],
      trajectories: zip(prompt.trajectories, losses).map { trajectory, loss in
        Self.result(trajectory, loss: loss, logProbabilities, prompt.rewards, objective)
      })
    if objective.flow != nil, let target = prompt.targets.first {
      result.flowLoss = output.flow[index]
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
    if forest.queryCount == 0 { return [] }
    language.begin(rows: forest.rowCount, queries: forest.queryCount, training: training)
    let logProbabilities = language.score(forest, readouts)
    try check(logProbabilities)
    return logProbabilities
  }

  private func check(_ logProbabilities: [Double]) throws {
    guard !logProbabilities.contains(where: \.isNaN) else {
      throw FlowerError(.diverged, "the model's log-probabilities are not numbers: its activations overflow")
    }
  }

  /// Neighbours that are computed together: at most `limit` of them, of as many rows as are allowed at once and fit.
  /// - Throws: `FlowerError` of kind `data` if one alone does not fit into memory; `place` is what it is called.
  private func batches(
    _ sizes: [ForestSize], limit: Int, training: Bool, place: (Int) -> String
  ) throws -> [Range<Int>] {
    let gradient = training ? language.transformer.trainable.list.count * MemoryLayout<Float>.stride : 0
    let memory = memory ?? max(0, MachineMemory.left - gradient)
    var batches: [Range<Int>] = []
    var total = ForestSize()
    for (index, size) in sizes.enumerated() {
      let bytes = size.bytes(language.configuration, training: training, language.transformer.arithmetic)
      guard bytes <= memory else {
        throw FlowerError(
          .data,
          "\(place(index)) needs \(Self.megabytes(bytes)) of memory, but there are \(Self.megabytes(memory));"
            + " expected less at once")
      }
      let sum = total + size
      if let last = batches.last, last.count < limit, sum.rows <= Self.rowsAtOnce,
        sum.bytes(language.configuration, training: training, language.transformer.arithmetic) <= memory
      {
        batches[batches.count - 1] = last.lowerBound..<index + 1
        total = sum
      } else {
        batches.append(index..<index + 1)
        total = size
      }
    }
    return batches
  }

  private static func megabytes(_ bytes: Int) -> String {
    "\(NumberText.grouped(Double((bytes + 999_999) / 1_000_000))) MB"
  }
}
