import Glibc

/// Files that are either the old or the new content, also after a crash or a power failure.
public enum AtomicFile {
  /// Writes beside, syncs, renames, syncs the directory. What is no regular file (`/dev/stdout`, a pipe) is written
  /// directly.
  /// - Throws: `FlowerError` of kind `cannotWrite`; the file is then as it was.
  public static func write(_ bytes: [UInt8], to path: String) throws {
    var status = stat()
    if stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG { return try File(writing: path).write(bytes) }
    let temporary = "\(path).\(getpid()).tmp"
    do {
      let file = try File(writing: temporary)
      try file.write(bytes)
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
