/// How a user's history becomes the text that a model reads.
public struct PromptTemplate: Equatable, Sendable {
  /// What stands for the history in a template.
  public static let placeholder = "{history}"

  /// The text around the titles; without a placeholder it is the same prompt for everybody (distributions).
  public var template: String
  /// What stands between two titles.
  public var separator: String
  /// Number of most recent items that are shown.
  public var historyLength: Int
  /// Most tokens of a prompt.
  public var maxTokens: Int

  public init(template: String, separator: String, historyLength: Int, maxTokens: Int) {
    self.template = template
    self.separator = separator
    self.historyLength = historyLength
    self.maxTokens = maxTokens
  }

  public init(_ prompt: Recipe.Prompt) {
    self.init(
      template: prompt.template, separator: prompt.separator, historyLength: prompt.historyLength,
      maxTokens: prompt.maxTokens)
  }

  /// The template's text around its placeholders: one piece more than there are placeholders.
  private var pieces: [String] {
    // Cut by bytes: as characters, a combining mark after the placeholder would hide it.
    template.utf8.split(separator: Self.placeholder.utf8, omittingEmptySubsequences: false).map { String($0)! }
  }

  /// Whether the prompt depends on the history.
  public var showsHistory: Bool { pieces.count > 1 }

  /// The prompt of a history of titles, oldest first, of which the last `historyLength` are shown.
  public func text(history: [String]) -> String {
    pieces.joined(separator: history.suffix(max(0, historyLength)).joined(separator: separator))
  }

  /// The tokens of a prompt, and how many items it does not show for lack of room.
  public struct Encoded: Equatable, Sendable {
    public var tokens: [Int32]
    /// Number of oldest items among the last `historyLength` that were dropped.
    public var dropped: Int
  }

  /// The tokens of the prompt of a history of titles, oldest first. A prompt of more than `maxTokens` drops its oldest
  /// items, never text of the template.
  ///
  /// - Throws: `FlowerError` of kind `usage` if the template alone is too long.
  public func encoded(history: [String], encode: (String) throws -> [Int32]) throws -> Encoded {
    let shown = showsHistory ? history.suffix(max(0, historyLength)) : []
    for dropped in 0...shown.count {
      let tokens = try encode(text(history: Array(shown.dropFirst(dropped))))
      if tokens.count <= maxTokens { return Encoded(tokens: tokens, dropped: dropped) }
    }
    throw FlowerError(
      .usage, "prompt.template alone has more than \(maxTokens) tokens: shorten it or raise prompt.max_tokens")
  }

  /// - Throws: `FlowerError` of kind `usage` if a dataset with histories would be trained without showing them.
  public func check(for dataset: Dataset) throws {
    guard dataset.isDistribution || showsHistory else {
      throw FlowerError(
        .usage,
        "prompt.template has no \(Self.placeholder), but the examples of \(dataset.name) have histories: without it"
          + " every user gets the same prompt")
    }
  }
}
