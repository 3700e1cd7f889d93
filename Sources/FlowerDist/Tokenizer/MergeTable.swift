/// The merges of byte-pair encoding: which two adjacent tokens become one, and which first.
///
/// A flat hash table with linear probing, at most half full.
struct MergeTable: Sendable {
  struct Merge: Equatable, Sendable {
    var left: Int32
    var right: Int32
    /// Lower ranks are applied first.
    var rank: Int32
    /// The token that the two become.
    var id: Int32

    /// No merge: ranks after all others.
    static let none = Merge(left: -1, right: -1, rank: .max, id: -1)
  }

  private var slots: [Merge]

  init(capacity: Int) {
    var size = 2
    while size < 2 * capacity { size *= 2 }
    slots = Array(repeating: .none, count: size)
  }

  init(_ merges: [Merge]) {
    self.init(capacity: merges.count)
    for merge in merges { insert(merge) }
  }

  /// The merges by rank.
  var ordered: [Merge] { slots.filter { $0.left >= 0 }.sorted { $0.rank < $1.rank } }

  /// Adds a merge unless the pair has one, and tells whether it did. The capacity must not be exceeded.
  @discardableResult
  mutating func insert(_ merge: Merge) -> Bool {
    let slot = slot(merge.left, merge.right)
    guard slots[slot].left < 0 else { return false }
    slots[slot] = merge
    return true
  }

  /// The merge of `left` and `right`, or `Merge.none`.
  func merge(_ left: Int32, _ right: Int32) -> Merge { slots[slot(left, right)] }

  /// Where the pair is, or where it would be.
  private func slot(_ left: Int32, _ right: Int32) -> Int {
    let key = UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    let mask = slots.count - 1
    // Fibonacci hashing: the high bits of the product depend on all bits of the key.
    var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    while slots[slot].left >= 0, slots[slot].left != left || slots[slot].right != right { slot = (slot + 1) & mask }
    return slot
  }
}

extension MergeTable: Equatable {
  static func == (a: MergeTable, b: MergeTable) -> Bool { a.ordered == b.ordered }
}
