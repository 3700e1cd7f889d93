/// What a Hugging Face directory holds that is not interpreted here. A model that began from one takes it along into its
/// checkpoints and exports, so that `transformers` uses the result as it used the original.
public struct SideFiles: Sendable {
  /// Files that are kept byte for byte, where they are.
  static let names = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "chat_template.jinja", "chat_template.json", "LICENSE",
  ]
  /// Bytes of such a file at most; known ones have up to 33 million.
  static let maximumSize = 1 << 27
  /// Bytes of `config.json` and of `generation_config.json` at most.
  static let maximumConfigurationSize = 1 << 20

  let files: [(name: String, bytes: [UInt8])]
  private let configuration: [JSON.Member]
  /// `nil` if there is no `generation_config.json`.
  private let generation: [JSON.Member]?
  /// SHA-256 of all of it.
  let digest: String

  /// - Parameter directories: where each file is looked for, in this order.
  /// - Throws: `FlowerError` of kind `data` naming the file that is too large, cannot be read, or is not as expected.
  init(directories: [String]) throws {
    func read(_ name: String, limit: Int) throws -> (name: String, bytes: [UInt8], path: String)? {
      guard let path = directories.lazy.map({ "\($0)/\(name)" }).first(where: File.exists) else { return nil }
      return (name, try File.contents(of: path, limit: limit), path)
    }
    let files = try Self.names.compactMap { try read($0, limit: Self.maximumSize) }
    let objects = try ["config.json", "generation_config.json"].map {
      try read($0, limit: Self.maximumConfigurationSize)
    }
    let members = try objects.map { object in
      try object.map { try Self.members($0.bytes, path: $0.path) }
    }
    self.files = files.map { ($0.name, $0.bytes) }
    (configuration, generation) = (members[0] ?? [], members[1])
    var hash = SHA256()
    for (name, bytes, _) in files + objects.compactMap({ $0 }) {
      Array("\(name) \(bytes.count) ".utf8).withUnsafeBytes { hash.update($0) }
      bytes.withUnsafeBytes { hash.update($0) }
    }
    digest = hash.finish()
  }

  /// The members of a configuration's object, whose end tokens are ids.
  private static func members(_ bytes: [UInt8], path: String) throws -> [JSON.Member] {
    let json = try JSON(parsing: bytes, file: path)
    let fields = try JSONFields(json, path: path)
    guard endTokens(json) != nil else {
      throw fields.error("eos_token_id", "expected a token id or a list of them, found \(json["eos_token_id"]!.kind)")
    }
    return json.object!
  }

  /// The tokens that end a text: none, one or a list; `nil` if they are something else.
  private static func endTokens(_ json: JSON) -> [Int]? {
    guard let value = json["eos_token_id"], !value.isNull else { return [] }
    let tokens = (value.array ?? [value]).map(\.int)
    return tokens.contains(nil) ? nil : tokens.compactMap { $0 }
  }

  /// `config.json`: what `ours` says, and where it says nothing the original.
  ///
  /// The end token stays the original's, for `generation_config.json` decides where generation stops;
  /// `max_position_embeddings` is the larger one.
  func configuration(with ours: JSON) -> JSON {
    let original = JSON.object(configuration)
    var members = (ours.object ?? []).filter { !["bos_token_id", "eos_token_id"].contains($0.key) }
    for index in members.indices {
      switch members[index].key {
      // Its name since transformers 4.56.
      case "torch_dtype" where original["dtype"] != nil: members[index].key = "dtype"
      case "max_position_embeddings":
        let sizes = [original["max_position_embeddings"], members[index].value].compactMap { $0?.int }
        members[index].value = JSON(sizes.max() ?? 0)
      default: break
      }
    }
    members.removeAll { $0.key == "max_position_embeddings" && $0.value.int == 0 }
    let values = JSON.object(members)
    let kept = configuration.filter { !($0.key == "torch_dtype" && original["dtype"] != nil) }
    return .object(
      kept.map { JSON.Member($0.key, values[$0.key] ?? $0.value) } + members.filter { original[$0.key] == nil })
  }

  /// `generation_config.json`: the original, where generation stops at the terminator too, if there is one.
  /// - Returns: `nil` if the original has none and nothing is to be added.
  func generation(terminator: Int32?) -> JSON? {
    guard let terminator else { return generation.map { .object($0) } }
    // Without the file, transformers takes these from config.json.
    let special = ["bos_token_id", "eos_token_id", "pad_token_id"]
    var members = generation ?? configuration.filter { special.contains($0.key) && !$0.value.isNull }
    // With this, transformers 4 would rather go by config.json again (GenerationMixin._prepare_generation_config).
    members.removeAll { $0.key == "_from_model_config" }
    let source = JSON.object(members)["eos_token_id"] == nil ? configuration : members
    var ends = Self.endTokens(.object(source)) ?? []
    if !ends.contains(Int(terminator)) { ends.append(Int(terminator)) }
    let value = ends.count == 1 ? JSON(ends[0]) : JSON(ends.map { JSON($0) })
    if let index = members.firstIndex(where: { $0.key == "eos_token_id" }) {
      members[index].value = value
    } else {
      members.append(JSON.Member("eos_token_id", value))
    }
    return .object(members)
  }
}
