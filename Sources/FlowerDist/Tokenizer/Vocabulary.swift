/// The bytes of every token, by id, and the ids of bytes.
struct Vocabulary: Equatable, Sendable {
  /// Ids from here on are refused: tables are as long as the largest id.
  static let idLimit = 1 << 22

  /// All tokens' bytes, one after the other.
  private var bytes: [UInt8] = []
  /// Where in `bytes` each token begins, and at the end where the last one ends.
  private var starts: [Int] = [0]
  /// A hash table of ids with linear probing, at most half full; -1 is free.
  private var slots: [Int32]
  /// The token of each byte; -1 where there is none.
  private(set) var byteTokens: [Int32] = []

  /// - Parameter tokens: bytes by id; empty where there is no token. No two may be equal.
  /// - Throws: `FlowerError` (data) that begins with `file`.
  init(_ tokens: [[UInt8]], file: String) throws {
    var size = 2
    while size < 2 * tokens.count { size *= 2 }
    slots = Array(repeating: -1, count: size)
    starts.reserveCapacity(tokens.count + 1)
    for (id, token) in tokens.enumerated() {
      bytes.append(contentsOf: token)
      starts.append(bytes.count)
      guard !token.isEmpty else { continue }
      let slot = slot(token)
      guard slots[slot] < 0 else {
        throw FlowerError(.data, "\(file): tokens \(slots[slot]) and \(id) have the same bytes")
      }
      slots[slot] = Int32(id)
    }
    byteTokens = (0...UInt8.max).map { self.id([$0]) ?? -1 }
  }

  /// Whether every byte is a token, so that every text can be written.
  var isComplete: Bool { !byteTokens.contains(-1) }

  /// The largest id + 1.
  var size: Int { starts.count - 1 }

  /// The bytes of a token; empty where there is none.
  subscript(id: Int) -> ArraySlice<UInt8> {
    guard (0..<size).contains(id) else { return [] }
    return bytes[starts[id]..<starts[id + 1]]
  }

  /// The token of exactly these bytes.
  func id(_ token: some Collection<UInt8>) -> Int32? {
    let id = slots[slot(token)]
    return id < 0 ? nil : id
  }

  /// Where the token is in `slots`, or where it would be.
  private func slot(_ token: some Collection<UInt8>) -> Int {
    // FNV-1a.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in token { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash ^ hash >> 32) & mask
    while slots[slot] >= 0, !self[Int(slots[slot])].elementsEqual(token) { slot = (slot + 1) & mask }
    return slot
  }
}
