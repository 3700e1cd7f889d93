import Glibc

/// Memory of this machine that its processes find by a name, as long as it has one.
final class SharedMemory {
  let descriptor: Int32
  let isCreator: Bool

  /// Without a byte yet; `nil` where the name is taken, or the system has no such memory.
  convenience init?(creating name: String) {
    self.init(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0o600), isCreator: true)
  }

  /// `nil` where there is none of that name.
  convenience init?(opening name: String) { self.init(shm_open(name, O_RDONLY, 0), isCreator: false) }

  private init?(_ descriptor: Int32, isCreator: Bool) {
    guard descriptor >= 0 else { return nil }
    self.descriptor = descriptor
    self.isCreator = isCreator
  }

  deinit { close(descriptor) }

  /// Sets all of it aside at once: where the system has less left (a container's `/dev/shm` may be small), a page that is
  /// touched later would end the process.
  /// - Returns: whether there was room.
  func reserve(bytes: Int) -> Bool { posix_fallocate(descriptor, 0, bytes) == 0 }

  /// Takes the name away. The memory stays until nobody has it any more, however they end.
  static func unlink(_ name: String) { shm_unlink(name) }
}
