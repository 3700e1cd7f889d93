import Foundation

extension Tokenizer {
  /// Reads a Hugging Face `tokenizer.json`.
  ///
  /// Read are byte-level BPE models: `pre_tokenizer` ByteLevel, alone or after Split (with the pattern of GPT-2, Qwen2
  /// or Llama 3) and Digits; `normalizer` NFC or none; `decoder` ByteLevel; every byte a token. `post_processor` is kept
  /// but not run, `truncation` and `padding` are ignored.
  ///
  /// - Throws: `FlowerError` (data) that names the file, the key path and what was expected.
  public init(contentsOf path: String) throws {
    let bytes = try contents(of: path)
    let file = try Field(file: path, value: bytes.withUnsafeBytes { try JSON(parsing: $0, file: path) })
    let postProcessor = try file["post_processor"].value
    let preTokenizer = try PreTokenizer(file["pre_tokenizer"])
    let normalizer = try Normalizer(file["normalizer"])
    let decoder = try file["decoder"]
    guard try decoder["type"].string() == "ByteLevel" else { throw try decoder["type"].expected("\"ByteLevel\"") }

    let model = try file["model"]
    try checkModel(model)
    let added = try file["added_tokens"].elements().map(AddedToken.init)
    let (vocabulary, addedTokens) = try Self.vocabulary(model["vocab"], added: added)
    self.init(
      vocabulary: vocabulary, merges: try Self.merges(model["merges"], vocabulary), preTokenizer: preTokenizer,
      normalizer: normalizer, addedTokens: addedTokens, ignoresMerges: try model["ignore_merges"].bool(default: false),
      postProcessor: postProcessor.flatMap { $0.isNull ? nil : $0.description })
  }

  /// The tokens of the model, and the added ones with a note whether the model has them too.
  private static func vocabulary(_ vocab: Field, added: [AddedToken]) throws -> (Vocabulary, [AddedToken]) {
    var tokens: [[UInt8]] = []
    var added = Dictionary(added.map { ($0.id, $0) }) { first, _ in first }
    var taken = Set<Int32>()
    for entry in try vocab.members() {
      let id = try entry.id()
      guard taken.insert(id).inserted else { throw entry.expected("an id that no other token has") }
      var bytes = ByteAlphabet.bytes(entry.key)
      if added[id] != nil {
        guard added[id]?.content.utf8.elementsEqual(entry.key.utf8) == true else {
          throw entry.expected("an id that no added token of other text has")
        }
        added[id]?.isInModel = true
        // Outside the alphabet, or meaning other bytes in it, it is never the result of merges.
        if bytes.map({ $0.elementsEqual(entry.key.utf8) }) != true { bytes = [] }
      }
      guard let bytes, !bytes.isEmpty || added[id] != nil else {
        throw entry.expected("a token written in GPT-2's byte alphabet")
      }
      if tokens.count <= Int(id) {
        tokens.append(contentsOf: repeatElement([], count: Int(id) + 1 - tokens.count))
      }
      tokens[Int(id)] = bytes
    }
    return (try Vocabulary(tokens, file: vocab.place), Array(added.values))
  }

  private static func merges(_ field: Field, _ vocabulary: Vocabulary) throws -> MergeTable {
    let elements = try field.elements()
    var table = MergeTable(capacity: elements.count)
    for (rank, element) in elements.enumerated() {
      let halves: [Substring]
      if let pair = element.value?.array {
        halves = pair.compactMap { $0.string.map { Substring($0) } }
      } else {
        halves = try element.string().split(separator: " ", omittingEmptySubsequences: false)
      }
      guard halves.count == 2, let left = ByteAlphabet.bytes(halves[0]), let right = ByteAlphabet.bytes(halves[1])
      else {
        throw element.expected("two tokens, as \"a b\" or [\"a\", \"b\"]")
      }
      guard let leftID = vocabulary.id(left), let rightID = vocabulary.id(right), let id = vocabulary.id(left + right)
      else { throw element.expected("two tokens of model.vocab that make a third one") }
      let merge = MergeTable.Merge(left: leftID, right: rightID, rank: Int32(rank), id: id)
      guard table.insert(merge) else { throw element.expected("a pair that is not listed before") }
    }
    return table
  }
}

