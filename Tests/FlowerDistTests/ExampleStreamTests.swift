import Testing

@testable import FlowerDist

@Suite struct ExampleStreamTests {
  static let examples = 45
  static let batch = 12

  /// Every example differs from all others.
  static func catalogue() throws -> Catalogue {
    let titles = (0..<15).map { "Title \($0)" }
    let train = (0..<Int32(examples)).map { Interaction(history: [$0 % 15, $0 / 15], item: ($0 * 7) % 15) }
    return try Catalogue(
      dataset: Dataset(name: "", titles: titles, train: train, valid: [], test: []), tokenizer: .bytes,
      prompt: Recipe.Prompt(), terminator: "\n", reward: Recipe.Reward())
  }

  static func recipe(seed: UInt64 = 1, microBatch: Int = 0) -> Recipe.Training {
    var recipe = Recipe.Training()
    (recipe.globalBatch, recipe.grains, recipe.seed, recipe.microBatch) = (batch, 4, seed, microBatch)
    return recipe
  }

  static func step(_ stream: inout ExampleStream, _ step: Int) throws -> [Example] {
    try (0..<4).flatMap { try stream.microBatches(step: step, grain: $0).flatMap { $0 } }
  }

  @Test func everyEpochVisitsEveryExampleOnce() throws {
    let catalogue = try Self.catalogue()
    var stream = ExampleStream(catalogue, Self.recipe())
    // Epochs end inside a step.
    let visited = try (0..<15).flatMap { step in try Self.step(&stream, step).sorted { $0.index < $1.index } }
    #expect(visited.map(\.index) == (0..<15).flatMap { _ in 0..<Self.batch })
    let all = Set(catalogue.dataset.train.map(\.history))
    var orders: Set<[[Int32]]> = []
    for epoch in 0..<4 {
      let histories = visited[epoch * Self.examples..<(epoch + 1) * Self.examples].map(\.history)
      #expect(histories.count == all.count && Set(histories) == all)
      orders.insert(histories)
    }
    #expect(orders.count == 4, "every epoch has an order of its own")
    for example in visited {
      let interaction = catalogue.dataset.train.first { $0.history == example.history }
      #expect(example.item == interaction?.item)
      #expect(try example.prompt == catalogue.prompt(history: example.history).tokens)
    }
  }

  @Test func aBatchDependsOnSeedAndStepOnly() throws {
    let catalogue = try Self.catalogue()
    var inOrder = ExampleStream(catalogue, Self.recipe())
    var other = ExampleStream(catalogue, Self.recipe(seed: 2))
    let steps = try (0..<12).map { try Self.step(&inOrder, $0).map(\.history) }
    let differs = try (0..<12).filter { try Self.step(&other, $0).map(\.history) != steps[$0] }
    #expect(differs.count > 10)
    // From the middle, backwards, one grain alone, and cut in another way.
    var jumping = ExampleStream(catalogue, Self.recipe(microBatch: 2))
    for step in [7, 3, 11, 3, 0] {
      for grain in [2, 0, 3, 1] {
        let parts = try jumping.microBatches(step: step, grain: grain)
        #expect(parts.map(\.count) == [2, 1])
        #expect(parts.flatMap { $0 }.map(\.history) == Array(steps[step][grain * 3..<grain * 3 + 3]))
      }
    }
    // Grains decide who computes an example, not which it is.
    var recipe = Self.recipe()
    recipe.grains = 2
    var halves = ExampleStream(catalogue, recipe)
    for step in 0..<12 {
      let examples = try (0..<2).flatMap { try halves.microBatches(step: step, grain: $0)[0] }
      let histories = try Self.step(&inOrder, step).sorted { $0.index < $1.index }.map(\.history)
      #expect(examples.sorted { $0.index < $1.index }.map(\.history) == histories)
    }
  }

  /// Long and short prompts are dealt so that no grain has much more to do than another.
  @Test func grainsHaveAboutTheSameTokens() throws {
    let catalogue = try Catalogue(
      dataset: .generated(titles: 40, examples: 400, seed: 3), tokenizer: .bytes, prompt: Recipe.Prompt(), terminator: "\n",
      reward: Recipe.Reward())
    var recipe = Self.recipe()
    (recipe.globalBatch, recipe.grains) = (64, 8)
    var stream = ExampleStream(catalogue, recipe)
    for step in 0..<10 {
      let tokens = try (0..<8).map { grain in
        try stream.microBatches(step: step, grain: grain)[0].reduce(0) { total, example in
          let leaf = Int(catalogue.tree.leafOfItem[Int(example.item!)])
          return total + example.prompt.count + catalogue.tree.path(toLeaf: leaf).count
        }
      }
      let mean = Double(tokens.reduce(0, +)) / 8
      #expect(Double(tokens.max()!) < 1.05 * mean && Double(tokens.min()!) > 0.95 * mean, "\(tokens)")
    }
  }

  /// Targets are by position in the batch, whatever grain has the example.
  @Test func targetsAndPositionsAreThoseOfTheExamples() throws {
    let catalogue = try Self.catalogue()
    var stream = ExampleStream(catalogue, Self.recipe())
    for step in [0, 3, 4] {
      let examples = try Self.step(&stream, step)
      let targets = stream.targets(step: step)
      #expect(examples.allSatisfy { targets[$0.index] == Int(catalogue.tree.leafOfItem[Int($0.item!)]) })
      #expect(stream.positions(step: step) == examples.map(\.index))
    }
  }

  @Test func withoutHistoriesEveryExampleIsTheOnePrompt() throws {
    var prompt = Recipe.Prompt()
    prompt.template = "A title:"
    let catalogue = try Catalogue(
      dataset: Dataset(name: "", titles: ["A", "B"], weights: [1, 2]), tokenizer: .bytes, prompt: prompt,
      terminator: "\n", reward: Recipe.Reward())
    var stream = ExampleStream(catalogue, Self.recipe())
    for example in try Self.step(&stream, 3) {
      #expect(example.item == nil && example.history.isEmpty && example.prompt == Tokenizer.bytes.encode("A title:"))
    }
  }

  @Test func stepsOfEpochs() {
    var recipe = Self.recipe()
    for (epochs, steps) in [(1, 4), (2, 8), (4, 15)] {
      (recipe.steps, recipe.epochs) = (nil, epochs)
      #expect(ExampleStream.steps(recipe, examples: Self.examples) == steps)
    }
    (recipe.steps, recipe.epochs) = (nil, 1)
    #expect(ExampleStream.steps(recipe, examples: 0) == 1)
    recipe.steps = 77
    #expect(ExampleStream.steps(recipe, examples: Self.examples) == 77)
  }
}
