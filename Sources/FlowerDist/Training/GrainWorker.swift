/// Sums over the examples of one grain. Whole numbers are exact in double precision.
struct GrainTally: Equatable {
  var loss = 0.0
  var supervised = 0.0
  var flow = 0.0
  var tokens = 0
  var trajectories = 0
  /// Of the trajectories of the source whose share falls: the sum of their flow losses, and how many.
  var fallingLoss = 0.0
  var fallingCount = 0

  static let width = 7
  var flat: [Double] {
    [loss, supervised, flow, Double(tokens), Double(trajectories), fallingLoss, Double(fallingCount)]
  }

  init() {}

  init(flat: some RandomAccessCollection<Double>) {
    let values = Array(flat)
    (loss, supervised, flow) = (values[0], values[1], values[2])
    (tokens, trajectories) = (Int(values[3]), Int(values[4]))
    (fallingLoss, fallingCount) = (values[5], Int(values[6]))
  }

  static func += (a: inout GrainTally, b: GrainTally) {
    a.loss += b.loss
    a.supervised += b.supervised
    a.flow += b.flow
    a.tokens += b.tokens
    a.trajectories += b.trajectories
    a.fallingLoss += b.fallingLoss
    a.fallingCount += b.fallingCount
  }
}

/// A micro-batch with its trajectories drawn and scored.
struct GrainForest {
  var titles: TitleForest
  /// By prompt and trajectory, with their leaves.
  var draws: [[Draw]]
  var scored: ScoredForest
}

/// Computes the loss and the gradient of one grain's examples: draws, forest, objective, backward.
final class GrainWorker {
  private let catalogue: Catalogue
  private let language: LanguageModel
  private let recipe: Recipe
  /// For objectives that have one.
  private let reference: ReferenceModel?
  private let pairs: PreferencePairs?
  /// Weight of SFT by target leaf; `nil`: all the same.
  private let groupWeights: [Double]?
  let objective: TrainingObjective
  /// SFT and pairs have no use for what a title is worth to a user, which may cost as much as a model.
  private var readsPersonalRewards: Bool { objective.usesFlow && pairs == nil }
  var clock: PhaseClock { language.clock }

  /// - Throws: `FlowerError` of kind `data` where the catalogue has nothing that the objective can compare.
  init(
    _ catalogue: Catalogue, _ language: LanguageModel, _ recipe: Recipe, reference: ReferenceModel? = nil
  ) throws {
    self.catalogue = catalogue
    self.reference = reference
    pairs = recipe.objective.name.isPreference ? try PreferencePairs(recipe.objective, catalogue) : nil
    groupWeights = recipe.objective.sftWeight == .ifairlrs ? catalogue.groupWeights : nil
    self.language = language
    self.recipe = recipe
    objective = TrainingObjective(
      recipe.objective, supervisedScale: catalogue.supervisedScale(recipe.objective.sftSupport))
  }

  /// What trajectories are drawn from after `step` steps.
  ///
  /// - Parameter targets: leaf of the next item by position in the batch.
  func sources(
    step: Int, progress: Recipe.Mixture.Progress, targets: [Int], replay: ReplayBuffer, written: WrittenTitles? = nil
  ) -> DrawSources {
    DrawSources(
      recipe.trajectories.source, tree: catalogue.tree, step: step, progress: progress, targets: targets,
      replay: replay, written: written)
  }

  /// K titles of the policy for each example: leaves by example and k, those that ``score(_:_:step:training:)`` would draw.
  func write(_ examples: [Example], step: Int) -> [Int32] {
    clock.measure(.sampling) {
      var titles = forest(of: examples)
      let count = recipe.trajectories.count
      let rows = roomForSampling(titles, walks: examples.count * count)
      language.begin(rows: rows, queries: rows, training: false)
      let sampler = PolicySampler(language: language, temperature: recipe.trajectories.temperature)
      let leaves = sampler.sample(&titles, prompts: examples.indices, count: count, support: .catalogue) {
        random(.policy, step, examples[$0], $1)
      }
      return leaves.flatMap { $0.map { Int32($0) } }
    }
  }

  /// The examples' prompts.
  private func forest(of examples: [Example]) -> TitleForest {
    var titles = TitleForest(catalogue.tree)
    var start = 0
    while start < examples.count {
      let trunk = examples[start].trunk
      let end = trunk == nil ? start + 1 : examples[start...].firstIndex { $0.trunk != trunk } ?? examples.count
      _ = titles.addPrompts(examples[start..<end].map(\.prompt))
      start = end
    }
    return titles
  }

