import Glibc

/// Keeps a directory to one process for as long as this value lives. The system releases it whenever the process ends.
final class DirectoryLock: Sendable {
  private static let name = ".lock"
  private let path: String
  private let descriptor: Int32

  /// - Parameter patience: how many seconds to wait for a process that is about to end.
  /// - Throws: `FlowerError` of kind `usage` if another process has it.
  init(_ directory: String, patience: Int = 0) throws {
    path = "\(directory)/\(Self.name)"
    let end = ContinuousClock.now + .seconds(patience)
    while true {
      let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
      guard opened >= 0 else { throw FlowerError(.cannotWrite, reason: "cannot write \(path)") }
      let isLocked = flock(opened, LOCK_EX | LOCK_NB) == 0
      // Some network file systems have no locks; one process at a time is then the user's to see to.
      let isUnknown = !isLocked && (errno == ENOLCK || errno == EOPNOTSUPP)
      // Whoever had it may have deleted the file that was opened here.
      if isUnknown || isLocked && Self.isFile(opened, at: path) {
        descriptor = opened
        return
      }
      close(opened)
      if isLocked { continue }
      guard ContinuousClock.now < end else {
        throw FlowerError(
          .usage, "\(directory): another process is at work here; wait for it, or give another --name")
      }
      usleep(100_000)
    }
  }

  private static func isFile(_ descriptor: Int32, at path: String) -> Bool {
    var (opened, named) = (stat(), stat())
    return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino
      && opened.st_dev == named.st_dev
  }

  deinit {
    unlink(path)
    close(descriptor)
  }
}
