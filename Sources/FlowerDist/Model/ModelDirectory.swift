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
  ///   - base: of an adapter: where its model is, instead of where its file says.
  ///   - host: the weights, if they have been read already.
  /// - Throws: `FlowerError` of kind `data` naming the file; also for weights that are not finite.
  public init(contentsOf path: String, keepingSideFiles: Bool = false, base: String? = nil, host: HostWeights? = nil)
    throws
  {
    let source = try ModelSource(path, base: base)
    (transformer, storedType) = try Transformer.read(source, host: host)
    self.base = source.base
    let places = [path] + (source.base.map { [$0] } ?? [])
    let tokenizerPlace = places.first { File.exists("\($0)/tokenizer.json") } ?? path
    tokenizer = try Tokenizer(contentsOf: "\(tokenizerPlace)/tokenizer.json")
    metadata =
      File.exists("\(path)/\(FlowerMetadata.fileName)") ? try FlowerMetadata(directory: path) : nil
    sideFiles = keepingSideFiles ? try SideFiles(directories: places) : nil
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
  /// Reads the weights of a model directory, or of an adapter's model, and the adapter.
  /// - Parameter host: the weights, if they have been read already.
  /// - Returns: with the model, the element type of the weights' file.
  /// - Throws: `FlowerError` of kind `data`, also where the adapter was trained on other weights.
  static func read(
    _ source: ModelSource, host: HostWeights? = nil
  ) throws -> (transformer: Transformer, storedType: SafeTensors.DType) {
    let known = host?.directory == source.place ? host : nil
    let transformer = Transformer(source.configuration, weights: known?.weights)
    if let known { transformer.frozenDigest = known.digest }
    let storedType = try known?.storedType ?? transformer.readWeights(source.weights)
    guard let base = source.base else { return (transformer, storedType) }
    if File.exists("\(source.directory)/\(FlowerMetadata.fileName)"),
      let expected = try FlowerMetadata(directory: source.directory).baseDigest, expected != transformer.frozenDigest
    {
      throw FlowerError(
        .data,
        "\(base.quoted): these are not the weights that the adapter in \(source.directory) was trained on (SHA-256"
          + " \(expected))")
    }
    transformer.adapter = try Adapter(directory: source.directory, of: source.configuration)
    return (transformer, storedType)
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

  /// SHA-256 of what is trained, the weights or the adapter, to compare ranks and runs bit by bit.
  public var digest: String {
    var hash = SHA256()
    hash.update(UnsafeRawBufferPointer(trainable.weights.all))
    return hash.finish()
  }

  /// SHA-256 of the weights as fp32, tensor by tensor in the order of their names' bytes: `base_sha256` of `flower.json`.
  func weightsDigest() -> String {
    var hash = SHA256()
    for parameter in layout.parameters.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
      hash.update(UnsafeRawBufferPointer(weights.view(parameter.range)))
    }
    return hash.finish()
  }
}
