extension Tokenizer {
  /// Reads a Hugging Face `tokenizer.json`, or a rank file (`init(ranks:file:)`), told apart by their content.
  ///
  /// Read are byte-level BPE models: `pre_tokenizer` ByteLevel, alone or after Split, Digits and Punctuation;
  /// `normalizer` of Unicode forms, Lowercase, Prepend and Replace; `decoder` ByteLevel. `post_processor` is kept but not
  /// run, `truncation` and `padding` are ignored.
  ///
  /// - Throws: `FlowerError` (data) that names the file, the key path and what was expected.
  public init(contentsOf path: String) throws {
    let bytes = try File.contents(of: path)
    let first = bytes.first { !" \n\r\t".utf8.contains($0) }
    if first == UInt8(ascii: "{") {
      try self.init(json: bytes, file: path)
    } else {
      try self.init(ranks: bytes, file: path)
    }
  }

  private init(json bytes: [UInt8], file path: String) throws {
    let file = JSONField(file: path, value: try JSON(parsing: bytes, file: path))
    let postProcessor = try file["post_processor"].value
    let preTokenizer = try PreTokenizer(file["pre_tokenizer"])
    let normalizer = try Normalizer(file["normalizer"])
    let decoder = try file["decoder"]
    guard try decoder["type"].string() == "ByteLevel" else { throw try decoder["type"].expected("\"ByteLevel\"") }

    let model = try file["model"]
    try checkModel(model)
    let (vocabulary, addedTokens) = try Self.vocabulary(model["vocab"], added: file["added_tokens"])
    // These are kept as the normalizer makes them.
    let normalized = addedTokens.reduce(0) { $0 + ($1.isNormalized ? $1.content.utf8.count : 0) }
    guard normalized <= (1 << 26) / (normalizer.growth ?? Normalizer.growthLimit) else {
      throw try file["normalizer"].expected("steps that make the added tokens less than 64 MiB long")
    }
    self.init(
      vocabulary: vocabulary, merges: try Self.merges(model["merges"], vocabulary), preTokenizer: preTokenizer,
      normalizer: normalizer, addedTokens: addedTokens, ignoresMerges: try model["ignore_merges"].bool(default: false),
      unknownToken: try Self.unknownToken(model, vocabulary, addedTokens),
      postProcessor: postProcessor.flatMap { $0.isNull ? nil : $0.description })
  }

  /// The tokens of the model, and the added ones with a note whether the model has them too.
  private static func vocabulary(_ vocab: JSONField, added: JSONField) throws -> (Vocabulary, [AddedToken]) {
    var addedTokens: [Int32: AddedToken] = [:]
    var contents = Set<[UInt8]>()
    for field in try added.elements() {
      let token = try AddedToken(field)
      guard contents.insert(Array(token.content.utf8)).inserted else {
        throw try field["content"].expected("a text that no other added token has")
      }
      guard addedTokens.updateValue(token, forKey: token.id) == nil else {
        throw try field["id"].expected("an id that no other added token has")
      }
    }

    var tokens: [[UInt8]] = []
    var isTaken: [Bool] = []
    // A table as long as the largest id is what a few tokens could ask for.
    let limit = try min(Vocabulary.idLimit, 2 * (vocab.object().count + addedTokens.count) + 1024)
    for (key, value) in try vocab.object().lazy.map({ ($0.key, $0.value) }) {
      func entry() -> JSONField { vocab.member(key, value) }
      guard let id = value.int, (0..<limit).contains(id) else {
        throw entry().expected("an integer from 0 to \(limit - 1), twice the number of tokens and some")
      }
      if tokens.count <= id {
        tokens.append(contentsOf: repeatElement([], count: id + 1 - tokens.count))
        isTaken.append(contentsOf: repeatElement(false, count: id + 1 - isTaken.count))
      }
      guard !isTaken[id] else { throw entry().expected("an id that no other token has") }
      isTaken[id] = true
      let bytes = ByteAlphabet.bytes(key)
      if let token = addedTokens[Int32(id)] {
        guard token.content.utf8.elementsEqual(key.utf8) else {
          throw entry().expected("an id that no added token of other text has")
        }
        addedTokens[Int32(id)]?.isInModel = true
        // Outside the alphabet, or meaning other bytes in it, it is never the result of merges.
        if let bytes, bytes.elementsEqual(key.utf8) { tokens[id] = bytes }
      } else {
        guard let bytes, !bytes.isEmpty else { throw entry().expected("a token written in GPT-2's byte alphabet") }
        tokens[id] = bytes
      }
    }

    let vocabulary = try Vocabulary(tokens, file: vocab.place)
    for token in addedTokens.values where !token.isInModel {
      // The `tokenizers` library would use the model's id.
      guard let bytes = ByteAlphabet.bytes(token.content), let id = vocabulary.id(bytes) else { continue }
      throw added.expected("the id \(id) of model.vocab for \(JSON(token.content))")
    }
    return (vocabulary, Array(addedTokens.values))
  }

