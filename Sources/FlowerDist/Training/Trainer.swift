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
  /// Steps that updated nothing.
  private(set) var skipped = SkippedSteps()
  /// How far the schedule of the trajectories' sources is.
  private(set) var progress = Recipe.Mixture.Progress()
  /// The same on every rank; empty unless the recipe replays.
  private(set) var replay: ReplayBuffer
  /// What samplers wrote for the coming step; `nil` without any, and before the first step.
  private(set) var written: WrittenTitles?

  let roles: RankRoles
  let communicator: any Communicator
  let reducer: GradientReducer
  let optimizer: AdamW
  let worker: GrainWorker
  /// The weights of the last step, on their way to the other learners.
  private var weightArrival: WeightArrival?
  /// And to the samplers.
  private let weightStream: WeightStream
  private var stream: ExampleStream
  private let clock = ContinuousClock()
  /// Where the skipped steps in a row began: what a checkpoint of it needs besides the weights, which are still the same.
  private var beforeSkips = Position()

  private struct Position {
    var step = 0
    var progress = Recipe.Mixture.Progress()
    var skipped = SkippedSteps()
    var written: WrittenTitles?
  }

  init(
    _ recipe: Recipe, _ catalogue: Catalogue, _ language: LanguageModel, _ communicator: any Communicator,
    reference: ReferenceModel? = nil
  ) throws {
    roles = try RankRoles(recipe, communicator)
    self.recipe = recipe
    self.catalogue = catalogue
    self.language = language
    self.communicator = communicator
    totalSteps = ExampleStream.steps(recipe.training, examples: catalogue.dataset.train.count)
    let (list, weights) = language.transformer.trainable
    reducer = GradientReducer(
      count: list.count, grains: recipe.training.grains, communicator: communicator, ranks: roles.learners,
      compression: recipe.communication.compress)
    optimizer = AdamW(recipe.optimizer, list: list, plan: reducer.plan, rank: communicator.rank)
    worker = try GrainWorker(catalogue, language, recipe, reference: reference)
    weightStream = WeightStream(communicator, roles, weights)
    stream = ExampleStream(catalogue, recipe.training)
    replay = ReplayBuffer(recipe.replay)
    language.transformer.awaitTrained = { [weak self] end in
      guard let self, let weightArrival else { return }
      worker.clock.interrupt(.reduction) { weightArrival.wait(upTo: end) }
    }
    language.transformer.betweenProducts = { [weak self] in
      guard let self, let weightArrival else { return }
      worker.clock.interrupt(.reduction) { weightArrival.advance() }
    }
  }

  /// Keeps the prompts' tokens in a file, which other runs use as well. Collective.
  ///
  /// - Returns: what is to be said where that cannot be.
  func cachePrompts() throws -> String? {
    try stream.cachePrompts(in: "\(recipe.runs)/.prompts", communicator) { worker.clock.measure(.start) {} }
  }

  public var isFinished: Bool { step >= totalSteps }

  private var position: Position { Position(step: step, progress: progress, skipped: skipped, written: written) }

  /// Goes on where a run was saved; weights and optimizer state have been restored.
  func resume(_ state: TrainerState, replay: ReplayBuffer?, written: WrittenTitles?) {
    step = state.step
    seconds = state.seconds
    progress = state.progress
    skipped = state.skipped
    self.written = written
    beforeSkips = position
    if let replay { self.replay = replay }
  }

  /// One step. Where its loss or gradient is not finite, it updates nothing and is counted as skipped.
  ///
  /// - Throws: on every rank a ``Divergence`` after `training.nonfinite_limit` skipped steps in a row, the trainer being
  ///   where it was before the first of them; a `FlowerError` of kind `diverged` when an update leaves the numbers that
  ///   a float can hold.
  public func runStep() throws -> StepLine {
    let start = clock.now
    if roles.samplers > 0, written?.step != step { written = try firstTitles() }
    let grains = try computeGrains()
    let norm = worker.clock.measure(.reduction) { grains.gradient.norm(communicator) }
    let total = sum(grains.tallies)
    let rate = recipe.optimizer.rate(step: step, of: totalSteps)
    // Both are the same numbers on every rank, so all ranks skip together.
    let updates = total.loss.isFinite && norm.isFinite
    if skipped.inARow == 0 { beforeSkips = position }
    skipped.count(skips: !updates)
    var isSound = true
    if updates {
      settle()
      let clip = recipe.optimizer.clipNorm
      isSound = worker.clock.measure(.optimizer) {
        optimizer.update(
          language.transformer.trainable.weights, grains.gradient, step: step + 1 - skipped.all, learningRate: rate,
          scale: clip > 0 && norm > clip ? clip / norm : 1)
      }
    }
    reducer.finish()
    if skipped.inARow == recipe.training.nonfiniteLimit { throw try divergence(total, norm) }
    if updates { worker.clock.measure(.reduction) { gatherWeights() } }
    let age = written?.age
    step += 1
    written = grains.ahead
    progress.add(
      loss: updates ? total.fallingLoss : 0, count: updates ? total.fallingCount : 0, step: step,
      of: recipe.trajectories.source)
    if recipe.replays, updates { replay.add(grains.visits, step: step) }
    // Rank zero's clock, so that every rank keeps the same time.
    let sums = communicator.sum([communicator.isRoot ? (clock.now - start).seconds : 0, isSound ? 0 : 1])
    seconds += sums[0]
    if sums[1] > 0 {
      throw FlowerError(
        .diverged,
        "step \(step): the update made weights that are not finite (loss \(total.loss), gradient norm \(norm)); they are not"
          + " saved. Lower optimizer.learning_rate or set optimizer.clip_norm; --resume latest shows the step again")
    }
    if updates { weightStream.start() }
    return line(total, norm: norm, rate: rate, age: age)
  }

  /// Starts to bring each rank what the others updated. Samplers get whole weights from here.
  private func gatherWeights() {
    let arrival = reducer.gather(language.transformer.trainable.weights)
    if recipe.communication.overlap && roles.samplers == 0 { weightArrival = arrival } else { arrival.finish() }
  }

  /// Returns when this rank has the weights of the step, has sent what others get from it, and may change its own.
  func settle() {
    worker.clock.interrupt(.reduction) {
      weightArrival?.finish()
      weightStream.finish()
    }
    weightArrival = nil
  }

  /// Looks for the cause of the steps that were skipped, and goes back to before the first of them.
  private func divergence(_ total: GrainTally, _ norm: Double) throws -> Divergence {
    let inARow = skipped.inARow
    (step, progress, skipped) = (beforeSkips.step, beforeSkips.progress, beforeSkips.skipped)
    written = beforeSkips.written
    return Divergence(
      step: step + 1, stepsInARow: inARow, loss: total.loss, gradientNorm: norm,
      hasHistories: !catalogue.dataset.isDistribution, grains: try nonFiniteGrains())
  }

  /// Computes the step once more, grain by grain and example by example, and tells where it is not finite. Collective.
  private func nonFiniteGrains() throws -> [Divergence.Grain] {
    let sources = sources()
    let found = try communicator.together {
      let gradient = reducer.buffer()
      func isFinite(_ examples: [Example]) -> (loss: Bool, gradient: Bool) {
        gradient.zero()
        let (tally, _) = worker.run(
          examples, sources, step: step, scale: 1 / Double(recipe.training.globalBatch), into: gradient)
        return (tally.loss.isFinite, Double(sumOfSquares(gradient.base, gradient.count)).isFinite)
      }
      return try roles.learned(of: recipe.training.grains)
        .compactMap { index -> Divergence.Grain? in
          let batches = try stream.microBatches(step: step, grain: index)
          let finite = batches.map(isFinite)
          let bad = zip(batches, finite).flatMap { $1.loss && $1.gradient ? [] : $0 }
          if bad.isEmpty { return nil }
          // Together they may overflow where none does alone.
          let alone = bad.filter { let one = isFinite([$0]); return !one.loss || !one.gradient }
          return Divergence.Grain(
            index: index, rank: communicator.rank, host: communicator.hosts[communicator.rank],
            lossIsFinite: finite.allSatisfy(\.loss),
            examples: (alone.isEmpty ? bad : alone).map { catalogue.dataset.isDistribution ? $0.index : $0.place!.row })
        }
    }
    return try communicator.gather(JSON.array(found.map(\.json)).serialized()).flatMap { bytes in
      try (JSON(parsing: bytes).array ?? []).map { try Divergence.Grain(json: $0) }
    }
  }

  /// What this step's trajectories are drawn from.
  private func sources() -> DrawSources {
    let usesTargets = worker.objective.usesFlow && recipe.trajectories.source.uses(.targets)
    return worker.sources(
      step: step, progress: progress, targets: usesTargets ? stream.targets(step: step) : [], replay: replay,
      written: written)
  }

  /// What comes of the grains of a step.
  private struct Grains {
    /// Of all grains, in their order.
    var tallies: [GrainTally]
    var gradient: ReducedGradient
    /// What the replay buffer is to remember, in the order of the grains.
    var visits: [ReplayBuffer.Visit]
    /// What samplers wrote meanwhile for the next step.
    var ahead: WrittenTitles?
  }

  /// Computes this rank's grains, or writes titles, and adds all gradients.
  private func computeGrains() throws -> Grains {
    let grains = recipe.training.grains
    let sources = sources()
    var visits: [ReplayBuffer.Visit] = []
    var flat = [Double](repeating: 0, count: grains * GrainTally.width)
    let mine = roles.learned(of: grains)
    let writesAhead = roles.samplers > 0 && step + 1 < totalSteps
    // All that can fail comes before the first gradient, which may be on its way before the last is computed.
    let (batches, batchesAhead) = try communicator.together {
      try worker.clock.measure(.data) {
        (
          try mine.map { try stream.microBatches(step: step, grain: $0) },
          writesAhead ? try batchesToWrite(step + 1) : []
        )
      }
    }
    advance(nil, completeFrom: 0)
    let leaves = titles(for: batchesAhead, step + 1)
    for (grain, batches) in zip(mine, batches) {
      let gradient = reducer.buffer()
      var tally = GrainTally()
      for (index, examples) in batches.enumerated() {
        let isLast = grain == mine.last && index == batches.count - 1
        let (sums, visited) = worker.run(
          examples, sources, step: step, scale: 1 / Double(recipe.training.globalBatch), into: gradient,
          progress: { self.advance(isLast ? gradient : nil, completeFrom: $0) })
        tally += sums
        visits += visited
      }
      worker.clock.measure(.reduction) { reducer.add(gradient) }
      flat.replaceSubrange(grain * GrainTally.width..<(grain + 1) * GrainTally.width, with: tally.flat)
    }
    // Before anything that the ranks do together, where nothing would move.
    let gradient = worker.clock.measure(.reduction) { reducer.reduce() }
    // Each grain is counted on one rank and zero elsewhere, so this sum is exact.
    let all = communicator.sum(flat)
    let tallies = all.chunks(of: GrainTally.width).map { GrainTally(flat: $0) }
    // Ranks hold neighbouring grains, so the order of ranks is that of grains.
    if recipe.replays {
      visits = communicator.gather(ReplayBuffer.Visit.bytes(visits)).flatMap { ReplayBuffer.Visit.visits($0) }
    }
    return Grains(
      tallies: tallies, gradient: gradient, visits: visits, ahead: writesAhead ? gather(leaves, step + 1) : nil)
  }

  // MARK: Samplers

  /// What this rank writes titles for.
  private func batchesToWrite(_ step: Int) throws -> [[Example]] {
    try roles.written(of: recipe.training.grains).flatMap { try stream.microBatches(step: step, grain: $0) }
  }

  /// Leaves by example and k, by the weights as they are.
  private func titles(for batches: [[Example]], _ step: Int) -> [Int32] {
    if batches.isEmpty { return [] }
    weightStream.finish()
    return language.withConstantWeights { batches.flatMap { worker.write($0, step: step) } }
  }

  /// What all samplers wrote by the weights of this step; they hold neighbouring grains, so the order of ranks is that of
  /// grains.
  private func gather(_ leaves: [Int32], _ step: Int) -> WrittenTitles {
    let bytes = communicator.gather(leaves.withUnsafeBytes { Array($0) }).flatMap { $0 }
    let count = recipe.trajectories.count
    var written = [Int32](repeating: 0, count: recipe.training.globalBatch * count)
    bytes.withUnsafeBytes { bytes in
      for (place, position) in stream.positions(step: step).enumerated() {
        for k in 0..<count {
          written[position * count + k] = bytes.loadUnaligned(fromByteOffset: 4 * (place * count + k), as: Int32.self)
        }
      }
    }
    return WrittenTitles(step: step, weightsStep: self.step, leaves: written)
  }

  /// The titles of the first step, which nobody could write ahead.
  private func firstTitles() throws -> WrittenTitles {
    let batches = try communicator.together { try batchesToWrite(step) }
    return gather(titles(for: batches, step), step)
  }

  /// Lets messages move before the grains and amid their backward passes, and begins with what is complete of the `last`
  /// one's gradient.
  private func advance(_ last: FloatArena?, completeFrom offset: Int) {
    if communicator.size == 1 { return }
    worker.clock.interrupt(.reduction) {
      weightStream.advance()
      weightArrival?.advance()
      if let last, recipe.communication.overlap { reducer.advance(last, completeFrom: offset) }
    }
  }

  /// The sum over grains, in their order.
  private func sum(_ tallies: [GrainTally]) -> GrainTally {
    tallies.reduce(into: GrainTally()) { $0 += $1 }
  }

  private func line(_ total: GrainTally, norm: Double, rate: Double, age: Int?) -> StepLine {
    let n = Double(recipe.training.globalBatch)
    return StepLine(
      step: step, loss: total.loss / n, sftLoss: worker.objective.usesTargets ? total.supervised / n : nil,
      flowLoss: worker.objective.usesFlow ? total.flow / n : nil, gradNorm: norm, learningRate: rate,
      tokens: total.tokens,
      trajectories: total.trajectories, trajectoryAge: age, seconds: seconds, skippedSteps: skipped.all)
  }
}
