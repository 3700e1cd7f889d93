/// A step that finds delimiters in a text and cuts it at them.
struct TextSplit: Equatable, Sendable {
  enum Delimiter: Equatable, Sendable {
    /// One of the patterns that everything matches, by a scanner.
    case published(SplitPattern)
    case regex(BoundedRegex)
    /// A text as it is.
    case text(BoundedRegex)
    /// Every character of category N.
    case digits
    /// Every character of category P or one of ASCII's `$+<=>^`|~`.
    case punctuation
  }

  /// What becomes of the delimiters.
  enum Behavior: String, CaseIterable, Sendable {
    /// They are pieces.
    case isolated = "Isolated"
    /// They are left out.
    case removed = "Removed"
    /// They belong to what is before them; those that follow another are pieces.
    case mergedWithPrevious = "MergedWithPrevious"
    /// They belong to what is behind them; those that another follows are pieces.
    case mergedWithNext = "MergedWithNext"
    /// Runs of them are pieces.
    case contiguous = "Contiguous"
  }

  var delimiter: Delimiter
  var behavior = Behavior.isolated
  /// Whether what is not found is the delimiter.
  var isInverted = false

  /// - Throws: where a regular expression could match nothing and that would matter.
  init(_ regex: BoundedRegex, _ behavior: Behavior, isInverted: Bool) throws(RegexError) {
    if regex.canBeEmpty, behavior != .isolated {
      throw RegexError(feature: "matches of nothing, unless behavior is Isolated", character: 1)
    }
    // Whole texts match, so inverting makes no difference to isolated pieces.
    let published = SplitPattern.allCases.first { $0.regex.utf8.elementsEqual(regex.pattern.utf8) }
    if behavior == .isolated, let published {
      self.init(.published(published), behavior, isInverted: isInverted)
    } else {
      self.init(.regex(regex), behavior, isInverted: isInverted)
    }
  }

  init(_ delimiter: Delimiter, _ behavior: Behavior = .isolated, isInverted: Bool = false) {
    self.delimiter = delimiter
    self.behavior = behavior
    self.isInverted = isInverted
  }

  /// Appends the pieces of a text of valid UTF-8, none of which is empty, with `offset` added to their bounds.
  func appendPieces(of text: Span<UInt8>, offset: Int, to pieces: inout [Range<Int>]) {
    for part in merged(parts(of: text)) where !part.isEmpty {
      pieces.append(offset + part.lowerBound..<offset + part.upperBound)
    }
  }

  private typealias Part = (range: Range<Int>, isDelimiter: Bool)

  /// The text cut before and behind every match.
  private func parts(of text: Span<UInt8>) -> [Part] {
    var parts: [Part] = []
    var start = 0
    for match in matches(in: text) {
      if start < match.lowerBound { parts.append((start..<match.lowerBound, isInverted)) }
      parts.append((match, !isInverted))
      start = match.upperBound
    }
    if start < text.count { parts.append((start..<text.count, isInverted)) }
    return parts
  }

  private func matches(in text: Span<UInt8>) -> [Range<Int>] {
    switch delimiter {
    case .published(let pattern): return Self.pieces(pattern, of: text)
    case .regex(let regex), .text(let regex): return regex.matches(in: text)
    case .digits: return Self.characters(of: Self.digits, in: text)
    case .punctuation: return Self.characters(of: Self.punctuation, in: text)
    }
  }

  private static func pieces(_ pattern: SplitPattern, of text: Span<UInt8>) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    var start = 0
    while start < text.count {
      let end = pattern.end(ofPieceAt: start, in: text)
      pieces.append(start..<end)
      start = end
    }
    return pieces
  }

  private static let digits = ScalarSet(.number)
  private static let punctuation = "$+<=>^`|~".unicodeScalars.reduce(ScalarSet(.punctuation)) {
    $0.union(ScalarSet($1))
  }

  private static func characters(of set: ScalarSet, in text: Span<UInt8>) -> [Range<Int>] {
    var matches: [Range<Int>] = []
    var start = 0
    while start < text.count {
      let (scalar, end) = text.scalar(at: start)
      if set.contains(scalar) { matches.append(start..<end) }
      start = end
    }
    return matches
  }

  /// The parts as `behavior` joins them or leaves them out.
  private func merged(_ parts: [Part]) -> [Range<Int>] {
    switch behavior {
    case .isolated: return parts.map(\.range)
    case .removed: return parts.filter { !$0.isDelimiter }.map(\.range)
    case .contiguous:
      return Self.joined(parts) { previous, part in previous == part.isDelimiter }
    case .mergedWithPrevious:
      return Self.joined(parts) { previous, part in part.isDelimiter && !previous }
    case .mergedWithNext:
      return Self.joined(parts.reversed()) { previous, part in part.isDelimiter && !previous }.reversed()
    }
  }

  /// Joins a part to the one before it in the list if `joins` says so, given whether that one is a delimiter; before
  /// the first there is none.
  private static func joined(_ parts: [Part], joins: (Bool, Part) -> Bool) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var previous = false
    for part in parts {
      if joins(previous, part), let last = result.last {
        result[result.count - 1] =
          min(last.lowerBound, part.range.lowerBound)..<max(last.upperBound, part.range.upperBound)
      } else {
        result.append(part.range)
      }
      previous = part.isDelimiter
    }
    return result
  }
}
