import Foundation

/// A model with its tokenizer and what it was trained with: a Hugging Face directory plus `flower.json`, or PEFT's
/// directory of an adapter, whose model is in another.
public struct ModelDirectory {
  public var transformer: Transformer
  public var tokenizer: Tokenizer
  public var metadata: FlowerMetadata?
  /// Of the directory that the model began from, to be written with it; `nil` for a model made here, and unless asked for.
  public var sideFiles: SideFiles?
  /// The directory of the model that the transformer's adapter belongs to.
  public var base: String?
  /// Element type of the weights in the files that they were read from.
  private var storedType = SafeTensors.DType.f32

  public init(
    transformer: Transformer, tokenizer: Tokenizer, metadata: FlowerMetadata?, sideFiles: SideFiles? = nil,
    base: String? = nil
  ) {
    self.transformer = transformer
    self.tokenizer = tokenizer
    self.metadata = metadata
    self.sideFiles = sideFiles
    self.base = base
  }

  /// Reads `config.json`, the weights as fp32, `tokenizer.json` and, if it is there, `flower.json`.
  ///
  /// - Parameters:
  ///   - keepingSideFiles: whether the model will be written again.
  ///   - host: the weights, if they have been read already.
  /// - Throws: `FlowerError` of kind `data` naming the file; also for weights that are not finite.
  public init(contentsOf path: String, keepingSideFiles: Bool = false, host: HostWeights? = nil) throws {
    (transformer, base, storedType) = try Transformer.read(path, host: host)
    let places = [path] + (base.map { [$0] } ?? [])
    let tokenizerPlace = places.first { File.exists("\($0)/tokenizer.json") } ?? path
    tokenizer = try Tokenizer(contentsOf: "\(tokenizerPlace)/tokenizer.json")
    metadata =
      File.exists("\(path)/\(FlowerMetadata.fileName)") ? try FlowerMetadata(directory: path) : nil
    sideFiles = keepingSideFiles ? try SideFiles(directories: places) : nil
    if let base, let expected = metadata?.baseDigest, expected != transformer.frozenDigest {
      throw FlowerError(
        .data, "\(base): these are not the weights that the adapter in \(path) was trained on (SHA-256 \(expected))")
    }
    if tokenizer.vocabularySize > transformer.configuration.vocabularySize {
      throw FlowerError(
        .data,
        "\(tokenizerPlace)/tokenizer.json: has \(tokenizer.vocabularySize) tokens, but config.json says vocab_size"
          + " \(transformer.configuration.vocabularySize)")
    }
  }

  /// Element type of the weights that training began from, whatever the checkpoints since have.
  public var baseType: SafeTensors.DType { metadata?.baseType ?? storedType }

  /// Writes the files into an existing directory: of the adapter alone, where there is one.
  /// - Parameters:
  ///   - maximumPositions: longest sequence that others should feed it; side files may know of a longer one.
  ///   - dtype: of the weights, F32 or BF16.
  ///   - maximumShard: bytes of weights in a file.
  func write(
    to path: String, maximumPositions: Int = 0, dtype: SafeTensors.DType = .f32,
    maximumShard: Int = SafeTensors.maximumShard
  ) throws {
    func write(_ json: JSON, _ name: String) throws {
      try AtomicFile.write(json.serialized(pretty: true), to: "\(path)/\(name)")
    }
    try metadata?.write(directory: path)
    if let sideFiles {
      for file in sideFiles.files { try AtomicFile.write(file.bytes, to: "\(path)/\(file.name)") }
    } else {
      try tokenizer.write(to: "\(path)/tokenizer.json")
    }
    if let adapter = transformer.adapter {
      guard let base else { preconditionFailure("an adapter belongs to a model in a directory") }
      return try adapter.write(directory: path, base: base)
    }
    let terminator = metadata?.terminatorToken
    let configuration = transformer.configuration.json(
      maximumPositions: maximumPositions, terminator: terminator ?? 0, dtype: dtype)
    if let sideFiles {
      try write(sideFiles.configuration(with: configuration), "config.json")
      if let generation = sideFiles.generation(terminator: terminator) {
        try write(generation, "generation_config.json")
      }
    } else {
      try write(configuration, "config.json")
      try write(["eos_token_id": JSON(terminator ?? 0), "do_sample": false], "generation_config.json")
    }
    try transformer.writeWeights(directory: path, dtype: dtype, maximumShard: maximumShard)
  }
}

