import Glibc

/// Directories on POSIX calls; failures are `FlowerError` with the path and the system's reason.
enum Directory {
  /// The directory that holds `path`.
  static func parent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Creates the directory and those above it that are missing, durably.
  static func create(_ path: String) throws {
    if isDirectory(path + "/") { return }
    let parent = parent(of: path)
    if parent != path { try create(parent) }
    // Another process may have been faster.
    guard mkdir(path, 0o777) == 0 || errno == EEXIST && isDirectory(path + "/") else {
      throw FlowerError(.cannotWrite, reason: "cannot create the directory \(path)")
    }
    try synchronize(parent)
  }

  /// Names in the directory without `.` and `..`, sorted by bytes.
  static func names(in path: String) throws -> [String] {
    guard let stream = opendir(path) else { throw FlowerError(.data, reason: "cannot list \(path)") }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw FlowerError(.data, reason: "cannot list \(path)") }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Renames durably; what has the new name is replaced (a directory only if it is empty).
  static func rename(_ old: String, to new: String) throws {
    guard Glibc.rename(old, new) == 0 else { throw FlowerError(.cannotWrite, reason: "cannot rename \(old) to \(new)") }
    try synchronize(parent(of: new))
  }

  /// Returns when the names in the directory are on the disk.
  static func synchronize(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FlowerError(.cannotWrite, reason: "cannot open the directory \(path)") }
    defer { close(descriptor) }
    // Some network file systems have no such call for directories (EINVAL); they write names through.
    guard fsync(descriptor) == 0 || errno == EINVAL else {
      throw FlowerError(.cannotWrite, reason: "cannot write the directory \(path)")
    }
  }

  /// The same for the directory and all below it.
  static func synchronizeTree(_ path: String) throws {
    for name in try names(in: path) where isDirectory("\(path)/\(name)") { try synchronizeTree("\(path)/\(name)") }
    try synchronize(path)
  }

  /// Deletes a file or a directory with all that it holds; follows no links.
  static func remove(_ path: String) throws {
    if isDirectory(path) {
      for name in try names(in: path) { try remove("\(path)/\(name)") }
      guard rmdir(path) == 0 else { throw FlowerError(.cannotWrite, reason: "cannot delete \(path)") }
    } else {
      guard unlink(path) == 0 else { throw FlowerError(.cannotWrite, reason: "cannot delete \(path)") }
    }
  }

  /// Deletes a directory if nothing is in it.
  static func removeIfEmpty(_ path: String) { rmdir(path) }

  /// Whether `path` is itself a directory; a link to one counts with a slash at the end.
  static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }
}
