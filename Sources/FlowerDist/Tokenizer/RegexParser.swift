/// What a regular expression has that is not read: "a lookbehind (?<=" at a character.
struct RegexError: Error, Equatable {
  /// With its article, as in "expected a regular expression without …".
  var feature: String
  /// From 1.
  var character: Int
}

/// Reads Oniguruma's syntax, which `tokenizer.json` files are written in, as far as tokenizers use it.
///
/// Read are characters, `.`, `\n \r \t \f \v \a \e`, `\xHH \uHHHH \x{…}`, `\s \S \d \D \w \W`, `\p{…} \P{…} \p{^…}` of
/// general categories, classes with ranges, negation, nesting and `&&`, `(…) (?:…) (?i:…) (?-i:…) (?>…) (?=…) (?!…)`,
/// `|`, `? * +` with `?` or `+` behind, `{n} {m,n} {m,} {,n}`, `^ $ \A \z`. Everything else is an error that names it.
///
/// Without regard to case an ASCII letter is itself, its other case, and `ſ` (U+017F) for s and `K` (U+212A) for k. What
/// would need more of Unicode's case folding is an error.
struct RegexParser {
  /// In characters; the longest published pattern has about 700.
  static let longestPattern = 8192
  /// Of groups and classes.
  static let deepestNesting = 32
  static let largestRepeat = 1000

  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var depth = 0
  private var ignoresCase = false

  static func parse(_ pattern: String) throws(RegexError) -> RegexNode {
    var parser = RegexParser(scalars: Array(pattern.unicodeScalars.prefix(longestPattern + 1)))
    if parser.scalars.count > longestPattern {
      throw parser.error("more than \(longestPattern) characters", at: longestPattern)
    }
    let node = try parser.alternatives()
    if parser.position < parser.scalars.count { throw parser.error("a ) that closes nothing") }
    return node
  }

  private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

  // MARK: Structure

  private mutating func alternatives() throws(RegexError) -> RegexNode {
    var branches = [try sequence()]
    while skip("|") { branches.append(try sequence()) }
    return branches.count == 1 ? branches[0] : .alternatives(branches)
  }

  private mutating func sequence() throws(RegexError) -> RegexNode {
    var nodes: [RegexNode] = []
    var previous: Unicode.Scalar?
    while let next = peek, next != "|", next != ")" {
      let start = position
      let node = try item()
      // A single character that was written as itself.
      let letter = ignoresCase && position == start + 1 ? next.properties.lowercaseMapping : nil
      if let previous, let letter, Self.ligatures.contains("\(previous)\(letter)") {
        throw error("letters of a ligature, \"\(previous)\(letter)\", without regard to case", at: start - 1)
      }
      previous = letter?.unicodeScalars.first
      nodes.append(try quantified(node))
    }
    return nodes.count == 1 ? nodes[0] : .sequence(nodes)
  }

  /// What ß, ﬀ, ﬁ, ﬂ and ﬆ are without regard to case.
  private static let ligatures: Set<String> = ["ss", "ff", "fi", "fl", "st"]

  private mutating func quantified(_ node: RegexNode) throws(RegexError) -> RegexNode {
    let start = position
    guard let (minimum, maximum, isInterval) = try quantifier() else { return node }
    var mode = RegexNode.Mode.greedy
    var repeatsAgain = false
    if skip("?") {
      if isInterval && minimum == maximum { throw error("{n}?", at: start) }
      mode = .lazy
    } else if skip("+") {
      // Behind an interval it is not possessive: that is repeated once or more.
      if isInterval { repeatsAgain = true } else { mode = .possessive }
    }
    if let next = peek, next == "?" || next == "*" || next == "+" || next == "{" {
      throw error("a quantifier behind a quantifier")
    }
    if maximum != 1 || repeatsAgain, node.canBeEmpty {
      throw error("a repetition of what can match nothing", at: start)
    }
    var result = RegexNode.repeated(node, minimum: minimum, maximum: maximum, mode)
    if repeatsAgain {
      if minimum == 0 { throw error("a repetition of what can match nothing", at: start) }
      result = .repeated(result, minimum: 1, maximum: nil, .greedy)
    }
    return result
  }

  private mutating func quantifier() throws(RegexError) -> (minimum: Int, maximum: Int?, isInterval: Bool)? {
    let start = position
    if skip("?") { return (0, 1, false) }
    if skip("*") { return (0, nil, false) }
    if skip("+") { return (1, nil, false) }
    guard skip("{") else { return nil }
    let minimum = number()
    var maximum = minimum
    if skip(",") { maximum = number() } else if minimum == nil { throw error("a { that begins no interval", at: start) }
    guard skip("}"), minimum != nil || maximum != nil else { throw error("a { that begins no interval", at: start) }
    let least = minimum ?? 0
    if let maximum, maximum < least || maximum == 0 { throw error("an interval without numbers in it", at: start) }
    if max(least, maximum ?? 0) > Self.largestRepeat {
      throw error("more than \(Self.largestRepeat) repetitions", at: start)
    }
    return (least, maximum, true)
  }