  private func roomForSampling(_ titles: TitleForest, walks: Int) -> Int {
    titles.forest.rowCount + walks * Int(catalogue.tree.depth.max()!)
  }

  /// The examples' trajectories and their scores; grows the forest, by sampling where the policy is a source.
  func score(_ examples: [Example], _ sources: DrawSources, step: Int, training: Bool) -> GrainForest {
    let o = recipe.objective
    let rewards = clock.measure(.draws) {
      examples.map {
        guard readsPersonalRewards else { return catalogue.rewards.shared }
        return catalogue.rewards.rewards(history: $0.history, leavingOut: training ? $0.item : nil, at: $0.place)
      }
    }
    var titles = forest(of: examples)
    let targets = clock.measure(.draws) { zip(examples, rewards).map { self.targets($0, $1, step: step) } }
    for (prompt, leaves) in targets.enumerated() {
      for leaf in leaves { titles.addTitle(prompt: prompt, leaf: leaf, support: o.sftSupport) }
    }

    var draws = clock.measure(.draws) {
      guard objective.usesFlow else { return examples.map { _ -> [Draw] in [] } }
      return zip(examples, rewards).map { example, rewards in
        if let pairs {
          return pairs.draw(target: leaf(example), self.pairs(example, step: step)).map { Draw(nil, leaf: $0) }
        }
        return sources.draw(recipe.trajectories.count, for: example, rewards) { random(.draws, step, example, $0) }
      }
    }
    var walks: [PolicySampler.Walk] = []
    for (prompt, draws) in draws.enumerated() {
      for (k, draw) in draws.enumerated() {
        if let leaf = draw.leaf {
          titles.addTitle(prompt: prompt, leaf: leaf, support: o.support)
        } else {
          walks.append(.init(prompt: prompt, k: k))
        }
      }
    }
    if !walks.isEmpty {
      let rows = roomForSampling(titles, walks: walks.count)
      language.begin(rows: rows, queries: rows, training: training)
      let sampler = PolicySampler(language: language, temperature: recipe.trajectories.temperature)
      language.extend(titles.forest)
      let leaves = clock.measure(.sampling) {
        sampler.sample(&titles, walks, support: o.support) { random(.policy, step, examples[$0], $1) }
      }
      for (walk, leaf) in zip(walks, leaves) { draws[walk.prompt][walk.k].leaf = leaf }
    }
    // What sampling computed is there already.
    let logProbabilities =
      walks.isEmpty
      ? language.score(titles, training: training)
      : language.score(titles.forest, titles.readouts, phase: .branches)

    let references = clock.measure(.forward) {
      zip(examples, draws).map { example, draws in
        objective.usesFlow ? reference?.titles(draws.map { $0.leaf! }, of: example, areFixed: pairs != nil) ?? [] : []
      }
    }
    let prompts = examples.indices.map { prompt in
      ScoredPrompt(
        trajectories: draws[prompt].map { Trajectory(leaf: $0.leaf!, prompt: prompt, in: titles, support: o.support) },
        targets: targets[prompt].map { Trajectory(leaf: $0, prompt: prompt, in: titles, support: o.sftSupport) },
        rewards: rewards[prompt], reference: references[prompt],
        supervisedWeight: targets[prompt].first.flatMap { groupWeights?[$0] } ?? 1)
    }
    return GrainForest(
      titles: titles, draws: draws, scored: ScoredForest(logProbabilities: logProbabilities, prompts: prompts))
  }

  /// Adds to `gradient` that of the examples' loss, `scale` being one over the global number of examples.
  ///
  /// - Parameter progress: as ``LanguageModel/backward(_:_:gradient:into:progress:)``.
  /// - Returns: sums, and what the replay buffer is to remember.
  func run(
    _ examples: [Example], _ sources: DrawSources, step: Int, scale: Double, into gradient: FloatArena,
    progress: ((_ completeFrom: Int) -> Void)? = nil
  ) -> (GrainTally, [ReplayBuffer.Visit]) {
    let forest = score(examples, sources, step: step, training: true)
    let output = clock.measure(.objective) { objective.evaluate(forest.scored, scale: scale) }
    language.backward(
      forest.titles.forest, forest.titles.readouts, gradient: output.gradient, into: gradient, progress: progress)
    return (tally(forest, output), visits(examples, forest))
  }

  /// The examples' losses without a gradient.
  func validate(_ examples: [Example], _ sources: DrawSources) -> GrainTally {
    let forest = score(examples, sources, step: 0, training: false)
    return tally(forest, objective.evaluate(forest.scored))
  }