  private static func unknownToken(
    _ model: JSONField, _ vocabulary: Vocabulary, _ addedTokens: [AddedToken]
  ) throws -> Int32? {
    let field = try model["unk_token"]
    guard field.isPresent else { return nil }
    let text = try field.string()
    let added = addedTokens.first { $0.isInModel && $0.content.utf8.elementsEqual(text.utf8) }
    let id = added?.id ?? ByteAlphabet.bytes(text).flatMap { vocabulary.id($0) }
    // Where every byte is a token it never occurs.
    guard !vocabulary.isComplete else { return id }
    guard let id else { throw field.expected("a token of model.vocab") }
    if try model["fuse_unk"].bool(default: false) { throw try model["fuse_unk"].expected("false") }
    return id
  }

  private static func merges(_ field: JSONField, _ vocabulary: Vocabulary) throws -> MergeTable {
    let elements = try field.array()
    var table = MergeTable(capacity: elements.count)
    for (rank, element) in elements.enumerated() {
      func entry() -> JSONField { field.element(rank, element) }
      let pair = element.array?.map { $0.string ?? "" } ?? element.string.map(halves)
      guard let pair, pair.count == 2,
        let left = ByteAlphabet.bytes(pair[0]), let right = ByteAlphabet.bytes(pair[1])
      else { throw entry().expected("two tokens, as \"a b\" or [\"a\", \"b\"]") }
      guard let leftID = vocabulary.id(left), let rightID = vocabulary.id(right), let id = vocabulary.id(left + right)
      else { throw entry().expected("two tokens of model.vocab that make a third one") }
      let merge = MergeTable.Merge(left: leftID, right: rightID, rank: Int32(rank), id: id)
      guard table.insert(merge) else { throw entry().expected("a pair that is not listed before") }
    }
    return table
  }
}

extension JSONField {
  /// The steps that the elements of a list stand for; too many are refused before all are made.
  fileprivate func sequence<Step>(_ steps: (JSONField) throws -> [Step]) throws -> [Step] {
    var result: [Step] = []
    for element in try elements() {
      result += try steps(element)
      if result.count > stepLimit { throw expected("at most \(stepLimit) steps") }
    }
    return result
  }
}

extension Normalizer {
  fileprivate init(_ field: JSONField) throws {
    self.init(steps: field.isPresent ? try Self.steps(field) : [])
    guard growth != nil else {
      throw field.expected("steps that make a text at most \(Self.growthLimit) times longer")
    }
  }

  private static func steps(_ field: JSONField) throws -> [Step] {
    let type = try field["type"]
    let name = try type.string()
    if let form = UnicodeForm(rawValue: name) { return [.unicode(form)] }
    switch name {
    case "Sequence":
      try field.allow(["type", "normalizers"])
      return try field["normalizers"].sequence(steps)
    case "Lowercase": return [.lowercase]
    case "Prepend":
      try field.allow(["type", "prepend"])
      return [.prepend(try field["prepend"].string())]
    case "Replace":
      try field.allow(["type", "pattern", "content"])
      let regex = try field["pattern"].pattern()
      if regex.canBeEmpty { throw try field["pattern"].expected("a pattern that matches something") }
      let content = try field["content"].string()
      return [.replace(Replacement(pattern: regex, content: content))]
    default:
      let forms = UnicodeForm.allCases.map { "\"\($0.rawValue)\", " }.joined()
      throw type.expected("\(forms)\"Lowercase\", \"Prepend\", \"Replace\" or \"Sequence\"")
    }
  }
}

extension AddedToken {
  private static let longest = 1024

  fileprivate init(_ field: JSONField) throws {
    let special = try field["special"].bool(default: false)
    self.init(
      id: try field["id"].id(), content: try field["content"].string(), isSpecial: special,
      isNormalized: try field["normalized"].bool(default: !special), isInModel: false,
      isSingleWord: try field["single_word"].bool(default: false), stripsLeft: try field["lstrip"].bool(default: false),
      stripsRight: try field["rstrip"].bool(default: false))
    // Looking for them takes time for each of their bytes at each place of a text.
    guard 1...Self.longest ~= content.utf8.count else {
      throw try field["content"].expected("a text of 1 to \(Self.longest) bytes")
    }
  }
}

