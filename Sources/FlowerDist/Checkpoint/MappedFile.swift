import Glibc

/// The content of a file as memory. Its pages are read when they are touched and may be dropped again, so a file can be
/// larger than the memory. It must not be cut short while it is used; replacing it by another is harmless.
final class MappedFile: @unchecked Sendable {
  let path: String
  let bytes: UnsafeRawBufferPointer

  /// - Throws: `FlowerError` of kind `data` if the file cannot be read or is empty.
  init(path: String) throws {
    let file = try File(reading: path)
    let size = try file.size()
    guard size > 0 else { throw FlowerError(.data, "\(path): is empty") }
    self.path = path
    bytes = UnsafeRawBufferPointer(start: try file.map(size), count: size)
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
}
