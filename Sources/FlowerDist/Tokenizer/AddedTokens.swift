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
  /// Whether it is found only where no word goes on before or behind it.
  var isSingleWord = false
  /// Whether the white space before it belongs to it, and that behind it.
  var stripsLeft = false
  var stripsRight = false
}

/// Finds added tokens in text: at the leftmost place, and there the longest.
struct AddedTokenMatcher: Equatable, Sendable {
  private struct Entry: Equatable {
    let token: AddedToken
    /// What is to be found.
    let content: [UInt8]
  }

  /// By their bytes; no two have the same.
  private let entries: [Entry]
  /// The entries that begin with a byte.
  private var entriesByFirstByte = [Range<Int>](repeating: 0..<0, count: 256)

  enum Part: Equatable {
    case text(Range<Int>)
    case token(Int32)
  }

  /// - Parameter tokens: by id, with the bytes that are to be found. Without bytes a token is never found, and of
  ///   several with the same only the first.
  init(_ tokens: [(token: AddedToken, content: [UInt8])]) {
    var entries: [Entry] = []
    var contents = Set<[UInt8]>()
    for (token, content) in tokens where !content.isEmpty && contents.insert(content).inserted {
      entries.append(Entry(token: token, content: content))
    }
    entries.sort { $0.content.lexicographicallyPrecedes($1.content) }
    self.entries = entries
    for (index, entry) in entries.enumerated() {
      let byte = Int(entry.content[0])
      let range = entriesByFirstByte[byte]
      entriesByFirstByte[byte] = (range.isEmpty ? index : range.lowerBound)..<index + 1
    }
  }

  /// The text cut at the tokens, whose ids are between the parts that are left; no part is empty.
  ///
  /// As the `tokenizers` library does it, also where a token takes white space that begins the next one.
  func split(_ text: Span<UInt8>) -> [Part] {
    guard !entries.isEmpty else { return text.isEmpty ? [] : [.text(0..<text.count)] }
    var parts: [Part] = []
    /// Where the text begins that is in no part yet.
    var rest = 0
    var position = 0
    while position < text.count {
      guard let entry = longestEntry(at: position, in: text) else {
        position += 1
        continue
      }
      var (start, end) = (position, position + entry.content.count)
      position = end
      if entry.token.isSingleWord, text.endsWithWord(start) || text.beginsWithWord(end) { continue }
      if entry.token.stripsLeft { start = max(text.spaceStart(before: start, notBefore: rest), rest) }
      // Inside the white space that the token before took, it is known where that ends.
      if entry.token.stripsRight { end = end <= rest ? rest : text.spaceEnd(from: end) }
      if rest < start { parts.append(.text(rest..<start)) }
      parts.append(.token(entry.token.id))
      rest = end
    }
    if rest < text.count { parts.append(.text(rest..<text.count)) }
    return parts
  }

  /// O(length of the longest token · log(tokens)).
  private func longestEntry(at start: Int, in text: Span<UInt8>) -> Entry? {
    var range = entriesByFirstByte[Int(text[start])]
    var longest: Entry?
    var length = 1
    // The entries of `range` begin with these `length` bytes of the text; one of that length comes first.
    while !range.isEmpty {
      if entries[range.lowerBound].content.count == length { longest = entries[range.lowerBound] }
      guard start + length < text.count else { break }
      let byte = Int(text[start + length])
      func firstIndex(from next: Int) -> Int {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
          let middle = (low + high) / 2
          let content = entries[middle].content
          if content.count > length, Int(content[length]) >= next { high = middle } else { low = middle + 1 }
        }
        return low
      }
      range = firstIndex(from: byte)..<firstIndex(from: byte + 1)
      length += 1
    }
    return longest
  }
}

extension Span<UInt8> {
  /// Whether a word character (`\w` of Rust's regular expressions) ends here.
  fileprivate func endsWithWord(_ end: Int) -> Bool {
    end > 0 && Self.isWord(scalar(at: scalarStart(before: end)).value)
  }

  /// Whether a word character begins here.
  fileprivate func beginsWithWord(_ start: Int) -> Bool { start < count && Self.isWord(scalar(at: start).value) }

  private static func isWord(_ scalar: UInt32) -> Bool {
    // The joiners belong to words too.
    ScalarAtom.Mask.word.contains(ScalarAtom(scalar)) || scalar == 0x200C || scalar == 0x200D
  }

  /// Where the white space begins that ends at `end`, as far as `limit`.
  fileprivate func spaceStart(before end: Int, notBefore limit: Int) -> Int {
    var start = end
    while start > limit, case let before = scalarStart(before: start), Self.isSpace(scalar(at: before).value) {
      start = before
    }
    return start
  }

  fileprivate func spaceEnd(from start: Int) -> Int {
    var end = start
    while end < count, case let next = scalar(at: end), Self.isSpace(next.value) { end = next.end }
    return end
  }

  private static func isSpace(_ scalar: UInt32) -> Bool { ScalarAtom.Mask.space.contains(ScalarAtom(scalar)) }
}