  private mutating func number() -> Int? {
    var value: Int?
    while let digit = peek?.value, (0x30...0x39).contains(digit) {
      value = min((value ?? 0) * 10 + Int(digit - 0x30), Self.largestRepeat + 1)
      position += 1
    }
    return value
  }

  // MARK: Items

  private mutating func item() throws(RegexError) -> RegexNode {
    let start = position
    guard let scalar = next() else { throw error("a missing item") }
    switch scalar {
    case "(": return try group()
    case "[": return .set(try characterClass())
    case ".": return .set(ScalarSet("\n").inverted)
    case "^": return .anchor(.lineStart)
    case "$": return .anchor(.lineEnd)
    case "?", "*", "+", "{": throw error("a quantifier behind nothing", at: start)
    case "\\":
      if skip("A") { return .anchor(.start) }
      if skip("z") { return .anchor(.end) }
      if skip("w") { return .set(Self.word) }
      if skip("W") { return .set(Self.word.inverted) }
      return .set(try escape().set(ignoringCase: ignoresCase, self, start))
    default: return .set(try ClassItem.scalar(scalar).set(ignoringCase: ignoresCase, self, start))
    }
  }

  /// `\w` outside of classes, where Oniguruma has a table of its own for Latin-1, with `²³¹¼½¾`.
  private static let word = "\u{B2}\u{B3}\u{B9}\u{BC}\u{BD}\u{BE}".unicodeScalars.reduce(ScalarSet(.word)) {
    $0.union(ScalarSet($1))
  }

  /// Behind a `(`.
  private mutating func group() throws(RegexError) -> RegexNode {
    let start = position - 1
    try enter(start)
    defer { depth -= 1 }
    let outside = ignoresCase
    defer { ignoresCase = outside }
    var wrap: (RegexNode) -> RegexNode = { $0 }
    if skip("?") {
      if skip("=") {
        wrap = { .lookahead($0, isNegated: false) }
      } else if skip("!") {
        wrap = { .lookahead($0, isNegated: true) }
      } else if skip(">") {
        wrap = { .atomic($0) }
      } else if skip("<") {
        guard let next = peek, next == "=" || next == "!" else { throw error("a named group", at: start) }
        throw error("a lookbehind", at: start)
      } else {
        let isOff = skip("-")
        if skip("i") { ignoresCase = !isOff } else if isOff { throw error("an option other than i", at: start) }
        guard skip(":") else { throw error("a group other than (?: (?i: (?-i: (?> (?= (?!", at: start) }
      }
    }
    let node = try alternatives()
    guard skip(")") else { throw error("a group that is not closed", at: start) }
    return wrap(node)
  }

  private mutating func enter(_ start: Int) throws(RegexError) {
    depth += 1
    if depth > Self.deepestNesting { throw error("more than \(Self.deepestNesting) nested groups", at: start) }
  }

  // MARK: Classes

  /// What an item of a class or an escape stands for.
  private enum ClassItem {
    case scalar(Unicode.Scalar)
    case range(ClosedRange<Unicode.Scalar>)
    /// `\s` and its like, which hold both cases of all their letters.
    case caseless(ScalarSet)
    case category(ScalarSet)

    func set(ignoringCase: Bool, _ parser: RegexParser, _ start: Int) throws(RegexError) -> ScalarSet {
      switch self {
      case .caseless(let set): return set
      case .category(let set):
        if ignoringCase { throw parser.error("a category without regard to case", at: start) }
        return set
      case .scalar(let scalar): return try Self.set(scalar...scalar, ignoringCase, parser, start)
      case .range(let range): return try Self.set(range, ignoringCase, parser, start)
      }
    }

    private static func set(
      _ range: ClosedRange<Unicode.Scalar>, _ ignoringCase: Bool, _ parser: RegexParser, _ start: Int
    ) throws(RegexError) -> ScalarSet {
      var set = ScalarSet(range)
      guard ignoringCase else { return set }
      if !range.upperBound.isASCII, range.lowerBound != range.upperBound || range.lowerBound.properties.isCased {
        throw parser.error("letters beyond ASCII without regard to case", at: start)
      }
      for value in range.lowerBound.value...range.upperBound.value {
        guard let scalar = Unicode.Scalar(value), scalar.isASCII, scalar.properties.isAlphabetic else { continue }
        set = set.union(ScalarSet(Unicode.Scalar(value ^ 0x20)!))
        if value | 0x20 == 0x73 { set = set.union(ScalarSet("\u{17F}")) }
        if value | 0x20 == 0x6B { set = set.union(ScalarSet("\u{212A}")) }
      }
      return set
    }
  }