  private func tally(_ forest: GrainForest, _ output: ObjectiveOutput) -> GrainTally {
    var tally = GrainTally()
    tally.loss = output.losses.reduce(0, +)
    tally.supervised = output.supervised.reduce(0, +)
    tally.flow = output.flow.reduce(0, +)
    tally.tokens = forest.titles.forest.rowCount
    tally.trajectories = forest.draws.reduce(0) { $0 + $1.count }
    if let falling = recipe.trajectories.source.falling?.source {
      for (draws, losses) in zip(forest.draws, output.flowByTrajectory) {
        for (draw, loss) in zip(draws, losses) where draw.source == falling {
          tally.fallingLoss += loss
          tally.fallingCount += 1
        }
      }
    }
    return tally
  }

  /// The trajectories that the replay buffer takes, with their residuals.
  private func visits(_ examples: [Example], _ forest: GrainForest) -> [ReplayBuffer.Visit] {
    var visits: [ReplayBuffer.Visit] = []
    if !recipe.replays { return visits }
    for (prompt, example) in examples.enumerated() {
      guard let row = example.trainingRow else { continue }
      let scored = forest.scored.prompts[prompt]
      for (draw, trajectory) in zip(forest.draws[prompt], scored.trajectories)
      where recipe.replay.feed == .all || [.policy, .replay].contains(draw.source) {
        let residuals = objective.network.residuals(trajectory, forest.scored.logProbabilities, scored.rewards)
        let priority = abs(residuals.reduce(0, +))
        // One that is not finite shows in the loss, or is of a title that the policy can no longer write.
        if priority.isFinite { visits.append(.init(prompt: row, leaf: Int32(trajectory.leaf), priority: priority)) }
      }
    }
    return visits
  }

  /// What SFT imitates: the next item; without histories K draws by leaf weight.
  private func targets(_ example: Example, _ rewards: TokenRewards, step: Int) -> [Int] {
    guard objective.usesTargets else { return [] }
    if let leaf = leaf(example) { return [leaf] }
    let draws = LeafDraws(rewards.weights)
    return (0..<recipe.trajectories.count).map { draws.leaf(random(.targets, step, example, $0).uniform(0)) }
  }

  /// The leaf of the next item; `nil` without histories.
  private func leaf(_ example: Example) -> Int? { example.item.map { Int(catalogue.tree.leafOfItem[Int($0)]) } }

  /// The pairs of a training example are the same whenever it comes round, so that its reference is computed once; those
  /// of the one prompt without histories are new each time.
  private func pairs(_ example: Example, step: Int) -> CounterRandom {
    guard example.item != nil, let place = example.place else { return random(.pairs, step, example, 0) }
    return CounterRandom(seed: recipe.training.seed, purpose: .pairs, example: UInt32(place.row))
  }

  private func random(_ purpose: RandomPurpose, _ step: Int, _ example: Example, _ k: Int) -> CounterRandom {
    CounterRandom(
      seed: recipe.training.seed, purpose: purpose, step: UInt32(step), example: UInt32(example.index),
      sample: UInt32(k))
  }
}

extension Recipe {
  /// Whether the run has a replay buffer.
  var replays: Bool {
    trajectories.source.uses(.replay) && !objective.name.isPreference
      && TrainingObjective(objective, supervisedScale: 1).usesFlow
  }
}

extension FlowNetwork {
  init(_ recipe: Recipe.Objective) {
    self.init(flow: recipe.flow, prefixTitles: recipe.prefixTitles, granularity: recipe.granularity)
  }
}

extension TrainingObjective {
  init(_ recipe: Recipe.Objective, supervisedScale: Double) {
    let flow: FlowTerm? =
      switch recipe.name {
      case .sft: nil
      case .subtb: .balance(.subTrajectory(lambda: recipe.lambda))
      case .tb: .balance(.trajectory)
      case .db: .balance(.detailed)
      case .vargrad: .balance(.logVariance)
      case .soft: .soft
      case .dpo, .rosePO:
        .preference(PreferenceLoss(.pairwise(labelSmoothing: recipe.labelSmoothing), beta: recipe.beta))
      case .sDPO: .preference(PreferenceLoss(.softmax, beta: recipe.beta))
      case .dmpo: .preference(PreferenceLoss(.mean, beta: recipe.beta))
      case .ppo: .policyGradient(PolicyGradient(.ppo, beta: recipe.beta))
      case .grpo: .policyGradient(PolicyGradient(.grpo, beta: recipe.beta))
      }
    self.init(flow: flow, theta: recipe.theta, network: FlowNetwork(recipe), supervisedScale: supervisedScale)
  }
}
