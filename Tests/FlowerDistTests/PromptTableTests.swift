import Testing

@testable import FlowerDist

@Suite struct PromptTableTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let prompts: [[Int32]] = [[3, 1, 4], [], [1], [5, 9, 2, 6]]

  private func table(rows: Int = 4, vocabulary: Int = 10) throws -> PromptTable? {
    PromptTable(try MappedFile(path: "\(directory.path)/table"), rows: rows, vocabulary: vocabulary)
  }

  @Test func holdsWhatWasWritten() throws {
    try PromptTable.write(to: "\(directory.path)/table", rows: 4) { Self.prompts[$0] }
    let table = try #require(try table())
    #expect((0..<4).map { table[$0] } == Self.prompts)
    #expect(try self.table(rows: 3) == nil && self.table(vocabulary: 9) == nil)
  }

  @Test func noDamageIsRead() throws {
    try PromptTable.write(to: "\(directory.path)/table", rows: 4) { Self.prompts[$0] }
    let whole = try File.contents(of: "\(directory.path)/table")
    for place in whole.indices {
      var bytes = whole
      bytes[place] ^= 1
      try File(writing: "\(directory.path)/table").write(bytes)
      #expect(try table() == nil, "byte \(place)")
      try File(writing: "\(directory.path)/table").write(Array(whole[..<place]) + [0])
      #expect(try table() == nil, "cut at \(place)")
    }
  }

  @Test(arguments: [Recipe.Training.Batching.window, .user]) func aStreamTakesPromptsFromIt(
    batching: Recipe.Training.Batching
  ) throws {
    let catalogue = try Catalogue(
      dataset: .generated(titles: 30, examples: 230, seed: 3), tokenizer: .bytes, prompt: Recipe.Prompt(),
      terminator: "\n", reward: Recipe.Reward())
    var recipe = Recipe.Training()
    (recipe.globalBatch, recipe.grains, recipe.batching, recipe.userTargets) = (23, 1, batching, 4)
    var plain = ExampleStream(catalogue, recipe)
    let examples = try (0..<20).map { try plain.microBatches(step: $0, grain: 0)[0].map(\.prompt) }
    let files = "\(directory.path)/prompts"
    for attempt in 0..<3 {
      var stream = ExampleStream(catalogue, recipe)
      #expect(try stream.cachePrompts(in: files, SingleProcess(), beat: {}) == nil)
      #expect(stream.prompts != nil)
      #expect(try (0..<20).map { try stream.microBatches(step: $0, grain: 0)[0].map(\.prompt) } == examples)
      let names = try Directory.names(in: files)
      #expect(names.count == 1)
      // Found by the second, replaced by the third.
      if attempt == 1 { try File(writing: "\(files)/\(names[0])").write(Array("FDPROMPT".utf8)) }
    }
    recipe.batching = batching == .user ? .window : .user
    #expect(try ExampleStream(catalogue, recipe).promptDigest() != plain.promptDigest())
  }

  @Test func aStreamGoesOnWithoutIt() throws {
    var stream = ExampleStream(try ExampleStreamTests.catalogue(), ExampleStreamTests.recipe())
    try File(writing: "\(directory.path)/file").write([1])
    let problem = try stream.cachePrompts(in: "\(directory.path)/file/prompts", SingleProcess(), beat: {})
    #expect(problem?.contains("tokenised as they come") == true && stream.prompts == nil)
    #expect(try ExampleStreamTests.step(&stream, 0).count == ExampleStreamTests.batch)
  }
}
