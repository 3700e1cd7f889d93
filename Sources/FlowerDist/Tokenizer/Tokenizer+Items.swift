extension Tokenizer {
  /// The text between two titles, and the token that begins an empty prompt and ends a title.
  static let itemSeparator = "\n"

  /// One token per distinct title (by its bytes): token 0 is the line break, the others are titles in the order given.
  ///
  /// A text of one title a line is one token for each of them; the line breaks between are left out. A language model
  /// over these tokens is a sequential recommender over item ids. The file is an ordinary `tokenizer.json`: byte-level BPE
  /// without merges, whose vocabulary has every title whole (`ignore_merges`).
  ///
  /// - Throws: `FlowerError` of kind `data` for a title that is empty or has a line break, and for too many of them.
  static func items(titles: [String]) throws -> Tokenizer {
    var tokens = [Array(itemSeparator.utf8)]
    var known = Set(tokens)
    for (item, title) in titles.enumerated() {
      let bytes = Array(title.utf8)
      guard !bytes.isEmpty, !bytes.contains(UInt8(ascii: "\n")) else {
        throw FlowerError(.data, "item \(item) (\(title.quoted)): expected a title of one line that is not empty")
      }
      if known.insert(bytes).inserted { tokens.append(bytes) }
    }
    guard tokens.count <= Vocabulary.idLimit else {
      throw FlowerError(
        .data, "\(tokens.count - 1) distinct titles; tokenizer.kind items has room for \(Vocabulary.idLimit - 1)")
    }
    return Tokenizer(
      vocabulary: try Vocabulary(tokens, file: "the titles"), merges: MergeTable([]), preTokenizer: .lines,
      ignoresMerges: true)
  }

  /// Whether the tokens are whole titles, so that a title that is no token cannot be written.
  var isOfItems: Bool { ignoresMerges && preTokenizer == .lines && !vocabulary.isComplete }
}

extension PreTokenizer {
  /// The lines of the text, without the line breaks.
  fileprivate static let lines: PreTokenizer = {
    guard let lineBreak = try? BoundedRegex(literal: Tokenizer.itemSeparator) else {
      preconditionFailure("a line break is a pattern")
    }
    return PreTokenizer(steps: [
      .split(TextSplit(.text(lineBreak), .removed)), .byteLevel(addPrefixSpace: false, useRegex: false),
    ])
  }()
}
