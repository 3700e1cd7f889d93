import Foundation

extension Tokenizer {
  /// Reads a Hugging Face `tokenizer.json`.
  ///
  /// Read are byte-level BPE models: `pre_tokenizer` ByteLevel, alone or after Split (with the pattern of GPT-2, Qwen2
  /// or Llama 3) and Digits; `normalizer` NFC or none; `decoder` ByteLevel. `post_processor` is kept but not run,
  /// `truncation` and `padding` are ignored.
  ///
  /// - Throws: `FlowerError` (data) that names the file, the key path and what was expected.
  public init(contentsOf path: String) throws {
    let bytes = try Self.fileContents(path)
    let file = try JSONField(file: path, value: bytes.withUnsafeBytes { try JSON(parsing: $0, file: path) })
    let postProcessor = try file["post_processor"].value
    let preTokenizer = try PreTokenizer(file["pre_tokenizer"])
    let normalizer = try Normalizer(file["normalizer"])
    let decoder = try file["decoder"]
    guard try decoder["type"].string() == "ByteLevel" else { throw try decoder["type"].expected("\"ByteLevel\"") }

    let model = try file["model"]
    try checkModel(model)
    let (vocabulary, addedTokens) = try Self.vocabulary(model["vocab"], added: file["added_tokens"])
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
    for (key, value) in try vocab.object().lazy.map({ ($0.key, $0.value) }) {
      func entry() -> JSONField { vocab.member(key, value) }
      guard let id = value.int, (0..<Vocabulary.idLimit).contains(id) else { throw entry().expected(JSONField.idRange) }
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

extension Tokenizer.Normalizer {
  fileprivate init(_ field: JSONField) throws {
    guard field.isPresent else {
      self = .none
      return
    }
    guard try field["type"].string() == "NFC" else { throw try field["type"].expected("\"NFC\", or no normalizer") }
    self = .nfc
  }
}

extension AddedToken {
  fileprivate init(_ field: JSONField) throws {
    let special = try field["special"].bool(default: false)
    self.init(
      id: try field["id"].id(), content: try field["content"].string(), isSpecial: special,
      isNormalized: try field["normalized"].bool(default: !special), isInModel: false)
    if content.isEmpty { throw try field["content"].expected("a text that is not empty") }
    for key in ["single_word", "lstrip", "rstrip"] {
      if try field[key].bool(default: false) { throw try field[key].expected("false") }
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
      return try field["pretokenizers"].elements().flatMap(steps)
    case "ByteLevel":
      try field.allow(["type", "add_prefix_space", "trim_offsets", "use_regex"])
      let addPrefixSpace = try field["add_prefix_space"].bool(default: true)
      return [.byteLevel(addPrefixSpace: addPrefixSpace, useRegex: try field["use_regex"].bool(default: true))]
    case "Digits":
      try field.allow(["type", "individual_digits"])
      return [.digits(individual: try field["individual_digits"].bool(default: false))]
    case "Split":
      try field.allow(["type", "pattern", "behavior", "invert"])
      let regex = try field["pattern"]["Regex"]
      let text = try regex.string()
      guard let pattern = SplitPattern.allCases.first(where: { $0.regex.utf8.elementsEqual(text.utf8) }) else {
        throw regex.expected("the pattern of GPT-2, Qwen2 or Llama 3")
      }
      guard try field["behavior"].string() == "Isolated" else {
        throw try field["behavior"].expected("\"Isolated\"")
      }
      if try field["invert"].bool(default: false) { throw try field["invert"].expected("false") }
      return [.split(pattern)]
    default:
      throw type.expected("\"ByteLevel\", \"Split\", \"Digits\" or \"Sequence\"")
    }
  }
}

/// The parts of a text between single spaces.
private func halves(_ text: String) -> [String] {
  let parts = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
  return parts.map { String(decoding: $0, as: UTF8.self) }
}

/// Refuses the parts of a BPE model that are not byte-level or not deterministic.
private func checkModel(_ model: JSONField) throws {
  guard try model["type"].string() == "BPE" else { throw try model["type"].expected("\"BPE\"") }
  for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
    if try model[key].isPresent, try !model[key].string().isEmpty { throw try model[key].expected("no text") }
  }
  if try model["byte_fallback"].bool(default: false) { throw try model["byte_fallback"].expected("false") }
  if try model["dropout"].isPresent, try model["dropout"].value?.double != 0 {
    throw try model["dropout"].expected("no dropout")
  }
}

extension JSONField {
  fileprivate static let idRange = "an integer from 0 to \(Vocabulary.idLimit - 1)"

  fileprivate func id() throws -> Int32 {
    guard let id = value?.int, (0..<Vocabulary.idLimit).contains(id) else {
      throw expected(Self.idRange)
    }
    return Int32(id)
  }
}

extension Tokenizer {
  /// - Throws: `FlowerError` (data).
  static func fileContents(_ path: String) throws -> Data {
    do {
      return try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw FlowerError(.data, "\(path) cannot be read: \(error.localizedDescription)")
    }
  }
}
