import Foundation
import Testing

@testable import FlowerDist

/// Splits pieces and encodes like Hugging Face's `tokenizers`, from which Tests/Twin/tokenizer_fixture.py derived
/// Fixtures/tokenizers.json. FLOWERDIST_TOKENIZER_FIXTURE may name another file that it made, of more texts.
@Suite struct TokenizerAgreementTests {
  static let fixture: JSON = {
    let own = Bundle.module.url(forResource: "Fixtures/tokenizers", withExtension: "json")!.path
    return try! JSON(contentsOf: ProcessInfo.processInfo.environment["FLOWERDIST_TOKENIZER_FIXTURE"] ?? own)
  }()
  static let texts = fixture["texts"]!.array!.map { $0.string! }
  static let names = fixture["tokenizers"]!.object!.map(\.key)
  static let variants = fixture["variants"]!.object!.map(\.key)

  /// The scanners, and the general matcher of the same patterns.
  @Test(arguments: zip(SplitPattern.allCases, ["gpt2", "qwen2", "llama3"]))
  func pieces(pattern: SplitPattern, name: String) throws {
    let expected = try #require(Self.fixture["pieces"]?[name]?.array)
    let general = TextSplit(.regex(try BoundedRegex(pattern.regex)))
    for (text, expected) in zip(Self.texts, expected) {
      let expected = expected.array!.map { Array($0.string!.utf8) }
      for split in [TextSplit(.published(pattern)), general] {
        let pieces = PreTokenizer(steps: [.split(split)]).split(Array(text.utf8))
        #expect(pieces.ranges.map { Array(pieces.bytes[$0]) } == expected, "\(text.quoted)")
      }
    }
  }

