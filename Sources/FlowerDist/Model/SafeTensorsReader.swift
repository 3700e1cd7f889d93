/// Reads tensors from one safetensors file. The header is read and checked when it is opened; tensors go straight from
/// the file to where they are wanted.
public final class SafeTensorsReader: Sendable {
  /// In the order of their bytes in the file.
  public let tensors: [SafeTensors.Tensor]
  private let file: File
  // Keyed by bytes: as `String`s, names that differ only in their Unicode composition would be one.
  private let indices: [[UInt8]: Int]
  private let metadata: [[UInt8]: String]

  public var path: String { file.path }

  /// - Throws: `FlowerError` of kind `data` naming the file and what is wrong with it.
  public init(path: String) throws {
    let file = try File(reading: path)
    let size = try file.size()
    guard size >= 8 else { throw FlowerError(.data, "\(path): has \(size) bytes, a safetensors file has at least 8") }
    let length = try file.bytes(in: 0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let limit = min(size - 8, SafeTensors.maximumHeader)
    guard length > 0 && length <= limit else {
      throw FlowerError(.data, "\(path): says that its header has \(length) bytes, expected 1 to \(limit)")
    }
    let data = 8 + Int(length)
    let header = try SafeTensorsHeader(file.bytes(in: 8..<data), dataSize: size - data, path: path)
    self.file = file
    tensors = header.tensors
    indices = Dictionary(uniqueKeysWithValues: tensors.enumerated().map { (Array($1.name.utf8), $0) })
    metadata = Dictionary(uniqueKeysWithValues: header.metadata.map { (Array($0.key.utf8), $0.value) })
  }

  public subscript(name: String) -> SafeTensors.Tensor? {
    indices[Array(name.utf8)].map { tensors[$0] }
  }

  /// A text of the header's `__metadata__`.
  public func metadata(_ key: String) -> String? { metadata[Array(key.utf8)] }

  /// The tensor of that name, which must have that shape.
  /// - Throws: `FlowerError` of kind `data` if there is none, or its shape is another.
  public func tensor(_ name: String, shape: [Int]) throws -> SafeTensors.Tensor {
    guard let tensor = self[name] else { throw FlowerError(.data, "\(path): has no tensor \(name.quoted)") }
    guard tensor.shape == shape else {
      // A shape may have any number of extents.
      let found = tensor.shape.count > 8 ? "a shape of \(tensor.shape.count) extents" : "shape \(tensor.shape)"
      throw FlowerError(.data, "\(path): tensor \(name.quoted) has \(found), expected \(shape)")
    }
    return tensor
  }

  /// The tensor of that name, which must have that shape and hold floating-point numbers of up to 32 bits.
  /// - Throws: `FlowerError` of kind `data` if there is none.
  func floats(_ name: String, shape: [Int]) throws -> SafeTensors.Tensor {
    let tensor = try tensor(name, shape: shape)
    guard tensor.dtype.fitsFloat else { throw wrongType(tensor) }
    return tensor
  }

  private func wrongType(_ tensor: SafeTensors.Tensor) -> FlowerError {
    FlowerError(
      .data, "\(path): tensor \(tensor.name.quoted) is \(tensor.dtype.rawValue), expected F32, BF16 or F16")
  }

  /// Whether two tensors, perhaps of two files, are the same to the bit.
  func isEqual(
    _ tensor: SafeTensors.Tensor, to other: SafeTensors.Tensor, of reader: SafeTensorsReader
  ) throws -> Bool {
    guard tensor.dtype == other.dtype, tensor.shape == other.shape else { return false }
    for offset in stride(from: 0, to: tensor.range.count, by: 1 << 20) {
      let count = min(1 << 20, tensor.range.count - offset)
      let (a, b) = (tensor.range.lowerBound + offset, other.range.lowerBound + offset)
      if try file.bytes(in: a..<a + count) != reader.file.bytes(in: b..<b + count) { return false }
    }
    return true
  }

  /// Reads the tensor's bytes as they are, little-endian.
  /// - Parameter bytes: as many as the tensor has.
  public func read(_ tensor: SafeTensors.Tensor, into bytes: UnsafeMutableRawBufferPointer) throws {
    precondition(bytes.count == tensor.range.count, "a buffer of another size than tensor \(tensor.name)")
    try file.read(into: bytes, at: tensor.range.lowerBound)
  }

  /// Reads an F32, BF16 or F16 tensor as fp32, exactly.
  /// - Parameter values: as many as the tensor has elements.
  public func read(_ tensor: SafeTensors.Tensor, into values: UnsafeMutableBufferPointer<Float>) throws {
    precondition(values.count == tensor.elementCount, "a buffer of another size than tensor \(tensor.name)")
    let bytes = UnsafeMutableRawBufferPointer(values)
    switch tensor.dtype {
    case .f32: try read(tensor, into: bytes)
    case .bf16: try read(tensor, into: bytes, widening: SafeTensors.float(bfloat16:))
    case .f16: try read(tensor, into: bytes, widening: SafeTensors.float(float16:))
    default: throw wrongType(tensor)
    }
  }

  /// As ``read(_:into:)``, and refuses a tensor that holds a number that is not finite.
  func readFinite(_ tensor: SafeTensors.Tensor, into values: UnsafeMutableBufferPointer<Float>) throws {
    try read(tensor, into: values)
    // The exponent of a number that is not finite is all ones. A maximum of integers is fast where || is not.
    let exponentMask = Float.infinity.bitPattern
    guard values.reduce(0, { max($0, $1.bitPattern & exponentMask) }) < exponentMask else {
      throw FlowerError(.data, "\(path): tensor \(tensor.name.quoted) holds a number that is not finite")
    }
  }

  /// Reads the halves into the upper half of the buffer and widens them front to back, in place: element i is written at
  /// 4i, and 4i + 4 <= 2n + 2(i + 1), where the unread ones begin, for all i < n.
  @inline(__always)
  private func read(
    _ tensor: SafeTensors.Tensor, into bytes: UnsafeMutableRawBufferPointer, widening: (UInt16) -> Float
  ) throws {
    let halves = tensor.range.count
    try read(tensor, into: UnsafeMutableRawBufferPointer(rebasing: bytes[halves...]))
    for index in 0..<tensor.elementCount {
      let half = UInt16(littleEndian: bytes.load(fromByteOffset: halves + 2 * index, as: UInt16.self))
      bytes.storeBytes(of: widening(half), toByteOffset: 4 * index, as: Float.self)
    }
  }
}
