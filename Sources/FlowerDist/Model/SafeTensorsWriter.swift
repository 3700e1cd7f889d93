/// Writes one safetensors file front to back: the header first, then each tensor in the order announced.
///
/// The file is complete when `finish` returns; before that it is a prefix of one, so write it into a directory that gets
/// its name last.
public struct SafeTensorsWriter: ~Copyable {
  private let file: File
  private let entries: [SafeTensors.Entry]
  /// Number of tensors written whole.
  private var written = 0
  /// Bytes of the next tensor that are written.
  private var offset = 0

  /// - Parameters:
  ///   - tensors: names differ, sizes do not overflow.
  ///   - metadata: `transformers` insists on a `format`.
  /// - Throws: `FlowerError` of kind `cannotWrite`.
  public init(
    path: String, tensors: [SafeTensors.Entry], metadata: KeyValuePairs<String, String> = ["format": "pt"]
  ) throws {
    precondition(Set(tensors.map { Array($0.name.utf8) }).count == tensors.count, "two tensors of one name")
    var members = [JSON.Member("__metadata__", .object(metadata.map { JSON.Member($0.key, .string($0.value)) }))]
    var end = 0
    for tensor in tensors {
      guard let size = tensor.byteCount else { preconditionFailure("the size of \(tensor) overflows") }
      members.append(
        JSON.Member(
          tensor.name,
          [
            "dtype": .string(tensor.dtype.rawValue), "shape": .array(tensor.shape.map { JSON($0) }),
            "data_offsets": [JSON(end), JSON(end + size)],
          ]))
      end += size
    }
    // Spaces make the data begin at a multiple of eight.
    var header = JSON.object(members).serialized()
    header += repeatElement(UInt8(ascii: " "), count: -header.count & 7)

    let file = try File(writing: path)
    try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try file.write($0) }
    try file.write(header)
    self.file = file
    entries = tensors
  }

  /// Appends bytes of the next tensor, little-endian: all of them, or a part (the next call goes on with it).
  public mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
    skipEmptyTensors()
    if bytes.isEmpty { return }
    precondition(written < entries.count, "more tensors than announced")
    let size = entries[written].byteCount!
    precondition(offset + bytes.count <= size, "more bytes than tensor \(entries[written].name) has")
    try file.write(bytes)
    offset += bytes.count
    if offset == size { (written, offset) = (written + 1, 0) }
  }

  /// Appends values of the next tensor, which is F32, or BF16 (rounded to nearest, ties to even).
  public mutating func write(_ values: UnsafeBufferPointer<Float>) throws {
    skipEmptyTensors()
    if values.isEmpty { return }
    precondition(written < entries.count, "more tensors than announced")
    switch entries[written].dtype {
    case .f32: try write(UnsafeRawBufferPointer(values))
    case .bf16:
      // In pieces, so that the narrow copy stays small.
      for start in stride(from: 0, to: values.count, by: 1 << 18) {
        let piece = values[start..<min(start + 1 << 18, values.count)]
        let halves = piece.map { SafeTensors.bfloat16($0).littleEndian }
        try halves.withUnsafeBytes { try write($0) }
      }
    default: preconditionFailure("tensor \(entries[written].name) is neither F32 nor BF16")
    }
  }

  /// Returns when the file is on the disk. All tensors must have been written.
  public consuming func finish() throws {
    skipEmptyTensors()
    precondition(written == entries.count, "tensor \(entries[written].name) is not written whole")
    try file.synchronize()
  }

  private mutating func skipEmptyTensors() {
    while written < entries.count && entries[written].byteCount == 0 { written += 1 }
  }
}
