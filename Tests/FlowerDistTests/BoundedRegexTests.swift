import Testing

@testable import FlowerDist

/// What the syntax means is compared with Oniguruma by way of Hugging Face's `tokenizers` in `TokenizerAgreementTests`.
@Suite struct BoundedRegexTests {
  private func matches(_ pattern: String, _ text: String) throws -> [String] {
    let bytes = Array(text.utf8)
    return try BoundedRegex(pattern).matches(in: bytes.span).map { String(decoding: bytes[$0], as: UTF8.self) }
  }

  /// Expectations follow from the definition of a backtracking match.
  @Test func matchesInOrderOfPreference() throws {
    #expect(try matches("a|ab", "ab") == ["a"])
    #expect(try matches("(?:a|ab)(?:c|bcd)", "abcd") == ["abcd"])
    #expect(try matches("a{2,3}", "aaaaaaaa") == ["aaa", "aaa", "aa"])
    #expect(try matches("a{2,3}?", "aaaaa") == ["aa", "aa"])
    #expect(try matches("a*+a", "aaa") == [])
    #expect(try matches("(?>a|ab)c", "abc ac") == ["ac"])
    #expect(try matches("[ab]+?b", "aabab") == ["aab", "ab"])
    #expect(try matches("a(?=b)|b(?!b)", "abbab") == ["a", "b", "a", "b"])
    #expect(try matches("é|日.", "日本é") == ["日本", "é"])
    #expect(try matches("a*", "baa") == ["", "aa"])
    #expect(try matches("^a|a$", "a\na\naa") == ["a", "a", "a", "a"])
    #expect(try matches(#"\x{00000041}|\x{1f600}|\u00e9|\x62"#, "bA😀é") == ["b", "A", "😀", "é"])
  }

  /// The general matcher against the three scanners, also when it takes notes from the first step on.
  @Test(arguments: SplitPattern.allCases)
  func agreesWithTheScanners(pattern: SplitPattern) throws {
    let scanner = TextSplit(.published(pattern))
    let general = TextSplit(.regex(try BoundedRegex(pattern.regex)))
    for text in TokenizerTests.randomTexts(2000, seed: 11) {
      let bytes = Array(text.utf8)
      let expected = PreTokenizer(steps: [.split(scanner)]).split(bytes).ranges
      #expect(PreTokenizer(steps: [.split(general)]).split(bytes).ranges == expected, "\(text.quoted)")
    }
  }

  @Test(arguments: [
    "a|aa|b", "(?:a|ab)*c|b", "(?:a+b?)+c", "(?>a+b|a)[bc]", "a(?=a*b)|a(?!a*c)c?", "(?:aa|a)*+b", "(?:a|b|ab)+?c",
    "a*a*a*b", "(?:(?:a|b)*c)+", "(?>(?:a|aa)+?b)c", "[^c]*(?=c)b?", "a{2,}?b{1,2}+c?",
    "(?:(?>a(?=b*c)|a+|b*?(?!a)b)c?)+", "(?=(?>a|ab*+)(?:b|c)*c)[ab]+", "(?>(?=a*b)(?:a|b)*|c)(?!(?>a*b|a)c)",
  ])
  func notesChangeNothing(pattern: String) throws {
    let regex = try BoundedRegex(pattern)
    var random = SeededRandom(12)
    for _ in 0..<300 {
      let text = (0..<Int.random(in: 0...30, using: &random)).map { _ in UInt8.random(in: 97...99, using: &random) }
      #expect(regex.matches(in: text.span, stepsPerByte: 0) == regex.matches(in: text.span), "\(text)")
    }
  }

  /// Each takes exponential or at least quadratic time when matched without notes.
  @Test(arguments: [
    "(?:a+)+b", "(?:a|a)*b", "(?:a|aa)+$b", "a*a*a*a*a*a*b", "(?:a*?b|a)", "a(?=a*b)|a", "(?>a*)b|a", "a*+b|a",
    "(?:(?:(?:a+)+)+)+b", "(?:aa?){1,30}b", "(?:a(?!a*b))+c", "a{1,400}b", "(?=(?:a|aa)*b)a", "a(?=a*)",
  ])
  func hostilePatternsTakeTimeInProportionToTheText(pattern: String) throws {
    let text = [UInt8](repeating: UInt8(ascii: "a"), count: 20_000)
    var pieces: [Range<Int>] = []
    let clock = ContinuousClock()
    let duration = try clock.measure {
      TextSplit(.regex(try BoundedRegex(pattern))).appendPieces(of: text.span, offset: 0, to: &pieces)
    }
    #expect(pieces.reduce(0) { $0 + $1.count } == text.count)
    #expect(duration < .seconds(20))
  }

