extension Communicator {
  /// The first rank on this rank's host.
  var firstOnHost: Int { hosts.firstIndex(of: hosts[rank])! }

  /// Floats, zero at first, that the ranks of each host hold once: the first rank of a host fills them, the others read.
  ///
  /// Collective. `MPI_Win_allocate_shared` is no help here: where a host has no room, Open MPI's ranks wait for each other
  /// for ever.
  ///
  /// - Returns: `nil` on every rank where there is nobody to share with, or a host has no room.
  func shareWithinHosts(_ count: Int) -> FloatArena? {
    guard Set(hosts).count < size else { return nil }
    // A name of this moment's, so that no other run can have it.
    let nonce = broadcast(Array(String(UInt64.random(in: 0...UInt64.max), radix: 16).utf8))
    let name = "/flowerdist-\(String(decoding: nonce, as: UTF8.self))-\(firstOnHost)"
    let isFirst = firstOnHost == rank
    let created = isFirst ? SharedMemory(creating: name) : nil
    let isNamed = isFirst && created != nil
    let isThere = everywhere(isNamed || !isFirst)
    let opened = isThere && !isFirst ? SharedMemory(opening: name) : nil
    let isOpen = everywhere(isNamed || opened != nil)
    // A rank that is killed from here on leaves nothing behind, and before here nothing but a name.
    if isNamed { SharedMemory.unlink(name) }
    let bytes = FloatArena.bytes(count)
    let hasRoom = everywhere(isOpen && (!isFirst || created?.reserve(bytes: bytes) == true))
    guard hasRoom, let memory = isFirst ? created : opened else { return nil }
    let floats = FloatArena(memory, count: count)
    return everywhere(floats != nil) ? floats : nil
  }

  /// Whether it is so on every rank. Collective.
  private func everywhere(_ isSo: Bool) -> Bool { max([isSo ? 0 : 1])[0] == 0 }
}
