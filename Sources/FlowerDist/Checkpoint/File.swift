import Glibc

/// An open file on POSIX calls. Failures name the path and the system's reason; reading fails as `data`, writing as
/// `cannotWrite`.
struct File: ~Copyable, Sendable {
  let path: String
  private let descriptor: Int32

  /// Opens a regular file. Without `O_NONBLOCK` a named pipe in a model directory would block for ever.
  init(reading path: String) throws {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FlowerError(.data, reason: "cannot read \(path)") }
    guard try status().st_mode & S_IFMT == S_IFREG else { throw FlowerError(.data, "cannot read \(path): not a file") }
  }

  /// Creates the file, or empties the one that is there.
  init(writing path: String) throws {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FlowerError(.cannotWrite, reason: "cannot write \(path)") }
  }

  // What `close` could still report (network file systems) `synchronize` has reported before.
  deinit { if descriptor >= 0 { close(descriptor) } }

  private func status() throws -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw FlowerError(.data, reason: "cannot read \(path)") }
    return status
  }

  /// In bytes.
  func size() throws -> Int { Int(try status().st_size) }

  /// Fills the buffer from `offset` on.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw FlowerError(.data, reason: "cannot read \(path)") }
      guard count > 0 else { throw FlowerError(.data, "\(path): ends at byte \(offset + done) while being read") }
      done += count
    }
  }

  /// The first `count` bytes, above 0, as memory that is read when it is touched; `munmap` gives it back.
  func map(_ count: Int) throws -> UnsafeMutableRawPointer {
    guard let mapping = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), mapping != MAP_FAILED else {
      throw FlowerError(.data, reason: "cannot read \(path)")
    }
    return mapping
  }

  func bytes(in range: Range<Int>) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    try bytes.withUnsafeMutableBytes { try read(into: $0, at: range.lowerBound) }
    return bytes
  }

  /// Appends all the bytes; the system may take them in several pieces.
  func write(_ bytes: UnsafeRawBufferPointer) throws {
    var done = 0
    while done < bytes.count {
      let count = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw FlowerError(.cannotWrite, reason: "cannot write \(path)") }
      done += count
    }
  }

  func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Cuts the file to its first bytes.
  func truncate(to size: Int) throws {
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw FlowerError(.cannotWrite, reason: "cannot write \(path)") }
  }

  /// Returns when the file's content is on the disk.
  func synchronize() throws {
    guard fsync(descriptor) == 0 else { throw FlowerError(.cannotWrite, reason: "cannot write \(path)") }
  }

  /// The whole content of a file of at most `limit` bytes.
  static func contents(of path: String, limit: Int = 1 << 30) throws -> [UInt8] {
    let file = try File(reading: path)
    let size = try file.size()
    guard size <= limit else { throw FlowerError(.data, "\(path): has \(size) bytes, at most \(limit) are read") }
    return try file.bytes(in: 0..<size)
  }

  /// Whether something is there. Where that cannot be told (a directory that may not be entered), it is assumed, so that
  /// the error comes from what is done next instead of passing for "nothing there".
  static func exists(_ path: String) -> Bool {
    access(path, F_OK) == 0 || ![ENOENT, ENAMETOOLONG].contains(errno)
  }
}

extension FlowerError {
  /// Ends the message with what the last failed system call says. Nothing may come between the call and this.
  init(_ kind: Kind, reason message: @autoclosure () -> String) {
    let code = errno
    self.init(kind, "\(message()): \(String(cString: strerror(code)))")
  }
}

extension File {
  /// Opens a file for lines at its end; it is made if there is none.
  init(appending path: String) throws {
    self.path = path
    descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FlowerError(.cannotWrite, reason: "cannot write \(path)") }
  }
}
