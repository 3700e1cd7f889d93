import Testing

@testable import FlowerDist

@Suite struct ItemTokenizerTests {
  /// Titles that begin, end or repeat each other, in both compositions of é, with spaces and quotes at their ends.
  static let titles = [
    "A", "AB", "A B", " A", "A ", "Caf\u{E9}", "Cafe\u{301}", "\"", "a\r", "\u{1F642}", "AB", "\t", "\u{2028}x",
  ]
  /// The second "AB" is the same title.
  static let ids: [Int32] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 2, 11, 12]

  private func rewritten(_ tokenizer: Tokenizer) throws -> Tokenizer {
    let scratch = try ScratchDirectory()
    try tokenizer.write(to: scratch("tokenizer.json"))
    return try Tokenizer(contentsOf: scratch("tokenizer.json"))
  }

  @Test func everyTitleIsOneTokenAlsoInATextOfLines() throws {
    let made = try Tokenizer.items(titles: Self.titles)
    let read = try rewritten(made)
    #expect(read == made && read.isOfItems)
    for tokenizer in [made, read] {
      #expect(tokenizer.vocabularySize == 13)
      #expect(Self.titles.map { tokenizer.encode($0) } == Self.ids.map { [$0] })
      #expect(tokenizer.encode(Self.titles.joined(separator: "\n")) == Self.ids)
      #expect(tokenizer.encode("") == [] && tokenizer.token(for: "\n") == 0)
      #expect(Self.ids.map { tokenizer.decode([$0]) } == Self.titles.map { Array($0.utf8) })
    }
    #expect(!Tokenizer.bytes.isOfItems)
  }

  @Test func whatIsNoTitle() {
    for title in ["", "\n", "A\nB"] {
      let error = flowerError { _ = try Tokenizer.items(titles: ["A", title]) }
      #expect(error?.kind == .data && error?.description.hasPrefix("item 1") == true)
    }
  }

  static func catalogue(_ titles: [String], _ tokenizer: Tokenizer) throws -> Catalogue {
    let train = (0..<titles.count - 1).map { Interaction(history: [Int32($0)], item: Int32($0 + 1)) }
    var prompt = Recipe.Prompt()
    (prompt.template, prompt.separator) = ("{history}", "\n")
    return try Catalogue(
      dataset: Dataset(name: "made up", titles: titles, train: train, valid: train, test: train), tokenizer: tokenizer,
      prompt: prompt, terminator: "\n", reward: Recipe.Reward())
  }

  @Test func theTreeHasDepthOneAndPromptsAreItems() throws {
    let catalogue = try Self.catalogue(Self.titles, .items(titles: Self.titles))
    catalogue.tree.checkInvariants()
    #expect(catalogue.tree.nodeCount == 13 && catalogue.tree.depth.max() == 1)
    #expect(catalogue.tree.leafOfItem == Self.ids.map { $0 - 1 })
    #expect(try catalogue.prompt(history: [3, 10, 0]).tokens == [4, 2, 1])
    #expect(try catalogue.prompt(history: []).tokens == [0], "the line break begins an empty history")
    #expect(catalogue.supervisedScale(.catalogue) == 1)
  }

  /// Even one whose characters are titles.
  @Test func aTitleThatTheModelDoesNotKnow() throws {
    let tokenizer = try Tokenizer.items(titles: ["A", "B"])
    for title in ["AB", "C"] {
      let error = flowerError { _ = try Self.catalogue(["A", title], tokenizer) }
      #expect(error?.kind == .data && error?.description.hasPrefix("item 1 (\(title.quoted))") == true)
    }
  }

  @Test func recipesThatDoNotGoTogether() {
    func problems(_ more: String) -> String {
      flowerError {
        _ = try Recipe.read(
          yaml: """
            data: {path: data}
            training: {steps: 1}
            tokenizer: {kind: items}
            \(more)
            """, file: "r.yaml")
      }?.description ?? ""
    }
    let prompt = #"prompt: {template: "{history}", separator: "\n"}"#
    let objective = "objective: {name: sft, sft_support: catalogue}"
    #expect(problems(prompt + "\n" + objective) == "")
    #expect(problems(objective).contains("prompt.template must be"))
    #expect(problems(prompt).contains("objective.sft_support catalogue"))
    #expect(problems("\(prompt)\n\(objective)\nreward: {score: model}").contains("need reward.score_path"))
    #expect(problems("\(prompt)\n\(objective)\nreward: {score_path: x}").contains("no other takes one"))
  }
}