extension PreTokenizer {
  fileprivate init(_ field: JSONField) throws {
    self.init(steps: try Self.steps(field))
    for step in steps.dropLast() {
      if case .byteLevel = step { throw field.expected("ByteLevel as the last step only") }
    }
    guard case .byteLevel = steps.last else { throw field.expected("ByteLevel as the last step") }
  }

  private static func steps(_ field: JSONField) throws -> [Step] {
    let type = try field["type"]
    switch try type.string() {
    case "Sequence":
      try field.allow(["type", "pretokenizers"])
      return try field["pretokenizers"].sequence(steps)
    case "ByteLevel":
      try field.allow(["type", "add_prefix_space", "trim_offsets", "use_regex"])
      let addPrefixSpace = try field["add_prefix_space"].bool(default: true)
      return [.byteLevel(addPrefixSpace: addPrefixSpace, useRegex: try field["use_regex"].bool(default: true))]
    case "Digits":
      try field.allow(["type", "individual_digits"])
      let individual = try field["individual_digits"].bool(default: false)
      return [.split(TextSplit(.digits, individual ? .isolated : .contiguous))]
    case "Punctuation":
      try field.allow(["type", "behavior"])
      return [.split(TextSplit(.punctuation, try field["behavior"].behavior(default: .isolated)))]
    case "Split":
      try field.allow(["type", "pattern", "behavior", "invert"])
      let regex = try field["pattern"].pattern()
      let behavior = try field["behavior"].behavior()
      let isInverted = try field["invert"].bool(default: false)
      if regex.isLiteral { return [.split(TextSplit(.text(regex), behavior, isInverted: isInverted))] }
      do {
        return [.split(try TextSplit(regex, behavior, isInverted: isInverted))]
      } catch {
        throw try field["pattern"]["Regex"].expected(error)
      }
    default:
      throw type.expected("\"ByteLevel\", \"Split\", \"Digits\", \"Punctuation\" or \"Sequence\"")
    }
  }
}

/// Steps of a normalizer or a pre-tokenizer at most: each goes over every text.
private let stepLimit = 64

/// The parts of a text between single spaces.
private func halves(_ text: String) -> [String] {
  let parts = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
  return parts.map { String(decoding: $0, as: UTF8.self) }
}

/// Refuses the parts of a BPE model that are not byte-level or not deterministic.
private func checkModel(_ model: JSONField) throws {
  // Files of old versions do not name the type; only BPE has merges.
  if try model["type"].value != nil || model["merges"].value == nil {
    guard try model["type"].string() == "BPE" else { throw try model["type"].expected("\"BPE\"") }
  }
  for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
    if try model[key].isPresent, try !model[key].string().isEmpty { throw try model[key].expected("no text") }
  }
  if try model["byte_fallback"].bool(default: false) {
    throw try model["byte_fallback"].expected("false: models in the style of SentencePiece are not read")
  }
  if try model["dropout"].isPresent, try model["dropout"].value?.double != 0 {
    throw try model["dropout"].expected("no dropout")
  }
}

extension JSONField {
  fileprivate func expected(_ error: RegexError) -> FlowerError {
    expected("a regular expression without \(error.feature) (character \(error.character))")
  }

  /// `{"Regex": "…"}` or `{"String": "…"}`.
  fileprivate func pattern() throws -> BoundedRegex {
    try allow(["Regex", "String"])
    guard try object().count == 1 else { throw expected("{\"Regex\": …} or {\"String\": …}") }
    let (regex, literal) = (try self["Regex"], try self["String"])
    do throws(RegexError) {
      if let text = regex.value?.string { return try BoundedRegex(text) }
      if let text = literal.value?.string, !text.isEmpty { return try BoundedRegex(literal: text) }
    } catch {
      throw (regex.value == nil ? literal : regex).expected(error)
    }
    throw (regex.value == nil ? literal : regex).expected("a text that is not empty")
  }

  fileprivate func behavior(default absent: TextSplit.Behavior? = nil) throws -> TextSplit.Behavior {
    if let absent, !isPresent { return absent }
    guard let behavior = TextSplit.Behavior(rawValue: try string()) else {
      throw expected(TextSplit.Behavior.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", "))
    }
    return behavior
  }

  fileprivate static let idRange = "an integer from 0 to \(Vocabulary.idLimit - 1)"

  fileprivate func id() throws -> Int32 {
    guard let id = value?.int, (0..<Vocabulary.idLimit).contains(id) else {
      throw expected(Self.idRange)
    }
    return Int32(id)
  }
}
