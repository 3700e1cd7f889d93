import Glibc

/// Keeps a directory to one process for as long as this value lives. The system releases it whenever the process ends.
final class DirectoryLock {
  private let descriptor: Int32

  /// - Throws: `FlowerError` of kind `usage` if another process has it.
  init(_ directory: String) throws {
    let path = "\(directory)/.lock"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FlowerError(.cannotWrite, reason: "cannot write \(path)") }
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      if errno == EINTR { continue }
      // Some network file systems have no locks; one process at a time is then the user's to see to.
      if errno == ENOLCK || errno == EOPNOTSUPP { return }
      throw FlowerError(
        .usage,
        "\(directory): another process is working on this sweep; wait for it, or give another --name"
      )
    }
  }

  deinit { close(descriptor) }
}
