import Testing

@testable import FlowerDist

@Suite struct UserTrunkTests {
  private func example(_ history: [Int32], _ item: Int32) -> Interaction { Interaction(history: history, item: item) }

  @Test func examplesThatGoOnMakeATrunk() {
    let train = [
      example([1], 2), example([9], 8),  // two users
      example([1, 2], 3), example([9, 8], 7), example([1, 2, 3], 4),
      example([2, 3, 4], 5),  // the window is three long
      example([1], 2),  // a third user, like the first
      example([4, 4], 4),  // follows nobody
      example([3, 4, 5], 6),
    ]
    let all = UserTrunks(train, longest: 9)
    #expect((0..<all.count).map { Array(all[$0]) } == [[0, 2, 4, 5, 8], [1, 3], [6], [7]])
    let short = UserTrunks(train, longest: 2)
    #expect((0..<short.count).map { Array(short[$0]) } == [[0, 2], [1, 3], [4, 5], [6], [7], [8]])
    #expect(UserTrunks([], longest: 3).count == 0)
  }

  private func stream(targets: Int, _ set: (inout Recipe.Prompt) -> Void = { _ in }) throws -> (ExampleStream, Catalogue) {
    var prompt = Recipe.Prompt()
    prompt.template = "{history}:"
    prompt.historyLength = 6
    set(&prompt)
    let catalogue = try Catalogue(
      dataset: .generated(titles: 30, examples: 230, seed: 3), tokenizer: .bytes, prompt: prompt, terminator: "\n",
      reward: Recipe.Reward())
    var recipe = Recipe.Training()
    (recipe.globalBatch, recipe.grains, recipe.batching, recipe.userTargets) = (23, 1, .user, targets)
    return (ExampleStream(catalogue, recipe), catalogue)
  }

  @Test func everyExampleComesOnceWithAPromptOfItsTrunk() throws {
    var (stream, catalogue) = try stream(targets: 4)
    let train = catalogue.dataset.train
    for epoch in 0..<2 {
      let steps = train.count / 23
      let examples = try (0..<steps).flatMap { try stream.microBatches(step: epoch * steps + $0, grain: 0)[0] }
      #expect(examples.count == train.count)
      #expect(Set(examples.compactMap(\.trainingRow)).count == train.count)
      var shared = 0
      for (one, next) in zip(examples, examples.dropFirst()) where one.trunk == next.trunk {
        // All but the colon goes on.
        #expect(next.prompt.starts(with: one.prompt.dropLast()) && next.prompt.count > one.prompt.count)
        shared += 1
      }
      #expect(shared > train.count / 2)
      for example in examples {
        let interaction = train[Int(try #require(example.trainingRow))]
        #expect(interaction.history == example.history && interaction.item == example.item)
        // What is shown is the end of the history, or the other way round at the beginning of long ones.
        let text = String(decoding: example.prompt.dropLast().map { UInt8($0) }, as: UTF8.self)
        let titles = interaction.history.map { catalogue.dataset.titles[Int($0)] }
        #expect(titles.suffix(6).joined(separator: Recipe.Prompt().separator).hasSuffix(text), "\(text) of \(titles)")
      }
    }
  }

  /// Grains take the trunks as they come: dealt singly, their examples would share nothing.
  @Test func grainsDoNotTakeTrunksApart() throws {
    let (whole, catalogue) = try stream(targets: 4)
    var recipe = whole.recipe
    (recipe.globalBatch, recipe.grains) = (64, 4)
    var stream = ExampleStream(catalogue, recipe)
    let examples = try (0..<4).flatMap { try stream.microBatches(step: 0, grain: $0)[0] }
    #expect(examples.map(\.index) == Array(0..<64))
    let neighbours = zip(examples, examples.dropFirst()).count { $0.trunk == $1.trunk }
    #expect(neighbours > 32)
  }

  @Test func promptsShareTheRowsThatTheyHaveInCommon() throws {
    let (_, tree) = try CatalogueTreeTests.random(1)
    var titles = TitleForest(tree)
    let prompts: [[Int32]] = [[5, 6, 1], [5, 6, 7, 1], [8, 9, 9, 1], [5, 6, 7, 8, 1]]
    #expect(titles.addPrompts(prompts) == 0)
    #expect(titles.promptCount == 4)
    // Five of the trunk, one that branches off each, and four of the one that is alone.
    #expect(titles.forest.rowCount == 5 + 1 + 1 + 4)
    for (prompt, tokens) in prompts.enumerated() {
      titles.read(prompt: prompt, node: 0, support: .vocabulary)
      let row = Int(titles.forest.queryRows[prompt])
      let start = Int(titles.forest.trunkStart[row])
      let path = titles.forest.pathRows[titles.forest.pathStart[row]..<titles.forest.pathStart[row + 1]]
      let seen = (start..<start + Int(titles.forest.trunkCount[row])).map { titles.forest.tokens[$0] }
      #expect(seen + path.map { titles.forest.tokens[Int($0)] } == tokens)
    }
  }

  /// A trunk is another way to compute the same: losses and gradients are those of prompts of their own.
  @Test(arguments: [Recipe.Objective.Name.sft, .subtb], [Recipe.Objective.Support.catalogue, .vocabulary])
  func lossesAndGradientsAreThoseOfSinglePrompts(
    _ name: Recipe.Objective.Name, _ support: Recipe.Objective.Support
  ) throws {
    var (stream, catalogue) = try stream(targets: 6)
    let configuration = ModelConfiguration(
      architecture: .qwen2, vocabularySize: 256, hiddenSize: 16, layers: 2, heads: 2, kvHeads: 1, headDim: 8,
      intermediateSize: 24, attentionBias: true, tieEmbeddings: true, ropeTheta: 10_000, rmsNormEps: 1e-6)
    let transformer = Transformer.random(configuration, seed: 2, std: 0.3)
    var recipe = Recipe()
    (recipe.objective.name, recipe.objective.support, recipe.objective.sftSupport) = (name, support, support)
    recipe.objective.theta = 0.5
    recipe.trajectories.source = .init(.weight)
    let worker = try GrainWorker(catalogue, LanguageModel(transformer), recipe)
    let sources = worker.sources(step: 0, progress: .init(), targets: [], replay: ReplayBuffer(recipe.replay))
    let together = try stream.microBatches(step: 1, grain: 0)[0]
    let apart = together.map { example in
      var example = example
      example.trunk = nil
      return example
    }
    let gradients = [FloatArena(count: transformer.layout.count), FloatArena(count: transformer.layout.count)]
    let tallies = zip([together, apart], gradients).map { examples, gradient in
      worker.run(examples, sources, step: 1, scale: 1 / 23, into: gradient).0
    }
    #expect(abs(tallies[0].loss - tallies[1].loss) < 1e-5 * abs(tallies[1].loss))
    #expect(Double(tallies[0].tokens) < 0.8 * Double(tallies[1].tokens))
    var (difference, size) = (0.0, 0.0)
    for index in 0..<transformer.layout.count {
      let (a, b) = (Double(gradients[0].base[index]), Double(gradients[1].base[index]))
      difference += (a - b) * (a - b)
      size += b * b
    }
    #expect(size > 0 && (difference / size).squareRoot() < 1e-5)
  }
}
