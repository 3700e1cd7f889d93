import CCrypto

/// SHA-256, fed piece by piece.
struct SHA256: ~Copyable {
  private let context: OpaquePointer

  init() {
    guard let context = EVP_MD_CTX_new() else { fatalError("out of memory") }
    self.context = context
    precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "libcrypto offers no SHA-256")
  }

  deinit { EVP_MD_CTX_free(context) }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    precondition(EVP_DigestUpdate(context, start, bytes.count) == 1)
  }

  /// The digest of all bytes so far: 64 lower-case hexadecimal digits.
  consuming func finish() -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    precondition(EVP_DigestFinal_ex(context, &digest, nil) == 1)
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  static func hex(of bytes: [UInt8]) -> String {
    var hash = SHA256()
    bytes.withUnsafeBytes { hash.update($0) }
    return hash.finish()
  }

  /// Reads the file once, a mebibyte at a time.
  static func hex(of file: borrowing File) throws -> String {
    var hash = SHA256()
    let size = try file.size()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { buffer.deallocate() }
    var offset = 0
    while offset < size {
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, size - offset)])
      try file.read(into: piece, at: offset)
      hash.update(UnsafeRawBufferPointer(piece))
      offset += piece.count
    }
    return hash.finish()
  }

  /// - Throws: `FlowerError` of kind `data` if the file cannot be read.
  static func hex(ofFile path: String) throws -> String {
    try hex(of: File(reading: path))
  }
}

extension String {
  /// SHA-256 of the UTF-8 bytes, hexadecimal.
  var sha256: String { SHA256.hex(of: Array(utf8)) }
}
