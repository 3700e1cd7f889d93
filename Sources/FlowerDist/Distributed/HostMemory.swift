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
    var floats = isFirst ? FloatArena(sharing: name, count: count, isCreator: true) : nil
    var isMissing = max([isFirst && floats == nil ? 1 : 0])[0] == 1
    if !isFirst, !isMissing { floats = FloatArena(sharing: name, count: count, isCreator: false) }
    isMissing = max([floats == nil ? 1 : 0])[0] == 1
    if isFirst { FloatArena.unlink(sharing: name) }
    return isMissing ? nil : floats
  }
}