extension Tokenizer.Normalizer {
  fileprivate init(_ field: Field) throws {
    guard field.isPresent else {
      self = .none
      return
    }
    guard try field["type"].string() == "NFC" else { throw try field["type"].expected("\"NFC\", or no normalizer") }
    self = .nfc
  }
}

extension AddedToken {
  fileprivate init(_ field: Field) throws {
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
  fileprivate init(_ field: Field) throws {
    self.init(steps: try Self.steps(field))
    for step in steps.dropLast() {
      if case .byteLevel = step { throw field.expected("ByteLevel as the last step only") }
    }
    guard case .byteLevel = steps.last else { throw field.expected("ByteLevel as the last step") }
  }

  private static func steps(_ field: Field) throws -> [Step] {
    let type = try field["type"]
    switch try type.string() {
    case "Sequence":
      try field.allow(["pretokenizers"])
      return try field["pretokenizers"].elements().flatMap(steps)
    case "ByteLevel":
      try field.allow(["add_prefix_space", "trim_offsets", "use_regex"])
      let addPrefixSpace = try field["add_prefix_space"].bool(default: true)
      return [.byteLevel(addPrefixSpace: addPrefixSpace, useRegex: try field["use_regex"].bool(default: true))]
    case "Digits":
      try field.allow(["individual_digits"])
      return [.digits(individual: try field["individual_digits"].bool(default: false))]
    case "Split":
      try field.allow(["pattern", "behavior", "invert"])
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

/// Refuses the parts of a BPE model that are not byte-level or not deterministic.
private func checkModel(_ model: Field) throws {
  guard try model["type"].string() == "BPE" else { throw try model["type"].expected("\"BPE\"") }
  for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
    if try model[key].isPresent, try !model[key].string().isEmpty { throw try model[key].expected("no text") }
  }
  if try model["byte_fallback"].bool(default: false) { throw try model["byte_fallback"].expected("false") }
  if try model["dropout"].isPresent, try model["dropout"].value?.double != 0 {
    throw try model["dropout"].expected("no dropout")
  }
}

/// A value of the file with its key path, for errors.
private struct Field {
  let file: String
  var path = ""
  /// The key of the last step of the path.
  var key = ""
  let value: JSON?

  var place: String { path.isEmpty ? file : "\(file): \(path)" }

  func expected(_ what: String) -> FlowerError {
    let found: String
    switch value {
    case nil: found = "nothing"
    case .string?, .number?, .bool?: found = String(value!.description.prefix(200))
    case let value?: found = value.kind
    }
    return FlowerError(.data, "\(place) is \(found); expected \(what)")
  }

  var isPresent: Bool { value.map { !$0.isNull } ?? false }

  subscript(key: String) -> Field {
    get throws {
      guard value?.object != nil else { throw expected("an object") }
      return Field(file: file, path: path.isEmpty ? key : "\(path).\(key)", key: key, value: value?[key])
    }
  }

  func members() throws -> [Field] {
    guard let members = value?.object else { throw expected("an object") }
    return members.map { Field(file: file, path: "\(path)[\(JSON($0.key))]", key: $0.key, value: $0.value) }
  }

  func elements() throws -> [Field] {
    guard let elements = value?.array else { throw expected("an array") }
    return elements.enumerated().map { Field(file: file, path: "\(path)[\($0)]", value: $1) }
  }

  /// Refuses keys other than these and `type`.
  func allow(_ keys: [String]) throws {
    for member in try members() where member.key != "type" && !keys.contains(member.key) {
      throw member.expected("no such key")
    }
  }

  func string() throws -> String {
    guard let string = value?.string else { throw expected("a string") }
    return string
  }

  func bool(default absent: Bool) throws -> Bool {
    guard isPresent else { return absent }
    guard let bool = value?.bool else { throw expected("true or false") }
    return bool
  }

  func id() throws -> Int32 {
    guard let id = value?.int, (0..<Vocabulary.idLimit).contains(id) else {
      throw expected("an integer from 0 to \(Vocabulary.idLimit - 1)")
    }
    return Int32(id)
  }
}

/// The bytes of a file.
/// - Throws: `FlowerError` (data).
func contents(of path: String) throws -> Data {
  do {
    return try Data(contentsOf: URL(fileURLWithPath: path))
  } catch {
    throw FlowerError(.data, "\(path) cannot be read: \(error.localizedDescription)")
  }
}
