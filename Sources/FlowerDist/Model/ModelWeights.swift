/// The weights of a model directory: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
///
/// Indices go stale when somebody saves a model into a directory that has one, or edits shards. So `model.safetensors`
/// comes before an index, as in `transformers`; and what an index says is which files there are. A tensor is where the
/// files have it, also if the index does not list it or says another place; only of a tensor that is in several files
/// the index must name the one.
public struct ModelWeights: Sendable {
  /// Shards that are opened at most; each holds an open file.
  static let maximumShards = 512

  /// Names of the tensors, file by file in the order of their bytes.
  public let names: [String]
  /// What lists the tensors, for messages.
  private let source: String
  private let shards: [[UInt8]: SafeTensorsReader]

  /// - Throws: `FlowerError` of kind `data` naming the file and what is wrong with it.
  public init(directory: String) throws {
    let single = "\(directory)/model.safetensors"
    let index = "\(directory)/model.safetensors.index.json"
    if !File.exists(single) && File.exists(index) {
      try self.init(index: index, directory: directory)
    } else {
      try self.init(source: single, files: [SafeTensorsReader(path: single)], stated: [:])
    }
  }

  private init(index: String, directory: String) throws {
    guard let map = try JSON(contentsOf: index)["weight_map"]?.object else {
      throw FlowerError(.data, "\(index): expected an object \"weight_map\" from tensors to files")
    }
    var files: [SafeTensorsReader] = []
    var numbers: [[UInt8]: Int] = [:]
    var stated: [[UInt8]: Int] = [:]
    for member in map {
      guard case .string(let name) = member.value, Self.isFileName(name) else {
        throw FlowerError(
          .data, "\(index): tensor \(member.key.quoted): expected the name of a safetensors file in this directory")
      }
      let key = Array(name.utf8)
      if numbers[key] == nil {
        guard files.count < Self.maximumShards else {
          throw FlowerError(.data, "\(index): names more than \(Self.maximumShards) files")
        }
        numbers[key] = files.count
        files.append(try SafeTensorsReader(path: "\(directory)/\(name)"))
      }
      stated[Array(member.key.utf8)] = numbers[key]
    }
    try self.init(source: index, files: files, stated: stated)
  }

  /// - Parameter stated: the number of the file that a tensor is said to be in.
  private init(source: String, files: [SafeTensorsReader], stated: [[UInt8]: Int]) throws {
    var names: [String] = []
    var shards: [[UInt8]: SafeTensorsReader] = [:]
    for (number, file) in files.enumerated() {
      for tensor in file.tensors {
        let key = Array(tensor.name.utf8)
        if let other = stated[key], other != number, files[other][tensor.name] != nil { continue }
        if let other = shards.updateValue(file, forKey: key) {
          throw FlowerError(
            .data,
            "\(file.path): has tensor \(tensor.name.quoted), and so has \(other.path); expected \(source) to name one")
        }
        names.append(tensor.name)
      }
    }
    self.source = source
    self.names = names
    self.shards = shards
  }

  /// A plain name: an index must not lead out of the directory.
  private static func isFileName(_ name: String) -> Bool {
    let suffix = ".safetensors".utf8
    return name.utf8.count > suffix.count && name.utf8.count <= 255
      && name.utf8.suffix(suffix.count).elementsEqual(suffix)
      && !name.utf8.contains(UInt8(ascii: "/")) && name.isPrintable
  }

  public subscript(name: String) -> SafeTensors.Tensor? { shards[Array(name.utf8)]?[name] }

  private func shard(_ name: String) throws -> SafeTensorsReader {
    guard let shard = shards[Array(name.utf8)] else {
      throw FlowerError(.data, "\(source): there is no tensor \(name.quoted)")
    }
    return shard
  }

  /// Reads a tensor of that shape as fp32 (see `SafeTensorsReader`).
  /// - Throws: `FlowerError` of kind `data` if there is none, its shape is another, or it holds no floating-point numbers
  ///   of up to 32 bits, or one that is not finite: no probabilities follow from such weights.
  public func read(_ name: String, shape: [Int], into values: UnsafeMutableBufferPointer<Float>) throws {
    let shard = try shard(name)
    try shard.readFinite(shard.tensor(name, shape: shape), into: values)
  }
}

// MARK: - Against a configuration

extension ModelWeights {
  /// Checks that these are the weights of such a model, whole, before any memory is set aside for it.
  ///
  /// Tensors that it does not have are ignored outside `model.` and `lm_head.` (other heads, for instance), and so are the
  /// tables of rotary positions that old checkpoints hold. Any other would change what the model computes if it were
  /// used. The output embedding may be there although it is tied to the input's, if it is equal.
  ///
  /// - Throws: `FlowerError` of kind `data`.
  func check(_ layout: ParameterLayout) throws {
    var known = Set<[UInt8]>()
    for parameter in layout.parameters {
      _ = try shard(parameter.name).floats(parameter.name, shape: parameter.shape)
      known.insert(Array(parameter.name.utf8))
    }
    for name in names where !known.contains(Array(name.utf8)) {
      if name == Self.outputEmbedding {
        try checkTied(to: layout.parameters[0])
      } else if Self.isPart(name) {
        throw FlowerError(
          .data,
          "\(try shard(name).path): tensor \(name.quoted) has no place in the model that config.json describes")
      }
    }
    try layout.list.requireMemory(.data, source: source)
  }

  private static let outputEmbedding = "lm_head.weight"

  /// Whether a tensor would change what the model computes.
  private static func isPart(_ name: String) -> Bool {
    let tables = ["rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached"]
    return ["model.", "lm_head."].contains { name.utf8.starts(with: $0.utf8) }
      && !tables.contains { name.utf8.reversed().starts(with: $0.utf8.reversed()) }
  }

  /// `transformers` before version 5 ignores the output embedding of a tied model, and since then uses it.
  private func checkTied(to embedding: ParameterList.Parameter) throws {
    let input = try shard(embedding.name)
    let output = try shard(Self.outputEmbedding)
    guard
      try input.isEqual(
        input.tensor(embedding.name, shape: embedding.shape),
        to: output.tensor(Self.outputEmbedding, shape: embedding.shape), of: output)
    else {
      throw FlowerError(
        .data,
        "\(output.path): tensor \"\(Self.outputEmbedding)\" is not equal to \"\(embedding.name)\", though config.json says"
          + " \"tie_word_embeddings\": true")
    }
  }
}

extension ParameterList {
  /// Throws if the system would not give the memory for them; making the arena would end the process.
  func requireMemory(_ kind: FlowerError.Kind, source: String) throws {
    guard FloatArena.canReserve(count: count) else {
      throw FlowerError(kind, "\(source): there are \(count) weights, for which there is not enough memory here")
    }
  }
}
