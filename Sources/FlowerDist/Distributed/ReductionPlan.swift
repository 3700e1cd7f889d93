/// How gradients are added over all grains in one fixed binary tree, whatever the number of ranks.
///
/// Grain g is a leaf of a binary tree; rank r of p computes grains rV/p ..< (r+1)V/p and adds those that form a whole
/// subtree by itself: each maximal subtree is one *slot* of the rank, a buffer as large as the arena. Above, where two
/// slots hold the halves of a node, each keeps half of every interval that they share: it sends the other half and adds
/// what it receives (recursive halving, nearest ranks first, for any p). In the end every block has one owner. The same
/// plan backwards gathers what the owners computed from it. For powers of two the traffic per rank is that of an
/// all-reduce, 2 (p-1)/p of the arena; for others, whose subtrees are cut, up to log2(V) times that (2.4 times for p = 3, V = 8).
///
/// Floating-point addition commutes, so it does not matter which of two partners adds: bits depend on the tree alone.
/// Intervals are in blocks of a fixed number of floats, so that sums over blocks do not depend on p either.
public struct ReductionPlan: Sendable {
  /// Floats per block.
  public static let blockSize = 4096

  /// Who holds a node's sum on an interval of blocks, and in which of its slots.
  public struct Holder: Equatable, Sendable {
    public var blocks: Range<Int>
    public var rank: Int
    public var slot: Int
  }

  /// Blocks whose sum moves from one slot and is added to another, of another rank or of the same.
  struct Transfer: Equatable, Sendable {
    var blocks: Range<Int>
    var from: Int
    var fromSlot: Int
    var to: Int
    var toSlot: Int
  }

  public let grains: Int
  public let ranks: Int
  /// Number of floats that are reduced.
  public let count: Int
  /// By level of the tree, from the smallest nodes that span slots up to the root.
  let rounds: [[Transfer]]
  /// Owner of each interval once all is added, ascending and without gaps.
  public let owners: [Holder]

  public init(count: Int, grains: Int, ranks: Int) {
    precondition(grains > 0 && grains & (grains - 1) == 0, "the number of grains is a power of two")
    precondition(ranks >= 1 && ranks <= grains, "there are at most as many ranks as grains")
    self.count = count
    self.grains = grains
    self.ranks = ranks
    let blocks = (count + Self.blockSize - 1) / Self.blockSize
    var nodes: [[Holder]] = []
    for rank in 0..<ranks {
      for (slot, subtree) in Self.subtrees(ofRank: rank, grains: grains, ranks: ranks).enumerated() {
        for _ in subtree { nodes.append([Holder(blocks: 0..<blocks, rank: rank, slot: slot)]) }
      }
    }
    var rounds: [[Transfer]] = []
    while nodes.count > 1 {
      var round: [Transfer] = []
      nodes = stride(from: 0, to: nodes.count, by: 2).map { Self.merge(nodes[$0], nodes[$0 + 1], &round) }
      if !round.isEmpty { rounds.append(round) }
    }
    self.rounds = rounds
    owners = nodes[0]
  }

  /// Joins the sums of two siblings, interval by interval.
  private static func merge(_ left: [Holder], _ right: [Holder], _ round: inout [Transfer]) -> [Holder] {
    if left == right { return left }
    var merged: [Holder] = []
    var (i, j) = (0, 0)
    while i < left.count, j < right.count {
      let (a, b) = (left[i], right[j])
      let shared = a.blocks.clamped(to: b.blocks)
      let middle = a.rank == b.rank ? shared.upperBound : shared.lowerBound + (shared.count + 1) / 2
      let (low, high) = (shared.lowerBound..<middle, middle..<shared.upperBound)
      if !low.isEmpty {
        round.append(Transfer(blocks: low, from: b.rank, fromSlot: b.slot, to: a.rank, toSlot: a.slot))
        merged.append(Holder(blocks: low, rank: a.rank, slot: a.slot))
      }
      if !high.isEmpty {
        round.append(Transfer(blocks: high, from: a.rank, fromSlot: a.slot, to: b.rank, toSlot: b.slot))
        merged.append(Holder(blocks: high, rank: b.rank, slot: b.slot))
      }
      if a.blocks.upperBound == shared.upperBound { i += 1 }
      if b.blocks.upperBound == shared.upperBound { j += 1 }
    }
    return merged
  }

  /// The grains that a rank computes.
  public static func grains(ofRank rank: Int, grains: Int, ranks: Int) -> Range<Int> {
    rank * grains / ranks..<(rank + 1) * grains / ranks
  }

  /// The rank's grains as maximal subtrees, in order; slot s holds the sum of the s-th.
  public static func subtrees(ofRank rank: Int, grains: Int, ranks: Int) -> [Range<Int>] {
    let mine = Self.grains(ofRank: rank, grains: grains, ranks: ranks)
    var result: [Range<Int>] = []
    var start = mine.lowerBound
    while start < mine.upperBound {
      var size = start == 0 ? grains : start & -start
      while start + size > mine.upperBound { size /= 2 }
      result.append(start..<start + size)
      start += size
    }
    return result
  }

  /// Intervals of blocks that a rank owns in the end, ascending.
  public func owned(by rank: Int) -> [Holder] { owners.filter { $0.rank == rank } }

  /// The floats of an interval of blocks.
  public func floats(_ blocks: Range<Int>) -> Range<Int> {
    blocks.lowerBound * Self.blockSize..<min(blocks.upperBound * Self.blockSize, count)
  }
}
