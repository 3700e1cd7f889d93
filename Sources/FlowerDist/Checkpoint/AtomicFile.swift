import Glibc

/// Files that are either the old or the new content, also after a crash or a power failure.
public enum AtomicFile {
  /// Writes beside, syncs, renames, syncs the directory. What is no regular file (`/dev/stdout`, a pipe) is written
  /// directly.
  /// - Throws: `FlowerError` of kind `cannotWrite`; the file is then as it was.
  public static func write(_ bytes: [UInt8], to path: String) throws {
    try write(to: path) { try $0.write(bytes) }
  }

  /// The same for content that `body` writes piece by piece; if it throws, the file is as it was.
  static func write(to path: String, _ body: (borrowing File) throws -> Void) throws {
    var status = stat()
    if stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG { return try body(File(writing: path)) }
    let temporary = "\(path).\(getpid()).tmp"
    do {
      let file = try File(writing: temporary)
      try body(file)
      try file.synchronize()
      try Directory.rename(temporary, to: path)
    } catch {
      unlink(temporary)
      throw error
    }
  }

  public static func write(_ text: String, to path: String) throws {
    try write(Array(text.utf8), to: path)
  }
}
