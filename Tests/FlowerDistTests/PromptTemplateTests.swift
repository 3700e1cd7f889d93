import Testing

@testable import FlowerDist

@Suite struct PromptTemplateTests {
  private func prompt(_ template: String, length: Int = 3, tokens: Int = 100) -> PromptTemplate {
    PromptTemplate(template: template, separator: " | ", historyLength: length, maxTokens: tokens)
  }

  private let bytes: (String) -> [Int32] = { $0.utf8.map { Int32($0) } }

  @Test func showsTheMostRecentItemsOldestFirst() {
    let usual = prompt("History: {history}\nNext:")
    #expect(usual.text(history: ["A", "B", "C", "D"]) == "History: B | C | D\nNext:")
    #expect(usual.text(history: ["A"]) == "History: A\nNext:")
    #expect(usual.text(history: []) == "History: \nNext:")
    #expect(prompt("{history}", length: 0).text(history: ["A"]) == "")
  }

  @Test func titlesAreNoTemplates() {
    #expect(prompt("<{history}>").text(history: ["{history}", "B"]) == "<{history} | B>")
    // A combining mark after the placeholder belongs to the text after it.
    #expect(Array(prompt("{history}\u{301}").text(history: ["e"]).utf8) == Array("e\u{301}".utf8))
  }

  @Test func dropsTheOldestItemsUntilItFits() throws {
    let history = ["AAAA", "BBBB", "CC"]  // 3 + 4 + 3 + 4 + 3 + 2 bytes with "<", ">" and "!"
    for (room, expected, dropped) in [
      (19, "<AAAA | BBBB | CC>!", 0), (18, "<BBBB | CC>!", 1), (12, "<BBBB | CC>!", 1), (11, "<CC>!", 2), (4, "<>!", 3),
      (3, "<>!", 3),
    ] {
      let encoded = try prompt("<{history}>!", tokens: room).encoded(history: history, encode: bytes)
      #expect(encoded.tokens == bytes(expected), "\(room)")
      #expect(encoded.dropped == dropped, "\(room)")
    }
    let error = #expect(throws: FlowerError.self) {
      try prompt("<{history}>!", tokens: 2).encoded(history: history, encode: bytes)
    }
    #expect(error?.kind == .usage)
  }

  @Test func itemsBeyondTheLengthAreNotCountedAsDropped() throws {
    let encoded = try prompt("{history}", length: 2, tokens: 4).encoded(history: ["A", "B", "C"], encode: bytes)
    #expect(encoded == PromptTemplate.Encoded(tokens: bytes("C"), dropped: 1))
  }

  @Test func onlyDistributionsNeedNoHistory() throws {
    let fixed = prompt("A title:")
    #expect(try fixed.encoded(history: ["A"], encode: bytes) == .init(tokens: bytes("A title:"), dropped: 0))
    try fixed.check(for: Dataset(name: "", titles: ["A"], weights: [1]))
    let histories = Dataset(
      name: "", titles: ["A"], train: [Interaction(history: [], item: 0)], valid: [], test: [])
    #expect(throws: FlowerError.self) { try fixed.check(for: histories) }
    try prompt("{history}").check(for: histories)
  }
}