extension Transformer {
  /// Reads `config.json` and the weights of a model directory, or those of an adapter's model, and the adapter.
  /// - Parameter host: the weights, if they have been read already.
  /// - Returns: with the model, the directory that an adapter belongs to, and the element type of the weights' file.
  static func read(
    _ directory: String, host: HostWeights? = nil
  ) throws -> (transformer: Transformer, base: String?, storedType: SafeTensors.DType) {
    let base = try Adapter.base(of: directory)
    let place = base ?? directory
    let configuration = try ModelConfiguration(directory: place)
    let known = host?.directory == place ? host : nil
    let source = try ModelWeights(directory: place)
    // Before memory is set aside for what the configuration says.
    try source.check(ParameterLayout(configuration))
    let transformer = Transformer(configuration, weights: known?.weights)
    let storedType = try known?.storedType ?? transformer.readWeights(source)
    if base != nil { transformer.adapter = try Adapter(directory: directory, of: configuration) }
    return (transformer, base, storedType)
  }

  /// Reads the weights of a model directory; each tensor's shape is checked.
  /// - Returns: the element type of its input embedding.
  func readWeights(_ source: ModelWeights) throws -> SafeTensors.DType {
    for parameter in layout.parameters {
      try source.read(parameter.name, shape: parameter.shape, into: weights.view(parameter.range))
    }
    return storedType(source)
  }

  /// Element type of the input embedding in its file.
  func storedType(_ source: ModelWeights) -> SafeTensors.DType {
    source[layout.parameters[0].name]?.dtype ?? .f32
  }

  /// Writes `model.safetensors`, or shards with `model.safetensors.index.json` if it would be larger than `maximumShard`.
  func writeWeights(directory: String, dtype: SafeTensors.DType, maximumShard: Int) throws {
    let tensors = layout.parameters.map { SafeTensors.Entry(name: $0.name, dtype: dtype, shape: $0.shape) }
    let shards = SafeTensors.shards(tensors, maximum: maximumShard)
    var map: [JSON.Member] = []
    for (index, shard) in shards.enumerated() {
      let name = shards.count == 1 ? "model.safetensors" : SafeTensors.fileName("model", index + 1, of: shards.count)
      var writer = try SafeTensorsWriter(path: "\(directory)/\(name)", tensors: Array(tensors[shard]))
      for parameter in layout.parameters[shard] {
        try writer.write(UnsafeBufferPointer(weights.view(parameter.range)))
        map.append(JSON.Member(parameter.name, JSON(name)))
      }
      try writer.finish()
    }
    if shards.count == 1 { return }
    let index: JSON = [
      "metadata": ["total_parameters": JSON(layout.count), "total_size": JSON(layout.count * dtype.size)],
      "weight_map": .object(map),
    ]
    try AtomicFile.write(index.serialized(pretty: true) + [0x0A], to: "\(directory)/model.safetensors.index.json")
  }

  /// SHA-256 of all weights and then of the adapter, to compare ranks and runs bit by bit.
  public var digest: String { Self.digest([weights] + (adapter.map { [$0.weights] } ?? [])) }

  /// SHA-256 of the weights without the adapter.
  var frozenDigest: String { Self.digest([weights]) }

  private static func digest(_ arenas: [FloatArena]) -> String {
    var hash = SHA256()
    for arena in arenas { hash.update(UnsafeRawBufferPointer(arena.all)) }
    return hash.finish()
  }
}