  @Test(arguments: [
    ("(?<=a)b", "a lookbehind", 1), ("(?<!a)b", "a lookbehind", 1), ("(?<n>a)", "a named group", 1),
    ("a(?i)b", "a group other than", 2), ("(?m:.)", "a group other than", 1), ("(?-m:a)", "an option other than i", 1),
    (#"(a)\1"#, #"\1"#, 4), (#"\bword"#, #"\b"#, 1), (#"\X"#, #"\X"#, 1), (#"a\"#, #"a \ at the end"#, 3),
    (#"\p{Han}+"#, "the property Han", 1), (#"\pL"#, #"a \p without {"#, 1), (#"\p{L"#, "not closed", 1),
    ("[[:alpha:]]", "a class [:…:]", 2), ("[a", "a class that is not closed", 1), ("[]a]", "an empty class", 1),
    ("[^]", "an empty class", 1), ("[z-a]", "a range that ends before it begins", 4), (#"[a-\d]"#, "a - between", 2),
    (#"[\d-a]"#, "a - between", 2), ("[a-c-e]", "a - in the middle", 5), ("(a", "a group that is not closed", 1),
    ("a)", "a ) that closes nothing", 2), ("*a", "a quantifier behind nothing", 1), ("a**", "a quantifier behind a", 3),
    ("a{2}?", "{n}?", 2), ("a{x}", "a { that begins no interval", 2), ("a{3,2}", "an interval without numbers", 2),
    ("a{0}", "an interval without numbers", 2), ("a{1001}", "more than 1000 repetitions", 2),
    ("a{99999999999999999999}", "more than 1000 repetitions", 2),
    ("(?:a*)*", "a repetition of what can match nothing", 7),
    ("(?:){9}", "a repetition of what can match nothing", 5), ("(?=a)+", "a repetition of what can match", 6),
    ("(?:a{1000}){1000}", "more than 1024 instructions", 1),
    ("(?>a{1,33})", "more than 31 choices in atomic groups", 1),
    ("b*+(?>(?:a|b){1,16}c)", "more than 31 choices in atomic groups", 1), ("(?i:ß)", "letters beyond ASCII", 5),
    (#"(?i:\p{Lu})"#, "a category without regard to case", 5), ("(?i:fast)", "letters of a ligature", 7),
    (#"\xFF"#, #"\x of a byte"#, 1), (#"\x{110000}"#, "a hexadecimal escape", 1),
    (#"\uD800"#, "a hexadecimal escape", 1), (#"\x{000000041}"#, "a hexadecimal escape", 1),
    (#"\u００４１"#, "a hexadecimal escape", 1), (#"\x{４１}"#, "a hexadecimal escape", 1),
    (String(repeating: "(", count: 100), "more than 32 nested groups", 33),
    (String(repeating: "[", count: 100), "more than 32 nested groups", 33),
    (String(repeating: "a", count: 9000), "more than 8192 characters", 8193),
  ])
  func refusesByName(pattern: String, feature: String, character: Int) {
    let error = #expect(throws: RegexError.self) { try BoundedRegex(pattern) }
    #expect(error?.feature.contains(feature) == true, "\(error?.feature ?? "")")
    #expect(error?.character == character)
  }

  @Test func atomicGroupsUpToTheLimit() throws {
    #expect(try matches("(?>a{1,32})b", String(repeating: "a", count: 40) + "b").count == 1)
  }

  @Test func aTextIsNoPattern() throws {
    #expect(try BoundedRegex("a.") == BoundedRegex("a."))
    #expect(try BoundedRegex("a.") != BoundedRegex(literal: "a."))
    #expect(try BoundedRegex(literal: "a.") == BoundedRegex(literal: "a."))
  }
}
