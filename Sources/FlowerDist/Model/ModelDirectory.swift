import Foundation

/// A model with its tokenizer and what it was trained with: a Hugging Face directory plus `flower.json`.
public struct ModelDirectory {
  public var transformer: Transformer
  public var tokenizer: Tokenizer
  public var metadata: FlowerMetadata?

  public init(transformer: Transformer, tokenizer: Tokenizer, metadata: FlowerMetadata?) {
    self.transformer = transformer
    self.tokenizer = tokenizer
    self.metadata = metadata
  }

  /// Reads `config.json`, the weights as fp32, `tokenizer.json` and, if it is there, `flower.json`.
  ///
  /// - Throws: `FlowerError` of kind `data` naming the file; also for weights that are not finite.
  public init(contentsOf path: String) throws {
    transformer = Transformer(try ModelConfiguration(directory: path))
    try transformer.readWeights(directory: path)
    tokenizer = try Tokenizer(contentsOf: "\(path)/tokenizer.json")
    metadata =
      File.exists("\(path)/\(FlowerMetadata.fileName)") ? try FlowerMetadata(directory: path) : nil
    if tokenizer.vocabularySize > transformer.configuration.vocabularySize {
      throw FlowerError(
        .data,
        "\(path)/tokenizer.json: has \(tokenizer.vocabularySize) tokens, but config.json says vocab_size"
          + " \(transformer.configuration.vocabularySize)")
    }
  }

  /// Writes the files into an existing directory. `maximumPositions`: longest sequence that others should feed it.
  func write(to path: String, maximumPositions: Int) throws {
    let terminator = metadata?.terminatorToken ?? 0
    let configuration = transformer.configuration
    try AtomicFile.write(
      configuration.json(maximumPositions: maximumPositions, terminator: terminator).serialized(pretty: true),
      to: "\(path)/config.json")
    let generation: JSON = ["eos_token_id": JSON(terminator), "do_sample": false]
    try AtomicFile.write(generation.serialized(pretty: true), to: "\(path)/generation_config.json")
    try tokenizer.write(to: "\(path)/tokenizer.json")
    try metadata?.write(directory: path)
    try transformer.writeWeights(directory: path)
  }
}

extension Transformer {
  /// Reads the weights of a model directory; each tensor's shape is checked.
  func readWeights(directory: String) throws {
    let source = try ModelWeights(directory: directory)
    for parameter in layout.parameters {
      try source.read(parameter.name, shape: parameter.shape, into: weights.view(parameter.range))
    }
  }

  func writeWeights(directory: String) throws {
    var writer = try SafeTensorsWriter(
      path: "\(directory)/model.safetensors",
      tensors: layout.parameters.map { SafeTensors.Entry(name: $0.name, dtype: .f32, shape: $0.shape) })
    for parameter in layout.parameters { try writer.write(UnsafeBufferPointer(weights.view(parameter.range))) }
    try writer.finish()
  }

  /// SHA-256 of all weights, to compare ranks and runs bit by bit.
  public var digest: String {
    var hash = SHA256()
    hash.update(UnsafeRawBufferPointer(weights.all))
    return hash.finish()
  }
}
