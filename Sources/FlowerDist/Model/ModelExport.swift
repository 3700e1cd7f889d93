import Glibc

/// A model written as a plain Hugging Face directory, with its adapter merged.
public struct ModelExport: CustomStringConvertible {
  public let path: String
  public let tensors: Int
  public let parameters: Int
  /// Of all files together.
  public let bytes: Int
  /// Element type of the weights.
  public let dtype: SafeTensors.DType

  /// Writes the directory beside its place, as `OUTPUT.partial`, syncs and renames it.
  ///
  /// The weights are in memory once, as fp32.
  /// - Parameters:
  ///   - source: a model directory, a checkpoint, or a run (its best checkpoint, else its newest).
  ///   - output: must not exist.
  ///   - dtype: of the weights, F32 or BF16; `nil` takes BF16 if the model that training began from had it, else F32, which
  ///     loses nothing.
  ///   - maximumShard: bytes of weights in a file.
  /// - Throws: `FlowerError` of kind `usage` if the output exists, `data` if the source cannot be read, `cannotWrite`;
  ///   nothing is left in the output's place.
  public init(
    _ source: String, to output: String, dtype: SafeTensors.DType? = nil, maximumShard: Int = SafeTensors.maximumShard
  ) throws {
    let output = Self.withoutTrailingSlashes(output)
    guard !Self.isThere(output) else { throw FlowerError(.usage, "\(output): already exists; choose another --output") }
    var model = try ModelDirectory(contentsOf: ServedModel.modelDirectory(source), keepingSideFiles: true)
    model.transformer.mergeAdapter()
    model.metadata?.baseDigest = nil
    path = output
    tensors = model.transformer.layout.parameters.count
    parameters = model.transformer.layout.count
    self.dtype = dtype ?? (model.baseType == .bf16 ? .bf16 : .f32)
    let partial = output + ".partial"
    do {
      // What an export that was killed has left.
      if Self.isThere(partial) { try Directory.remove(partial) }
      try Directory.create(partial)
      try model.write(to: partial, dtype: self.dtype, maximumShard: maximumShard)
      bytes = try Directory.names(in: partial).reduce(0) { try $0 + File(reading: "\(partial)/\($1)").size() }
      try Directory.synchronize(partial)
      try Directory.rename(partial, to: output)
    } catch {
      try? Directory.remove(partial)
      throw error
    }
  }

  /// A file, a directory, or a link, wherever it leads.
  private static func isThere(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  private static func withoutTrailingSlashes(_ path: String) -> String {
    var path = path[...]
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    return String(path)
  }

  public var description: String {
    "Written to \(path): \(tensors) tensors, \(NumberText.grouped(Double(parameters))) parameters,"
      + " \(NumberText.grouped(Double(bytes))) bytes, \(dtype.rawValue.lowercased())"
  }
}