  @Test(arguments: names)
  func ids(name: String) throws {
    let entry = try #require(Self.fixture["tokenizers"]?[name])
    let tokenizer = try read(try #require(entry["file"]).description)
    let lists = [
      entry["file"]?["model"]?["vocab"]?.object?.map(\.value), entry["file"]?["added_tokens"]?.array?.map { $0["id"]! },
    ]
    #expect(tokenizer.vocabularySize == lists.flatMap { $0! }.map { $0.int! }.max()! + 1)
    try check(tokenizer, ids: try #require(entry["ids"]?.array))
  }

  /// Tokenizers that differ from "base" in some keys.
  @Test(arguments: variants)
  func idsOfVariants(name: String) throws {
    let entry = try #require(Self.fixture["variants"]?[name])
    let changes = try #require(entry["changes"]?.object)
    let base = try #require(Self.fixture["tokenizers"]?["base"]?["file"]?.object)
    let members = base.map { member in changes.first { $0.key == member.key } ?? member }
    try check(read(JSON.object(members).description), ids: try #require(entry["ids"]?.array))
  }

  private func check(_ tokenizer: Tokenizer, ids: [JSON]) throws {
    let rewritten = try rewrite(tokenizer)
    #expect(rewritten == tokenizer)
    for (text, ids) in zip(Self.texts, ids) {
      let expected = ids.array!.map { Int32($0.int!) }
      #expect(tokenizer.encode(text) == expected, "\(text.quoted)")
      #expect(rewritten.encode(text) == expected, "\(text.quoted)")
    }
  }
}

@Suite struct TokenizerTests {
  /// Random valid UTF-8: letters, spaces and newlines of many scripts, and any scalar now and then.
  static func randomTexts(_ count: Int, seed: UInt64) -> [String] {
    var generator = SplitMix(state: seed)
    let common = Array("etaoin shrdlu'  \n\r\t.,!012ABé日ñ한🙂\u{301}\u{A0}".unicodeScalars)
    return (0..<count).map { _ in
      var text = String.UnicodeScalarView()
      for _ in 0..<Int.random(in: 0...60, using: &generator) {
        let any = Unicode.Scalar(UInt32.random(in: 0...0x10FFFF, using: &generator))
        if let any, Int.random(in: 0..<5, using: &generator) == 0 {
          text.append(any)
        } else {
          text.append(common.randomElement(using: &generator)!)
        }
      }
      return String(text)
    }
  }

  static let trained = try! Tokenizer.train(
    texts: randomTexts(300, seed: 1).map { ($0, 1) } + [("Lost Harbour - PlayStation\nNext:", 50)],
    vocabularySize: 400)

  static func tokenizers() throws -> [Tokenizer] {
    let fixture = TokenizerAgreementTests.fixture["tokenizers"]
    let names = ["gpt2", "llama3", "base"]
    return try [.bytes, trained] + names.map { try read(fixture![$0]!["file"]!.description) }
  }

  @Test func decodeInvertsEncode() throws {
    for tokenizer in try Self.tokenizers() {
      for text in Self.randomTexts(200, seed: 2) {
        #expect(tokenizer.decode(tokenizer.encode(text)) == Array(text.utf8), "\(text)")
      }
    }
  }

  @Test func bytesAreTheirOwnIDs() {
    #expect(Tokenizer.bytes.vocabularySize == 256)
    #expect(Tokenizer.bytes.encode("é\n") == [0xC3, 0xA9, 0x0A])
    #expect(Tokenizer.bytes.token(for: "\n") == 10)
    #expect(Tokenizer.bytes.token(for: "é") == nil)
    #expect(Tokenizer.bytes.decode([-1, 256, .max, 65]) == [65])
  }

  /// The example of Sennrich et al. (2016), by hand; the smaller ids win ties.
  @Test func trainingMergesTheMostFrequentPair() throws {
    let tokenizer = try Tokenizer.train(
      texts: [("low", 5), ("lower", 2), ("newest", 6), ("widest", 3), ("unused", 0)], vocabularySize: 1000)
    let expected = ["es", "est", "lo", "low", "ew", "new", "newest", "dest", "idest", "widest", "er", "lower"]
    #expect(
      (256..<tokenizer.vocabularySize).map { String(decoding: tokenizer.decode([Int32($0)]), as: UTF8.self) }
        == expected)
    #expect(tokenizer.encode("lowest newer") == [259, 257, 32, 261, 266])
    #expect(tokenizer.token(for: "widest") == 265)
  }

  @Test func overlappingPairsAreCountedAsTheyMerge() throws {
    // aa aa a, then (as "a" is the smaller id) aa aaa, then one token.
    let tokenizer = try Tokenizer.train(texts: [("aaaaa", 2)], vocabularySize: 300)
    #expect(tokenizer.vocabularySize == 259)
    #expect(tokenizer.encode("aaaaaaa") == [256, 258])
  }

  @Test func trainingIsDeterministicAndStopsAtTheSize() throws {
    let texts = Self.randomTexts(100, seed: 3).map { (text: $0, count: 3) }
    let tokenizer = try Tokenizer.train(texts: texts, vocabularySize: 321)
    #expect(tokenizer.vocabularySize == 321)
    #expect(try Tokenizer.train(texts: texts, vocabularySize: 321) == tokenizer)
    #expect(try Tokenizer.train(texts: texts, vocabularySize: 256).encode("ab") == [97, 98])
  }

  @Test func newlinesStandAlone() throws {
    let tokenizer = Self.trained
    #expect(tokenizer.token(for: "\n") == 10)
    for id in 256..<Int32(tokenizer.vocabularySize) { #expect(!tokenizer.decode([id]).contains(0x0A)) }
    let texts = Self.randomTexts(200, seed: 4)
    for (first, second) in zip(texts, texts.dropFirst()) {
      #expect(
        tokenizer.encode(first + "\n" + second) == tokenizer.encode(first) + [10] + tokenizer.encode(second),
        "\(first) \(second)")
    }
  }

  @Test(arguments: [(255, 1), (-1, 1), (.max, 1), (300, -1), (300, .max)])
  func trainingRefuses(size: Int, count: Int) {
    #expect(throws: FlowerError.self) {
      try Tokenizer.train(texts: [("ab", count), ("cd", 1)], vocabularySize: size)
    }
  }

  /// Both algorithms do what the definition says: lowest rank first, leftmost first.
  @Test func mergersAgreeWithTheDefinition() throws {
    var generator = SplitMix(state: 5)
    let training = (0..<50).map { _ in
      (text: String((0..<40).map { _ in "abc".randomElement(using: &generator)! }), count: 1)
    }
    let table = try Tokenizer.train(texts: training, vocabularySize: 330).merges
    var quadratic = Merger(table, quadraticUpTo: .max)
    var list = Merger(table, quadraticUpTo: 1)
    for length in 2..<150 {
      let bytes = (0..<length).map { _ in Int32.random(in: 97...99, using: &generator) }
      var expected = bytes
      while let (index, merge) = expected.indices.dropLast()
        .map({ ($0, table.merge(expected[$0], expected[$0 + 1])) }).min(by: { $0.1.rank < $1.1.rank }),
        merge.id >= 0
      {
        expected.replaceSubrange(index...index + 1, with: [merge.id])
      }
      var ids: [Int32] = [7, 97]
      quadratic.merge(&ids, from: 2)
      #expect(ids == [7, 97])
      ids += bytes
      quadratic.merge(&ids, from: 2)
      #expect(ids == [7, 97] + expected)
      ids = [7, 97] + bytes
      list.merge(&ids, from: 2)
      #expect(ids == [7, 97] + expected)
    }
  }

  @Test func longPiecesAreEncodedInReasonableTime() {
    let text = String(repeating: "Lost", count: 20_000)
    #expect(Self.trained.decode(Self.trained.encode(text)) == Array(text.utf8))
  }

  @Test func readsBackWhatItWrites() throws {
    for tokenizer in [.bytes, Self.trained] { #expect(try rewrite(tokenizer) == tokenizer) }
    #expect(throws: FlowerError.self) { try Tokenizer.bytes.write(to: "/nonexistent/tokenizer.json") }
  }

  /// Bytes of a text over those before it are at most what a normalizer says of itself.
  @Test func growthBoundsWhatNormalizersDo() throws {
    let replacement = Normalizer.Step.replace(.init(pattern: try BoundedRegex("[ab]"), content: "\u{FDFA}"))
    let cases: [([Normalizer.Step], Int)] = [
      ([], 1), ([.unicode(.nfd)], 3), (Array(repeating: .unicode(.nfc), count: 64), 3), ([.unicode(.nfkc)], 11),
      ([.lowercase, .lowercase], 2), ([.unicode(.nfd), .unicode(.nfkd)], 12), ([replacement], 3),
      ([replacement, .unicode(.nfkc), replacement, .unicode(.nfkc)], 3 * 11 * 3 * 11), ([.prepend("ab")], 3),
    ]
    for (steps, growth) in cases {
      let normalizer = Normalizer(steps: steps)
      #expect(normalizer.growth == growth, "\(steps)")
      // What grows most: of the forms, of lower case, of the replacement.
      for text in ["\u{390}", "\u{1D160}", "\u{FDFA}", "\u{23A}", "a", "b"] {
        #expect(normalizer.normalize(Array(text.utf8)).count <= growth * text.utf8.count, "\(steps) \(text.quoted)")
      }
    }
    let forms = (0..<3).flatMap { _ in [replacement, .unicode(.nfkd)] }
    #expect(Normalizer(steps: forms).growth == nil)
  }
}

@Suite struct TokenizerFileTests {
  static let manyForms = Array(repeating: #"{"type":"NFC"}"#, count: 65).joined(separator: ",")
  static let doubling = #"{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaa"}"#

  /// Changes of a good file, and what the error must name.
  @Test(arguments: [
    (#""type":"BPE""#, #""type":"WordPiece""#, "model.type is \"WordPiece\""),
    (#""byte_fallback":false"#, #""byte_fallback":true"#, "model.byte_fallback"),
    (#""unk_token":null"#, #""unk_token":7"#, "model.unk_token is 7"),
    (#""dropout":null"#, #""dropout":0.1"#, "model.dropout"),
    (#""end_of_word_suffix":null"#, #""end_of_word_suffix":"</w>""#, "model.end_of_word_suffix"),
    (#""ignore_merges":true"#, #""ignore_merges":1"#, "model.ignore_merges"),
    (#""normalizer":null"#, #""normalizer":{"type":"Nmt"}"#, "normalizer.type is \"Nmt\""),
    (
      #""normalizer":null"#, #""normalizer":{"type":"Replace","pattern":{"Regex":"a*"},"content":""}"#,
      "normalizer.pattern"
    ),
    (
      #""normalizer":null"#,
      #""normalizer":{"type":"Sequence","normalizers":[\#(doubling),\#(doubling),\#(doubling),\#(doubling)]}"#,
      "normalizer is an object; expected steps that make a text at most 4096 times longer"
    ),
    (
      #""normalizer":null"#,
      #""normalizer":{"type":"Sequence","normalizers":[\#(manyForms)]}"#,
      "normalizer.normalizers is an array; expected at most 64 steps"
    ),
    (
      #""pretokenizers":["#, #""pretokenizers":[\#(String(repeating: #"{"type":"Digits"},"#, count: 64))"#,
      "pre_tokenizer.pretokenizers is an array; expected at most 64 steps"
    ),
    (#""decoder":{"type":"ByteLevel""#, #""decoder":{"type":"Fuse""#, "decoder.type is \"Fuse\""),
    (#"{1,3}"#, #"{3,1}"#, "pre_tokenizer.pretokenizers[0].pattern.Regex"),
    (#"(?!\\S)"#, #"(?<!\\S)"#, "a regular expression without a lookbehind (character "),
    (#""Regex":"#, #""Text":"#, "pre_tokenizer.pretokenizers[0].pattern[\"Text\"]"),
    (#""Regex":""#, #""String":"","Regex":""#, "pre_tokenizer.pretokenizers[0].pattern"),
    (#""Isolated""#, #""Alone""#, "pre_tokenizer.pretokenizers[0].behavior"),
    (#""invert":false"#, #""invert":0"#, "pre_tokenizer.pretokenizers[0].invert"),
    (#""invert":false"#, #""inverted":false"#, "pre_tokenizer.pretokenizers[0][\"inverted\"]"),
    (#""type":"Split""#, #""type":"Metaspace""#, "pre_tokenizer.pretokenizers[0].type is \"Metaspace\""),
    (#""added_tokens":[]"#, #""added_tokens":{}"#, "added_tokens is an object"),
    (#""added_tokens":[]"#, #""added_tokens":[{"id":1e3,"content":"x"}]"#, "added_tokens[0].id"),
    (#""added_tokens":[]"#, #""added_tokens":[{"id":340,"content":""}]"#, "added_tokens[0].content"),
    (#""added_tokens":[]"#, #""added_tokens":[{"id":340,"content":"<e>","lstrip":1}]"#, "added_tokens[0].lstrip"),
    (#""added_tokens":[]"#, #""added_tokens":[{"id":3,"content":"<e>"}]"#, "model.vocab[\"$\"]"),
    (#""added_tokens":[]"#, #""added_tokens":[{"id":340,"content":"a"}]"#, "added_tokens"),
    (#""!":0"#, #""!":1"#, "model.vocab"), (#""!":0"#, #""!":-1"#, "model.vocab[\"!\"] is -1"),
    (#""!":0"#, #""!":4194304"#, "model.vocab[\"!\"]"),
    (#""!":0"#, #""!":99999999999999999999"#, "model.vocab[\"!\"]"),
    (#""!":0"#, #""!":"0""#, "model.vocab[\"!\"]"), (#""!":0"#, #""題":0"#, "model.vocab[\"題\"]"),
    (#""!":0"#, #""":0"#, "model.vocab[\"\"]"), (#""!":0,"#, "", "model.merges["),
    (#"["a","r"]"#, #"["a","r","b"]"#, "model.merges["), (#"["a","r"]"#, #""a  r""#, "model.merges["),
    (#"["a","r"]"#, #"["a","題"]"#, "model.merges["), (#"["a","r"]"#, #"["a","Z"]"#, "model.merges["),
    (#"["a","r"]"#, #"["a","r"],["a","r"]"#, "model.merges["), (#"["a","r"]"#, "7", "model.merges["),
  ])
  func refuses(text: String, replacement: String, named: String) throws {
    let good = TokenizerAgreementTests.fixture["tokenizers"]!["llama3"]!["file"]!.description
    try #require(good.contains(text))
    let range = good.range(of: text)!
    try withFile(good.replacingCharacters(in: range, with: replacement)) { path in
      let error = #expect(throws: FlowerError.self) { try Tokenizer(contentsOf: path) }
      #expect(error?.kind == .data)
      #expect(error?.description.hasPrefix(path) == true)
      #expect(error?.description.contains(named) == true, "\(error?.description ?? "")")
    }
  }

  @Test func mergesMayBeStringsOrPairs() throws {
    let good = TokenizerAgreementTests.fixture["tokenizers"]!["gpt2"]!["file"]!.description
    #expect(try read(good.replacingOccurrences(of: #"["a","r"]"#, with: #""a r""#)) == read(good))
  }

  @Test func missingFileIsNamed() {
    let error = #expect(throws: FlowerError.self) { try Tokenizer(contentsOf: "/nonexistent/tokenizer.json") }
    #expect(error?.kind == .data)
    #expect(error?.description.contains("/nonexistent/tokenizer.json") == true)
  }

  /// 256 bytes, then by hand: "ab" = a b, "abc" = ab c, "bc" = b c.
  @Test func readsRankFiles() throws {
    var tokens = (0...UInt8.max).map { [$0] } + ["ab", "abc", "bc"].map { Array($0.utf8) }
    func readTokens() throws -> Tokenizer {
      let lines = tokens.enumerated().map { "\(Data($1).base64EncodedString()) \($0)\n" }
      return try withFile(lines.joined()) { try Tokenizer(contentsOf: $0) }
    }
    let tokenizer = try readTokens()
    #expect(tokenizer.vocabularySize == 259)
    #expect(tokenizer.encode("abcbcab") == [257, 258, 256])
    #expect(tokenizer.encode("e\u{301}") == tokenizer.encode("\u{E9}"))
    #expect(try rewrite(tokenizer) == tokenizer)

    tokens.swapAt(256, 257)
    #expect(throws: FlowerError.self) { try readTokens() }
    for text in ["", "YQ==", "YQ== 1", "? 0", "YQ== 0 0", " 0"] {
      #expect(throws: FlowerError.self) { try withFile(text) { try Tokenizer(contentsOf: $0) } }
    }
  }
}

@Suite struct TokenizerBenchmarkTests {
  @Test func countsWhatItEncodes() throws {
    let scratch = try ScratchDirectory()
    try Tokenizer.bytes.write(to: scratch("tokenizer.json"))
    try scratch.write("ab\n\né\n", "texts")
    let result = try TokenizerBenchmark(tokenizer: scratch("tokenizer.json"), texts: scratch("texts"), repeats: 1).json
    #expect(result["texts"]?.int == 3 && result["bytes"]?.int == 4 && result["tokens"]?.int == 4)
    // The ids 97 98 -1, -1, 195 169 -1.
    let ids: [UInt8] = [97, 0, 0, 0, 98, 0, 0, 0] + none + none + [195, 0, 0, 0, 169, 0, 0, 0] + none
    #expect(result["ids_sha256"]?.string == SHA256.hex(of: ids))
    try scratch.write([0x61, 0x0A, 0xFF], "texts")
    let error = flowerError {
      _ = try TokenizerBenchmark(tokenizer: scratch("tokenizer.json"), texts: scratch("texts"), repeats: 1)
    }
    #expect(error?.kind == .data && error?.description.hasSuffix("texts:2: is not valid UTF-8") == true)
  }

  private let none = [UInt8](repeating: 0xFF, count: 4)
}

/// Runs `body` with the path of a file that holds `text` and is removed afterwards.
private func withFile<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent("flower-\(UUID().uuidString)")
  try Data(text.utf8).write(to: url)
  defer { try? FileManager.default.removeItem(at: url) }
  return try body(url.path)
}

/// The tokenizer that the text of a `tokenizer.json` describes.
private func read(_ text: String) throws -> Tokenizer { try withFile(text) { try Tokenizer(contentsOf: $0) } }

private func rewrite(_ tokenizer: Tokenizer) throws -> Tokenizer {
  try withFile("") {
    try tokenizer.write(to: $0)
    return try Tokenizer(contentsOf: $0)
  }
}

/// SplitMix64 (Steele et al., 2014).
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}
