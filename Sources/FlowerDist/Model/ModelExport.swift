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
  /// - Throws: `FlowerError` of kind `usage` if the output exists, or something other than an export in the place of
  ///   `OUTPUT.partial`; `data` if the source cannot be read, `cannotWrite`;
  ///   nothing is left in the output's place.
  public init(
    _ source: String, to output: String, dtype: SafeTensors.DType? = nil, maximumShard: Int = SafeTensors.maximumShard
  ) throws {
    let output = Self.withoutTrailingSlashes(output)
    guard !Self.isThere(output) else { throw FlowerError(.usage, "\(output): already exists; choose another --output") }
    let partial = output + ".partial"
    try Self.removeLeftovers(partial)
    var model = try ModelDirectory(contentsOf: ServedModel.modelDirectory(source), keepingSideFiles: true)
    model.transformer.mergeAdapter()
    model.metadata?.baseDigest = nil
    path = output
    tensors = model.transformer.layout.parameters.count
    parameters = model.transformer.layout.count
    self.dtype = dtype ?? (model.baseType == .bf16 ? .bf16 : .f32)
    do {
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

  /// Removes what an export that was killed has left, and nothing else.
  private static func removeLeftovers(_ path: String) throws {
    guard isThere(path) else { return }
    func refuse(_ what: String) -> FlowerError {
      FlowerError(.usage, "\(path): \(what); move it away or choose another --output")
    }
    guard Directory.isDirectory(path) else { throw refuse("is in the way, and no directory that an export has left") }
    for name in try Directory.names(in: path) {
      guard isWritten(name), !Directory.isDirectory("\(path)/\(name)") else {
        throw refuse("is in the way, and has \(name.quoted), which no export writes")
      }
    }
    try Directory.remove(path)
  }

  /// Whether an export writes files of that name, or of that name with the ending of an ``AtomicFile`` that is not there yet.
  private static func isWritten(_ name: String) -> Bool {
    let whole = /(.+?)(\.[0-9]+\.tmp)?/
    guard let file = name.wholeMatch(of: whole)?.1 else { return false }
    let others = [FlowerMetadata.fileName, "config.json", "generation_config.json", "model.safetensors.index.json"]
    return SideFiles.names.contains(String(file)) || others.contains(String(file))
      || file.wholeMatch(of: /model(-[0-9]{5,}-of-[0-9]{5,})?\.safetensors/) != nil
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
