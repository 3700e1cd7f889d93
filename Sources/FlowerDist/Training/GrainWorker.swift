/// Sums over the examples of one grain. Whole numbers are exact in double precision.
struct GrainTally: Equatable {
  var loss = 0.0
  var supervised = 0.0
  var flow = 0.0
  var tokens = 0
  var trajectories = 0

  static let width = 5
  var flat: [Double] { [loss, supervised, flow, Double(tokens), Double(trajectories)] }

  init() {}

  init(flat: some RandomAccessCollection<Double>) {
    let values = Array(flat)
    (loss, supervised, flow) = (values[0], values[1], values[2])
    (tokens, trajectories) = (Int(values[3]), Int(values[4]))
  }

  static func += (a: inout GrainTally, b: GrainTally) {
    a.loss += b.loss
    a.supervised += b.supervised
    a.flow += b.flow
    a.tokens += b.tokens
    a.trajectories += b.trajectories
  }
}

/// Computes the loss and the gradient of one grain's examples: draws, forest, objective, backward.
final class GrainWorker {
  private let catalogue: Catalogue
  private let language: LanguageModel
  private let recipe: Recipe
  let objective: TrainingObjective
  var clock: PhaseClock { language.clock }

  init(_ catalogue: Catalogue, _ language: LanguageModel, _ recipe: Recipe) {
    self.catalogue = catalogue
    self.language = language
    self.recipe = recipe
    objective = TrainingObjective(
      recipe.objective, supervisedScale: catalogue.supervisedScale(recipe.objective.sftSupport))
  }

  /// The examples' trajectories and their scores; grows the forest, by sampling where the recipe asks for it.
  func score(_ examples: [Example], step: Int, training: Bool) -> (TitleForest, ScoredForest) {
    let o = recipe.objective
    let rewards = clock.measure(.draws) {
      examples.map {
        catalogue.rewards.rewards(history: $0.history, leavingOut: training ? $0.item : nil, at: $0.place)
      }
    }
    var titles = TitleForest(catalogue.tree)
    for example in examples { _ = titles.addPrompt(example.prompt) }

    let targets = clock.measure(.draws) { zip(examples, rewards).map { self.targets($0, $1, step: step) } }
    for (prompt, leaves) in targets.enumerated() {
      for leaf in leaves { titles.addTitle(prompt: prompt, leaf: leaf, support: o.sftSupport) }
    }

    let draws: [[Int]]
    let logProbabilities: [Double]
    if objective.usesFlow, recipe.trajectories.source == .policy {
      let depth = Int(catalogue.tree.depth.max()!)
      let rows = titles.forest.rowCount + examples.count * recipe.trajectories.count * depth
      language.begin(rows: rows, queries: rows, training: training)
      let sampler = PolicySampler(language: language, temperature: recipe.trajectories.temperature)
      draws = clock.measure(.sampling) {
        sampler.sample(
          &titles, prompts: 0..<examples.count, count: recipe.trajectories.count, support: o.support
        ) { prompt, k in random(.policy, step, examples[prompt], k) }
      }
      logProbabilities = language.score(titles.forest, titles.readouts)
    } else {
      draws = clock.measure(.draws) {
        guard objective.usesFlow else { return examples.map { _ in [] } }
        return zip(examples, rewards).map { example, rewards in
          recipe.trajectories.draw(rewards) { random(.draws, step, example, $0) }
        }
      }
      for (prompt, leaves) in draws.enumerated() {
        for leaf in leaves { titles.addTitle(prompt: prompt, leaf: leaf, support: o.support) }
      }
      logProbabilities = language.score(titles, training: training)
    }

    let prompts = examples.indices.map { prompt in
      ScoredPrompt(
        trajectories: draws[prompt].map { Trajectory(leaf: $0, prompt: prompt, in: titles, support: o.support) },
        targets: targets[prompt].map { Trajectory(leaf: $0, prompt: prompt, in: titles, support: o.sftSupport) },
        rewards: rewards[prompt])
    }
    return (titles, ScoredForest(logProbabilities: logProbabilities, prompts: prompts))
  }

  /// Adds to `gradient` that of the examples' loss, `scale` being one over the global number of examples.
  func run(_ examples: [Example], step: Int, scale: Double, into gradient: FloatArena) -> GrainTally {
    let (titles, scored) = score(examples, step: step, training: true)
    let output = clock.measure(.objective) { objective.evaluate(scored, scale: scale) }
    language.backward(titles.forest, titles.readouts, gradient: output.gradient, into: gradient)
    return tally(titles, scored, output)
  }

  /// The examples' losses without a gradient.
  func validate(_ examples: [Example]) -> GrainTally {
    let (titles, scored) = score(examples, step: 0, training: false)
    return tally(titles, scored, objective.evaluate(scored))
  }

  private func tally(_ titles: TitleForest, _ scored: ScoredForest, _ output: ObjectiveOutput) -> GrainTally {
    var tally = GrainTally()
    tally.loss = output.losses.reduce(0, +)
    tally.supervised = output.supervised.reduce(0, +)
    tally.flow = output.flow.reduce(0, +)
    tally.tokens = titles.forest.rowCount
    tally.trajectories = scored.prompts.reduce(0) { $0 + $1.trajectories.count }
    return tally
  }

  /// What SFT imitates: the next item; without histories K draws by leaf weight.
  private func targets(_ example: Example, _ rewards: TokenRewards, step: Int) -> [Int] {
    guard objective.usesTargets else { return [] }
    if let item = example.item { return [Int(catalogue.tree.leafOfItem[Int(item)])] }
    let draws = LeafDraws(rewards.weights)
    return (0..<recipe.trajectories.count).map { draws.leaf(random(.targets, step, example, $0).uniform(0)) }
  }

  private func random(_ purpose: RandomPurpose, _ step: Int, _ example: Example, _ k: Int) -> CounterRandom {
    CounterRandom(
      seed: recipe.training.seed, purpose: purpose, step: UInt32(step), example: UInt32(example.index),
      sample: UInt32(k))
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
      }
    self.init(flow: flow, theta: recipe.theta, network: FlowNetwork(recipe), supervisedScale: supervisedScale)
  }
}
