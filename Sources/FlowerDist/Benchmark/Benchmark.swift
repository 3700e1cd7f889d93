/// A training step on made-up tokens, measured: the work of one rank without data, sampling or communication.
public final class Benchmark {
  private let shape: BenchmarkShape
  private let language: LanguageModel
  private let objective: TrainingObjective
  private let rewards: TokenRewards
  private let reducer: GradientReducer
  private let optimizer: AdamW
  private let communicator = SingleProcess()
  private let prompts: [[Int32]]
  /// Without measurements: each run has a copy of it, in the same memory.
  private let ceiling: MachineCeiling
  private var step = 0
  /// Of this step's forward and backward.
  private var processorSeconds = 0.0

  /// - Throws: a usage error for a shape that cannot be trained.
  public init(_ shape: BenchmarkShape) throws {
    try shape.validate()
    self.shape = shape
    let transformer = Transformer(shape.configuration)
    transformer.initialize(seed: 1, std: 0.02)
    transformer.arithmetic = shape.arithmetic
    if shape.adapterRank > 0 {
      let adapter = Adapter(
        .init(rank: shape.adapterRank, alpha: Double(2 * shape.adapterRank), targets: ModuleSet(Module.allCases)),
        of: shape.configuration)
      adapter.initialize(seed: 1)
      transformer.adapter = adapter
    }
    let list = transformer.trainable.list
    language = LanguageModel(transformer)
    objective = TrainingObjective(
      flow: shape.trajectories > 0 ? .balance(.subTrajectory(lambda: 1)) : nil, theta: 0.5,
      supervisedScale: Double(shape.title + 1))
    let tree = try shape.tree()
    rewards = TokenRewards(tree, weights: (0..<tree.leafCount).map { 1 + Double($0 % 7) })
    reducer = GradientReducer(count: list.count, grains: 1, communicator: communicator)
    optimizer = AdamW(Recipe.Optimizer(), list: list, plan: reducer.plan, rank: 0)
    prompts = shape.prompts
    ceiling = MachineCeiling(threads: Threads.count)
  }

  /// Runs `warmUp` steps, then `repeats` measured ones, each after a measurement of the machine's ceiling, which has
  /// `Threads.count` threads of when this was made.
  public func run(repeats: Int, warmUp: Int = 3) -> BenchmarkResult {
    var last = Step(titles: TitleForest(rewards.tree))
    var ceiling = ceiling
    for _ in 0..<warmUp { last = runStep() }
    let before = ResidentMemory.now
    var phases: [PhaseClock.Phase: Samples] = [:]
    var steps = Samples()
    for _ in 0..<repeats {
      ceiling.measure()
      language.clock.reset()
      processorSeconds = 0
      last = runStep()
      for (phase, seconds) in language.clock.seconds { phases[phase, default: Samples()].add(wall: seconds) }
      steps.add(
        wall: BenchmarkResult.gradientPhases.reduce(0) { $0 + language.clock.seconds[$1, default: 0] },
        busy: processorSeconds)
    }
    let titles = last.titles
    let memory = BenchmarkResult.Memory(
      estimate: MemoryPlan(
        shape.configuration, frozen: language.transformer.frozenCount, trained: reducer.plan.count, grains: 1, ranks: 1,
        rows: titles.forest.rowCount, queries: titles.forest.queryCount, vocabulary: shape.support == .vocabulary,
        language.transformer.arithmetic),
      peak: ResidentMemory.peak, growth: ResidentMemory.now.flatMap { now in before.map { now - $0 } })
    return BenchmarkResult(
      shape: shape, parameters: language.transformer.layout.count, repeats: repeats, rows: titles.forest.rowCount,
      phases: phases, step: steps,
      work: StepWork(
        shape.configuration, adapterRank: shape.adapterRank, titles.forest, titles.readouts, prompts: last.prompts, choices: last.choices),
      ceiling: ceiling, memory: memory)
  }

  /// One step as a grain and the trainer take it.
  private func runStep() -> Step {
    let clock = language.clock
    var made = Step(titles: TitleForest(rewards.tree))
    clock.measure(.draws) {
      for (example, prompt) in prompts.enumerated() {
        let index = made.titles.addPrompt(prompt)
        let given = shape.draws == .given ? shape.trajectories : 0
        for k in 0...given { made.titles.addTitle(prompt: index, leaf: leaf(example, k), support: shape.support) }
      }
    }
    let gradient = clock.measure(.reduction) { reducer.buffer() }
    let start = ProcessorTime.now
    var leaves = prompts.indices.map { example in (1..<shape.trajectories + 1).map { leaf(example, $0) } }
    var scored = ScoredForest(logProbabilities: [], prompts: [])
    if shape.draws == .given {
      scored.logProbabilities = language.score(made.titles, training: true)
    } else {
      leaves = sample(&made)
      scored.logProbabilities = language.score(made.titles.forest, made.titles.readouts, phase: .branches)
    }
    let output = clock.measure(.objective) {
      scored.prompts = prompts.indices.map { example in
        let paths = ([leaf(example, 0)] + leaves[example]).map {
          Trajectory(leaf: $0, prompt: example, in: made.titles, support: shape.support)
        }
        return ScoredPrompt(trajectories: Array(paths.dropFirst()), targets: [paths[0]], rewards: rewards)
      }
      return objective.evaluate(scored, scale: 1 / Double(shape.examples))
    }
    language.backward(made.titles.forest, made.titles.readouts, gradient: output.gradient, into: gradient)
    processorSeconds = ProcessorTime.now - start
    reducer.add(gradient)
    let reduced = clock.measure(.reduction) { reducer.reduce() }
    clock.measure(.optimizer) {
      step += 1
      optimizer.update(language.transformer.trainable.weights, reduced, step: step, learningRate: 1e-4, scale: 1)
    }
    reducer.finish()
    return made
  }

  /// A step's forest, and where titles are sampled what of it was computed before and after that.
  private struct Step {
    var titles: TitleForest
    var prompts: Forest.Extent?
    var choices: Forest.Extent?
  }

  /// Leaves by example and trajectory.
  private func sample(_ made: inout Step) -> [[Int]] {
    let rows = made.titles.forest.rowCount + shape.examples * shape.trajectories * shape.title
    language.begin(rows: rows, queries: rows, training: true)
    language.extend(made.titles.forest)
    made.prompts = language.computed
    // The same random numbers at every step: its work hardly changes.
    let leaves = language.clock.measure(.sampling) {
      PolicySampler(language: language).sample(
        &made.titles, prompts: 0..<shape.examples, count: shape.trajectories, support: shape.support
      ) { CounterRandom(seed: 1, purpose: .policy, example: UInt32($0), sample: UInt32($1)) }
    }
    made.choices = language.computed
    return leaves
  }

  private func leaf(_ example: Int, _ k: Int) -> Int {
    Int(rewards.tree.leafOfItem[shape.item(example: example, k)])
  }
}
