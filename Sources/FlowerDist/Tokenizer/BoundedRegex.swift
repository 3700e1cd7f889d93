/// A regular expression from a file, whose matching is bounded in time and memory whatever the file says.
///
/// Foundation's regular expressions (ICU) are no match for this: they backtrack exponentially on a hostile pattern, no
/// limit can be set from Swift, and the meaning of a pattern differs from Oniguruma's, which the `tokenizers` library
/// uses. `RegexParser` says what is read.
struct BoundedRegex: Equatable, Sendable {
  let pattern: String
  /// Whether the pattern is a text and no regular expression.
  let isLiteral: Bool
  /// Whether it can match without taking a character.
  let canBeEmpty: Bool
  /// The bytes that a match that is not empty begins with, or some more.
  let firstBytes: ByteSet
  let program: RegexProgram
  /// The same without `run`, for the matcher's notes.
  let expanded: RegexProgram

  init(_ pattern: String) throws(RegexError) {
    try self.init(pattern, RegexParser.parse(pattern), isLiteral: false)
  }

  /// Finds a text, which is not empty.
  init(literal text: String) throws(RegexError) {
    try self.init(text, .sequence(text.unicodeScalars.map { .set(ScalarSet($0)) }), isLiteral: true)
  }

  private init(_ pattern: String, _ node: RegexNode, isLiteral: Bool) throws(RegexError) {
    self.pattern = pattern
    self.isLiteral = isLiteral
    canBeEmpty = node.canBeEmpty
    firstBytes = node.firstBytes
    program = try RegexProgram(node, usesRuns: true)
    expanded = try RegexProgram(node, usesRuns: false)
  }

  static func == (a: BoundedRegex, b: BoundedRegex) -> Bool {
    a.isLiteral == b.isLiteral && a.pattern.utf8.elementsEqual(b.pattern.utf8)
  }

  /// All matches from left to right, as Oniguruma's Rust bindings iterate over them: none overlaps another, and an
  /// empty one does not follow another at once.
  ///
  /// - Parameter stepsPerByte: after how much work the matcher begins to take notes; published patterns take about two.
  func matches(in text: Span<UInt8>, stepsPerByte: Int = 64) -> [Range<Int>] {
    var matcher = RegexMatcher(self, stepsPerByte: stepsPerByte)
    var matches: [Range<Int>] = []
    var start = 0
    while start <= text.count, let match = matcher.firstMatch(in: text, from: start) {
      if match.isEmpty, match.lowerBound == matches.last?.upperBound {
        guard start < text.count else { break }
        start = text.scalar(at: start).end
      } else {
        matches.append(match)
        start = match.upperBound
      }
    }
    return matches
  }
}
