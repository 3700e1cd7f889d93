/// How text is cut into pieces before merging; no token reaches from one piece into the next.
struct PreTokenizer: Equatable, Sendable {
  enum Step: Equatable, Sendable {
    case split(TextSplit)
    /// GPT-2's step, always the last: a space before a piece that has none (`addPrefixSpace`), then `SplitPattern.gpt2`
    /// (`useRegex`).
    case byteLevel(addPrefixSpace: Bool, useRegex: Bool)
  }

  var steps: [Step]

  /// The whole text is one piece.
  static let none = PreTokenizer(steps: [.byteLevel(addPrefixSpace: false, useRegex: false)])
  /// GPT-2's.
  static let gpt2 = PreTokenizer(steps: [.byteLevel(addPrefixSpace: false, useRegex: true)])
  /// Qwen2's.
  static let qwen2 = PreTokenizer(steps: [
    .split(TextSplit(.published(.qwen2))), .byteLevel(addPrefixSpace: false, useRegex: false),
  ])

  /// Bytes with the pieces that they are cut into, in order; what is between them is left out.
  struct Pieces {
    var bytes: [UInt8]
    var ranges: [Range<Int>]
  }

  /// - Parameter text: valid UTF-8.
  func split(_ text: [UInt8]) -> Pieces {
    var pieces = Pieces(bytes: text, ranges: text.isEmpty ? [] : [text.indices])
    for step in steps {
      switch step {
      case .split(let split): pieces.cut(split)
      case .byteLevel(let addPrefixSpace, let useRegex):
        if addPrefixSpace { pieces.addPrefixSpaces() }
        if useRegex { pieces.cut(TextSplit(.published(.gpt2))) }
      }
    }
    return pieces
  }
}

extension PreTokenizer.Pieces {
  fileprivate mutating func cut(_ split: TextSplit) {
    var result: [Range<Int>] = []
    let (bytes, ranges) = (bytes, ranges)
    let text = bytes.span
    for range in ranges { split.appendPieces(of: text.extracting(range), offset: range.lowerBound, to: &result) }
    self.ranges = result
  }

  fileprivate mutating func addPrefixSpaces() {
    let space = UInt8(ascii: " ")
    var result = Self(bytes: [], ranges: [])
    for range in ranges {
      let start = result.bytes.count
      if bytes[range.lowerBound] != space { result.bytes.append(space) }
      result.bytes.append(contentsOf: bytes[range])
      result.ranges.append(start..<result.bytes.count)
    }
    self = result
  }
}
