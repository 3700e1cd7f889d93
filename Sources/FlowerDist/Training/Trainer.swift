/// One training step after another: the same bits on any number of ranks.
public final class Trainer {
  public let recipe: Recipe
  public let catalogue: Catalogue
  public let language: LanguageModel
  public let totalSteps: Int
  /// Steps done.
  public private(set) var step = 0
  /// Training seconds of all attempts.
  public private(set) var seconds = 0.0
  /// How far the schedule of the trajectories' sources is.
  private(set) var progress = Recipe.Mixture.Progress()
  /// The same on every rank; empty unless the recipe replays.
  private(set) var replay: ReplayBuffer

  let communicator: any Communicator
  let reducer: GradientReducer
  let optimizer: AdamW
  let worker: GrainWorker
  private var stream: ExampleStream
  private let clock = ContinuousClock()

  init(
    _ recipe: Recipe, _ catalogue: Catalogue, _ language: LanguageModel, _ communicator: any Communicator,
    reference: ReferenceModel? = nil
  ) throws {
    if communicator.size > recipe.training.grains {
      throw FlowerError(
        .usage,
        "\(communicator.size) ranks, but training.grains is \(recipe.training.grains): start at most that many, or raise"
          + " training.grains (which may change the result's last bits)")
    }
    self.recipe = recipe
    self.catalogue = catalogue
    self.language = language
    self.communicator = communicator
    totalSteps = ExampleStream.steps(recipe.training, examples: catalogue.dataset.train.count)
    let list = language.transformer.trainable.list
    reducer = GradientReducer(count: list.count, grains: recipe.training.grains, communicator: communicator)
    optimizer = AdamW(recipe.optimizer, list: list, plan: reducer.plan, rank: communicator.rank)
    worker = try GrainWorker(catalogue, language, recipe, reference: reference)
    stream = ExampleStream(catalogue, recipe.training)
    replay = ReplayBuffer(recipe.replay)
  }

  public var isFinished: Bool { step >= totalSteps }

  /// Goes on where a run was saved; weights and optimizer state have been restored.
  func resume(_ state: TrainerState, replay: ReplayBuffer?) {
    step = state.step
    seconds = state.seconds
    progress = state.progress
    if let replay { self.replay = replay }
  }

  /// One step. Throws on every rank when the loss or the gradient is not finite; nothing is updated then.
  public func runStep() throws -> StepLine {
    let start = clock.now
    let (tallies, visits) = try computeGrains()
    let gradient = worker.clock.measure(.reduction) { reducer.reduce() }
    let norm = worker.clock.measure(.reduction) { gradient.norm(communicator) }
    let total = sum(tallies)
    try checkFinite(total, norm)
    let rate = recipe.optimizer.rate(step: step, of: totalSteps)
    let clip = recipe.optimizer.clipNorm
    worker.clock.measure(.optimizer) {
      optimizer.update(
        language.transformer.trainable.weights, gradient, step: step + 1, learningRate: rate,
        scale: clip > 0 && norm > clip ? clip / norm : 1)
    }
    reducer.finish()
    worker.clock.measure(.reduction) { reducer.gather(language.transformer.trainable.weights) }
    step += 1
    progress.add(loss: total.fallingLoss, count: total.fallingCount, step: step, of: recipe.trajectories.source)
    if recipe.replays { replay.add(visits, step: step) }
    // Rank zero's clock, so that every rank keeps the same time.
    seconds += communicator.sum([communicator.isRoot ? (clock.now - start).seconds : 0])[0]
    return line(total, norm: norm, rate: rate)
  }

  /// Computes this rank's grains and hands their gradients to the reducer; returns the tallies of all grains and, in
  /// their order, what the replay buffer is to remember.
  private func computeGrains() throws -> ([GrainTally], [ReplayBuffer.Visit]) {
    let grains = recipe.training.grains
    let usesTargets = worker.objective.usesFlow && recipe.trajectories.source.uses(.targets)
    let sources = worker.sources(
      step: step, progress: progress, targets: usesTargets ? stream.targets(step: step) : [], replay: replay)
    var visits: [ReplayBuffer.Visit] = []
    var flat = [Double](repeating: 0, count: grains * GrainTally.width)
    try communicator.together {
      for grain in ReductionPlan.grains(ofRank: communicator.rank, grains: grains, ranks: communicator.size) {
        let gradient = reducer.buffer()
        var tally = GrainTally()
        for examples in try stream.microBatches(step: step, grain: grain) {
          let (sums, visited) = worker.run(
            examples, sources, step: step, scale: 1 / Double(recipe.training.globalBatch), into: gradient)
          tally += sums
          visits += visited
        }
        reducer.add(gradient)
        flat.replaceSubrange(grain * GrainTally.width..<(grain + 1) * GrainTally.width, with: tally.flat)
      }
    }
    // Each grain is counted on one rank and zero elsewhere, so this sum is exact.
    let all = communicator.sum(flat)
    let tallies = all.chunks(of: GrainTally.width).map { GrainTally(flat: $0) }
    // Ranks hold neighbouring grains, so the order of ranks is that of grains.
    if recipe.replays {
      visits = communicator.gather(ReplayBuffer.Visit.bytes(visits)).flatMap { ReplayBuffer.Visit.visits($0) }
    }
    return (tallies, visits)
  }

  /// The sum over grains, in their order.
  private func sum(_ tallies: [GrainTally]) -> GrainTally {
    tallies.reduce(into: GrainTally()) { $0 += $1 }
  }

  /// Loss and norm are the same numbers on every rank, so all ranks stop together.
  private func checkFinite(_ total: GrainTally, _ norm: Double) throws {
    guard total.loss.isFinite, norm.isFinite else {
      throw FlowerError(
        .diverged,
        "step \(step + 1): the \(total.loss.isFinite ? "gradient" : "loss") is not finite (loss \(total.loss.magnitude),"
          + " gradient norm \(norm.magnitude)); nothing was updated. Lower optimizer.learning_rate or set optimizer.clip_norm"
      )
    }
  }

  private func line(_ total: GrainTally, norm: Double, rate: Double) -> StepLine {
    let n = Double(recipe.training.globalBatch)
    return StepLine(
      step: step, loss: total.loss / n, sftLoss: worker.objective.usesTargets ? total.supervised / n : nil,
      flowLoss: worker.objective.usesFlow ? total.flow / n : nil, gradNorm: norm, learningRate: rate,
      tokens: total.tokens,
      trajectories: total.trajectories, seconds: seconds)
  }
}
