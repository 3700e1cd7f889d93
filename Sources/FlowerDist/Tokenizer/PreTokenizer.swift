/// How text is cut into pieces before merging; no token reaches from one piece into the next.
struct PreTokenizer: Equatable, Sendable {
  enum Step: Equatable, Sendable {
    case split(SplitPattern)
    /// Numbers are pieces of their own: every character, or every run of them.
    case digits(individual: Bool)
    /// GPT-2's step, always the last: a space before a piece that has none (`addPrefixSpace`), then `SplitPattern.gpt2`
    /// (`useRegex`).
    case byteLevel(addPrefixSpace: Bool, useRegex: Bool)
  }

  var steps: [Step]

  /// The whole text is one piece.
  static let none = PreTokenizer(steps: [.byteLevel(addPrefixSpace: false, useRegex: false)])
  /// GPT-2's.
  static let gpt2 = PreTokenizer(steps: [.byteLevel(addPrefixSpace: false, useRegex: true)])

  /// Bytes with the pieces that they are cut into, in order and without gaps.
  struct Pieces {
    var bytes: [UInt8]
    var ranges: [Range<Int>]
  }

  /// - Parameter text: valid UTF-8.
  func split(_ text: [UInt8]) -> Pieces {
    var pieces = Pieces(bytes: text, ranges: text.isEmpty ? [] : [text.indices])
    for step in steps {
      switch step {
      case .split(let pattern):
        pieces.cut(pattern)
      case .digits(let individual):
        pieces.cutDigits(individual: individual)
      case .byteLevel(let addPrefixSpace, let useRegex):
        if addPrefixSpace { pieces.addPrefixSpaces() }
        if useRegex { pieces.cut(.gpt2) }
      }
    }
    return pieces
  }
}

extension PreTokenizer.Pieces {
  fileprivate mutating func cut(_ pattern: SplitPattern) {
    cut { range, bytes in pattern.end(ofFirst: range, in: bytes) }
  }

  fileprivate mutating func cutDigits(individual: Bool) {
    cut { range, bytes in
      var (first, end) = bytes.scalar(at: range.lowerBound)
      let isNumber = ScalarKind(first) == .number
      if isNumber && individual { return end }
      while end < range.upperBound, case let next = bytes.scalar(at: end),
        (ScalarKind(next.scalar) == .number) == isNumber
      {
        end = next.end
      }
      return end
    }
  }

  /// Cuts every piece by a function that tells where the first piece of a range ends.
  private mutating func cut(endOfFirst: (Range<Int>, [UInt8]) -> Int) {
    var result: [Range<Int>] = []
    for range in ranges {
      var start = range.lowerBound
      while start < range.upperBound {
        let end = endOfFirst(start..<range.upperBound, bytes)
        result.append(start..<end)
        start = end
      }
    }
    ranges = result
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
