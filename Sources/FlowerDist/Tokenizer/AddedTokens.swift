/// A token that stands in the text as it is and is found before anything else, such as `<|im_end|>`.
struct AddedToken: Equatable, Sendable {
  var id: Int32
  var content: String
  /// Whether decoders may skip it; no matter here, kept for writing.
  var isSpecial: Bool
  /// Whether it is looked for in the normalised text instead of the text as given.
  var isNormalized: Bool
  /// Whether the file lists it in the model's vocabulary too; the `tokenizers` library derives ids from that.
  var isInModel: Bool
}

/// Finds added tokens in text: at the leftmost place, and there the longest.
struct AddedTokenMatcher: Equatable, Sendable {
  private struct Entry: Equatable {
    let id: Int32
    let content: [UInt8]
  }

  /// Longest first.
  private let entries: [Entry]
  private var isFirstByte = [Bool](repeating: false, count: 256)

  enum Part: Equatable {
    case text([UInt8])
    case token(Int32)
  }

  /// - Parameter tokens: contents as they are to be found; none is empty.
  init(_ tokens: [(id: Int32, content: String)]) {
    entries = tokens.map { Entry(id: $0.id, content: Array($0.content.utf8)) }
      .sorted { $0.content.count > $1.content.count }
    for entry in entries { isFirstByte[Int(entry.content[0])] = true }
  }

  /// The text cut at the tokens; no part is empty.
  func split(_ text: [UInt8]) -> [Part] {
    guard !entries.isEmpty else { return text.isEmpty ? [] : [.text(text)] }
    var parts: [Part] = []
    var start = 0
    var position = 0
    while position < text.count {
      guard isFirstByte[Int(text[position])],
        let match = entries.first(where: { text[position...].starts(with: $0.content) })
      else {
        position += 1
        continue
      }
      if start < position { parts.append(.text(Array(text[start..<position]))) }
      parts.append(.token(match.id))
      position += match.content.count
      start = position
    }
    if start < text.count { parts.append(.text(Array(text[start...]))) }
    return parts
  }
}
