/// The weights of a model directory: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
public struct ModelWeights: Sendable {
  /// Shards that are opened at most; each holds an open file.
  static let maximumShards = 512

  /// Names of the tensors: in the order of the file, or of the index.
  public let names: [String]
  private let shards: [[UInt8]: SafeTensorsReader]

  /// - Throws: `FlowerError` of kind `data` naming the file and what is wrong with it.
  public init(directory: String) throws {
    let single = "\(directory)/model.safetensors"
    let index = "\(directory)/model.safetensors.index.json"
    if !File.exists(single) && File.exists(index) {
      (names, shards) = try Self.readers(index: index, directory: directory)
    } else {
      let reader = try SafeTensorsReader(path: single)
      names = reader.tensors.map(\.name)
      shards = Dictionary(uniqueKeysWithValues: names.map { (Array($0.utf8), reader) })
    }
  }

  private static func readers(
    index: String, directory: String
  ) throws -> (names: [String], shards: [[UInt8]: SafeTensorsReader]) {
    guard let map = try JSON(contentsOf: index)["weight_map"]?.object else {
      throw FlowerError(.data, "\(index): expected an object \"weight_map\" from tensors to files")
    }
    var readers: [[UInt8]: SafeTensorsReader] = [:]
    var shards: [[UInt8]: SafeTensorsReader] = [:]
    for member in map {
      // A plain name: the index must not lead out of the directory.
      guard case .string(let file) = member.value, file.utf8.count > 12, file.hasSuffix(".safetensors"),
        !file.utf8.contains(UInt8(ascii: "/")), !file.utf8.contains(0)
      else {
        throw FlowerError(
          .data, "\(index): tensor \"\(member.key)\": expected the name of a safetensors file in this directory")
      }
      let key = Array(file.utf8)
      guard readers[key] != nil || readers.count < maximumShards else {
        throw FlowerError(.data, "\(index): names more than \(maximumShards) files")
      }
      let reader = try readers[key] ?? SafeTensorsReader(path: "\(directory)/\(file)")
      guard reader[member.key] != nil else {
        throw FlowerError(.data, "\(reader.path): has no tensor \"\(member.key)\", which \(index) looks for there")
      }
      readers[key] = reader
      shards[Array(member.key.utf8)] = reader
    }
    return (map.map(\.key), shards)
  }

  public subscript(name: String) -> SafeTensors.Tensor? { shards[Array(name.utf8)]?[name] }

  /// Reads a tensor of that shape as fp32 (see `SafeTensorsReader`).
  /// - Throws: `FlowerError` of kind `data` if there is none, its shape is another, or it holds no floating-point numbers
  ///   of up to 32 bits, or one that is not finite: no probabilities follow from such weights.
  public func read(_ name: String, shape: [Int], into values: UnsafeMutableBufferPointer<Float>) throws {
    guard let shard = shards[Array(name.utf8)] else {
      throw FlowerError(.data, "the model has no tensor \"\(name)\"")
    }
    try shard.readFinite(shard.tensor(name, shape: shape), into: values)
  }
}