  /// Behind a `[`.
  private mutating func characterClass() throws(RegexError) -> ScalarSet {
    let start = position - 1
    try enter(start)
    defer { depth -= 1 }
    let isNegated = skip("^")
    if peek == ":" { throw error("a class [:…:]", at: start) }
    var result: ScalarSet?
    var set = ScalarSet([])
    var isEmpty = true
    while true {
      let itemStart = position
      guard let scalar = next() else { throw error("a class that is not closed", at: start) }
      switch scalar {
      case "]":
        if isEmpty { throw error("an empty class", at: start) }
        if let before = result { set = before.intersection(set) }
        return isNegated ? set.inverted : set
      case "&" where peek == "&":
        if isEmpty { throw error("a && with nothing before it", at: itemStart) }
        position += 1
        result = result.map { $0.intersection(set) } ?? set
        set = ScalarSet([])
        isEmpty = true
        continue
      case "[": set = set.union(try characterClass())
      default: set = set.union(try classItem(scalar, isFirst: isEmpty).set(ignoringCase: ignoresCase, self, itemStart))
      }
      isEmpty = false
    }
  }

  /// An escape, a character or a range, whose first character is `scalar`.
  private mutating func classItem(_ scalar: Unicode.Scalar, isFirst: Bool) throws(RegexError) -> ClassItem {
    let start = position - 1
    if scalar == "-", !isFirst, peek != "]" { throw error("a - in the middle of a class", at: start) }
    let item = scalar == "\\" ? try escape() : .scalar(scalar)
    guard peek == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else { return item }
    position += 1
    let end = position
    let next = next()
    let lastItem = next == "\\" ? try escape() : next.map { .scalar($0) }
    guard next != "[", next != "&" || peek != "&", case .scalar(let first) = item, case .scalar(let last)? = lastItem
    else { throw error("a - between other things than characters", at: start) }
    guard first <= last else { throw error("a range that ends before it begins", at: end) }
    return .range(first...last)
  }

  /// Behind a `\`.
  private mutating func escape() throws(RegexError) -> ClassItem {
    let start = position - 1
    guard let scalar = next() else { throw error("a \\ at the end") }
    switch scalar {
    case "n": return .scalar("\n")
    case "r": return .scalar("\r")
    case "t": return .scalar("\t")
    case "f": return .scalar("\u{C}")
    case "v": return .scalar("\u{B}")
    case "a": return .scalar("\u{7}")
    case "e": return .scalar("\u{1B}")
    case "s": return .caseless(ScalarSet(.space))
    case "S": return .caseless(ScalarSet(.space).inverted)
    case "d": return .caseless(ScalarSet(.decimal))
    case "D": return .caseless(ScalarSet(.decimal).inverted)
    case "w": return .caseless(ScalarSet(.word))
    case "W": return .caseless(ScalarSet(.word).inverted)
    case "p", "P": return .category(try category(isNegated: scalar == "P", start))
    case "x": return .scalar(try hexadecimal(digits: skip("{") ? nil : 2, start))
    case "u": return .scalar(try hexadecimal(digits: 4, start))
    default:
      guard scalar.isASCII, !scalar.properties.isAlphabetic, !("0"..."9").contains(scalar) else {
        throw error("\\\(scalar)", at: start)
      }
      return .scalar(scalar)
    }
  }

  /// Behind `\p`.
  private mutating func category(isNegated: Bool, _ start: Int) throws(RegexError) -> ScalarSet {
    guard skip("{") else { throw error("a \\p without {", at: start) }
    let isInverted = skip("^") != isNegated
    var name = ""
    while let scalar = next() {
      if scalar == "}" {
        guard let atoms = ScalarAtom.Mask(category: name) else {
          throw error("the property \(name), which is no general category", at: start)
        }
        return isInverted ? ScalarSet(atoms).inverted : ScalarSet(atoms)
      }
      name.unicodeScalars.append(scalar)
    }
    throw error("a \\p{ that is not closed", at: start)
  }

  /// Up to 8 digits and a `}`, or so many digits.
  private mutating func hexadecimal(digits: Int?, _ start: Int) throws(RegexError) -> Unicode.Scalar {
    var value: UInt32 = 0
    var count = 0
    while count < digits ?? 8, let next = peek, next.isASCII, let digit = Character(next).hexDigitValue {
      value = value << 4 | UInt32(digit)
      count += 1
      position += 1
    }
    guard digits == nil ? skip("}") && count > 0 : count == digits, let scalar = Unicode.Scalar(value) else {
      throw error("a hexadecimal escape that is no character", at: start)
    }
    // Two digits above 7F would be a byte of UTF-8.
    if digits == 2 && value > 0x7F { throw error("\\x of a byte that is no character", at: start) }
    return scalar
  }

  // MARK: Characters

  private var peek: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private mutating func next() -> Unicode.Scalar? {
    guard let scalar = peek else { return nil }
    position += 1
    return scalar
  }

  private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
    guard peek == scalar else { return false }
    position += 1
    return true
  }

  private func error(_ feature: String, at offset: Int? = nil) -> RegexError {
    RegexError(feature: feature, character: (offset ?? position) + 1)
  }
}
