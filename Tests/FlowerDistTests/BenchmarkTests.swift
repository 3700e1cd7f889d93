import Testing

@testable import FlowerDist

@Suite struct BenchmarkTests {
  private var tiny: BenchmarkShape {
    var shape = BenchmarkShape()
    (shape.hiddenSize, shape.layers, shape.heads, shape.kvHeads, shape.intermediateSize) = (16, 2, 2, 1, 24)
    (shape.vocabularySize, shape.examples, shape.prompt, shape.title) = (100, 2, 5, 4)
    return shape
  }

  @Test func workIsThatOfTheForest() throws {
    let shape = tiny
    var titles = TitleForest(try shape.tree())
    for (example, prompt) in shape.prompts.enumerated() {
      _ = titles.addPrompt(prompt)
      for k in 0...1 {
        let leaf = Int(titles.tree.leafOfItem[shape.item(example: example, k)])
        titles.addTitle(prompt: example, leaf: leaf, support: .vocabulary)
      }
    }
    // Titles of one prompt differ from their first token on: nothing is shared but the prompt.
    #expect(titles.forest.rowCount == 2 * (5 + 2 * 4))
    #expect(titles.forest.queryCount == 2 * (1 + 2 * 4))
    let work = StepWork(shape.configuration, titles.forest, titles.readouts)
    // Weights of a layer: k and v 16 x 16; q and o 16 x 16 each, MLP 3 x 16 x 24. Per visible row 4 x 16 operations.
    let promptPairs = 5 * 6 / 2
    let titlePairs = 4 * 5 + 4 * 5 / 2
    let firstLayer = 26 * 2 * (256 + 512 + 1152) + 64 * 2 * (promptPairs + 2 * titlePairs)
    let lastLayer = 26 * 2 * 256 + 18 * 2 * (512 + 1152) + 64 * 2 * (5 + 2 * titlePairs)
    #expect(work.forward == Double(firstLayer + lastLayer))
    #expect(work.backward == 2 * work.forward)
    #expect(work.head == Double(3 * 2 * 16 * 100 * 18))

    // Adapters of rank 3: k and v 2 x 3 x (16 + 8), q and o 2 x 3 x 32, gate, up and down 3 x 3 x 40.
    let low = StepWork(shape.configuration, adapterRank: 3, titles.forest, titles.readouts)
    let adapters = 26 * 2 * (144 + 192 + 360) + 26 * 2 * 144 + 18 * 2 * (192 + 360)
    #expect(low.forward == work.forward + Double(adapters))
    let attention = 64 * 2 * (promptPairs + 2 * titlePairs) + 64 * 2 * (5 + 2 * titlePairs)
    let firstInputs = 26 * 2 * 16 * 32
    #expect(low.backward == work.forward + Double(attention - firstInputs + 2 * adapters))
    #expect(low.head == Double(2 * 2 * 16 * 100 * 18))
    // The only layer is the last: q of the outputs alone.
    var one = shape
    one.layers = 1
    let single = StepWork(one.configuration, adapterRank: 3, titles.forest, titles.readouts)
    let oneAdapters = 26 * 2 * 144 + 18 * 2 * (192 + 360)
    let oneAttention = 64 * 2 * (5 + 2 * titlePairs)
    #expect(single.backward == Double(18 * 2 * (256 + 1152) + 2 * (oneAttention + oneAdapters)))
  }

  @Test(arguments: Recipe.Objective.Support.allCases, BenchmarkShape.Draws.allCases)
  func runs(support: Recipe.Objective.Support, draws: BenchmarkShape.Draws) throws {
    var shape = tiny
    shape.support = support
    shape.draws = draws
    let result = try Benchmark(shape).run(repeats: 2, warmUp: 1)
    #expect(result.description.split(separator: "\n").allSatisfy { $0.count <= 80 })
    let sampled: Set<PhaseClock.Phase> = [.sampling, .branches]
    for phase in BenchmarkResult.gradientPhases where draws == .policy || !sampled.contains(phase) {
      #expect(result.phases[phase]?.wall.count == 2)
    }
    shape.adapterRank = 2
    let adapted = try Benchmark(shape).run(repeats: 1, warmUp: 0)
    #expect(adapted.memory.estimate.gradients < result.memory.estimate.gradients)
    #expect(adapted.description.split(separator: "\n").allSatisfy { $0.count <= 80 })
    let work = result.work
    #expect(2 * (work.forward + work.sampling + work.branches) == work.backward)
    #expect((work.sampling > 0) == (draws == .policy))
    #expect(result.json["repeats"]?.int == 2)
  }

  @Test func shapesThatCannotBeTrainedAreRefused() {
    var shape = tiny
    shape.title = 2
    #expect(throws: FlowerError.self) { try Benchmark(shape) }
    shape = tiny
    shape.heads = 0
    #expect(throws: FlowerError.self) { try Benchmark(shape) }
    shape = tiny
    shape.trajectories = 1000
    #expect(throws: FlowerError.self) { try Benchmark(shape) }
  }

  @Test func aPhaseInsideAnotherCountsAsTheOuterOne() {
    let clock = PhaseClock()
    clock.measure(.sampling) { clock.measure(.forward) {} }
    #expect(clock.seconds[.forward] == nil)
    #expect(clock.seconds[.sampling] != nil)
    clock.measure(.forward) {}
    #expect(clock.seconds[.forward] != nil)
  }

  /// The backward pass of the head has one chunk of logits left from the forward pass and computes the others again.
  @Test func logitsThatAreGoneAreComputedAgain() throws {
    var configuration = tiny.configuration
    // Large enough that 64 readouts are a chunk.
    configuration.vocabularySize = 1 << 16
    configuration.layers = 1
    let transformer = Transformer(configuration)
    transformer.initialize(seed: 1, std: 0.1)
    func gradient(readouts: Range<Int>) -> FloatArena {
      let language = LanguageModel(transformer)
      var forest = Forest()
      var wanted = Readouts()
      _ = forest.addTrunk((0..<130).map { Int32($0) })
      for row in 0..<130 { forest.read(row) }
      for row in readouts { _ = wanted.add(query: row, set: wanted.addSet([Int32(7 * row)]), support: .vocabulary) }
      language.begin(rows: 130, queries: 130, training: true)
      _ = language.score(forest, wanted)
      let arena = FloatArena(count: transformer.layout.count)
      language.backward(
        forest, wanted, gradient: [Double](repeating: 1, count: readouts.count), into: arena)
      return arena
    }
    let whole = gradient(readouts: 0..<130)
    let parts = [gradient(readouts: 0..<50), gradient(readouts: 50..<130)]
    let largest = whole.all.map { abs($0) }.max()!
    #expect(largest > 0)
    for i in whole.all.indices { #expect(abs(whole.base[i] - parts[0].base[i] - parts[1].base[i]) < 1e-4 * largest) }
  }
}
