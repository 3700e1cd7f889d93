import CZlib

/// The bytes of a file from the first to the last, in constant memory; a gzip file (RFC 1952) can be unpacked on the way.
final class ByteStream {
  let path: String
  private let file: File
  private let size: Int
  private var offset = 0
  private var unpacking: Unpacking?

  /// - Parameter unpacked: whether a file that begins as gzip files do is unpacked, whatever its name.
  init(_ path: String, unpacked: Bool) throws {
    self.path = path
    file = try File(reading: path)
    size = try file.size()
    if unpacked, size >= 2, try file.bytes(in: 0..<2) == [0x1F, 0x8B] { unpacking = try Unpacking(path) }
  }

  /// Fills the beginning of the buffer and returns how much; 0 at the end.
  ///
  /// - Throws: `FlowerError` of kind `data`, also if packed data are damaged or end too early.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    guard let unpacking else { return try readFile(into: buffer) }
    while true {
      let count = try unpacking.unpack(into: buffer)
      if count > 0 { return count }
      let packed = try readFile(into: unpacking.input)
      if packed == 0 {
        guard unpacking.isBetweenMembers else { throw unpacking.error("ends in the middle of packed data") }
        return 0
      }
      unpacking.take(packed)
    }
  }

  private func readFile(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let count = min(buffer.count, size - offset)
    try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), at: offset)
    offset += count
    return count
  }
}

/// The state of zlib over the members of a gzip file, which may be several, one after the other.
private final class Unpacking {
  let path: String
  /// Where packed bytes are put before `take`.
  let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 1)
  /// Whether all that was taken is whole members.
  private(set) var isBetweenMembers = true
  /// zlib's state knows its address, so it stays at one.
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
  private var packedBytes = 0

  init(_ path: String) throws {
    self.path = path
    stream.initialize(to: z_stream())
    // The largest window, and 16: a gzip header is expected.
    let code = inflateInit2_(stream, MAX_WBITS + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard code == Z_OK else { throw FlowerError(.data, "\(path): zlib does not start (code \(code))") }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
    input.deallocate()
  }

  /// Takes the first bytes of `input`; those before must be used up.
  func take(_ count: Int) {
    stream.pointee.next_in = input.baseAddress!.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_in = UInt32(count)
    packedBytes += count
  }

  /// Unpacks as much as there is and fits, and returns how much; 0 if more input is needed.
  func unpack(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    stream.pointee.next_out = buffer.baseAddress!.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = UInt32(buffer.count)
    unpacking: while stream.pointee.avail_out > 0 {
      if isBetweenMembers {
        guard stream.pointee.avail_in > 0 else { break }
        isBetweenMembers = false
        inflateReset(stream)
      }
      switch inflate(stream, Z_NO_FLUSH) {
      case Z_OK: break
      case Z_STREAM_END: isBetweenMembers = true
      case Z_BUF_ERROR: break unpacking
      default: throw error("damaged gzip data" + (stream.pointee.msg.map { " (\(String(cString: $0)))" } ?? ""))
      }
    }
    return buffer.count - Int(stream.pointee.avail_out)
  }

  func error(_ message: String) -> FlowerError {
    FlowerError(.data, "\(path): \(message), before byte \(packedBytes - Int(stream.pointee.avail_in)) of the file")
  }
}
