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
/// Intervals are in blocks of a fixed number of floats, so that sums over blocks do not depend on p either. The arena is cut
/// into buckets of blocks, each reduced by itself, so that one can be on its way while the next is still computed; how it is
/// cut decides who owns what, and no sum.
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

    func shifted(by offset: Int) -> Transfer {
      var copy = self
      copy.blocks = blocks.shifted(by: offset)
      return copy
    }
  }

  public let grains: Int
  public let ranks: Int
  /// Number of floats that are reduced.
  public let count: Int
  /// Intervals of blocks that are reduced each by itself, ascending and without gaps; all but the last are equally long.
  public let buckets: [Range<Int>]
  /// Of a whole bucket and of the last, as if they began with block 0.
  private let whole: Course
  private let last: Course

  /// How one bucket is reduced.
  private struct Course {
    /// By level of the tree, from the smallest nodes that span slots up to the root.
    var rounds: [[Transfer]] = []
    /// Owner of each interval once all is added, ascending and without gaps.
    var owners: [Holder]
  }

  /// - Parameter bucket: blocks of a bucket; `nil` takes 1 MB, or more where a rank's part of that would be less than 64 KB.
  public init(count: Int, grains: Int, ranks: Int, bucket: Int? = nil) {
    precondition(grains > 0 && grains & (grains - 1) == 0, "the number of grains is a power of two")
    precondition(ranks >= 1 && ranks <= grains, "there are at most as many ranks as grains")
    self.count = count
    self.grains = grains
    self.ranks = ranks
    let blocks = (count + Self.blockSize - 1) / Self.blockSize
    let width = bucket ?? Self.bucketBlocks(ranks: ranks)
    buckets = stride(from: 0, to: blocks, by: width).map { $0..<min($0 + width, blocks) }
    whole = Self.course(blocks: min(width, blocks), grains: grains, ranks: ranks)
    last = Self.course(blocks: buckets.last?.count ?? 0, grains: grains, ranks: ranks)
  }

  /// Blocks of a bucket unless told otherwise.
  static func bucketBlocks(ranks: Int) -> Int { max(64, 4 * ranks) }

  private static func course(blocks: Int, grains: Int, ranks: Int) -> Course {
    var nodes: [[Holder]] = []
    for rank in 0..<ranks {
      for (slot, subtree) in subtrees(ofRank: rank, grains: grains, ranks: ranks).enumerated() {
        for _ in subtree { nodes.append([Holder(blocks: 0..<blocks, rank: rank, slot: slot)]) }
      }
    }
    var rounds: [[Transfer]] = []
    while nodes.count > 1 {
      var round: [Transfer] = []
      nodes = stride(from: 0, to: nodes.count, by: 2).map { merge(nodes[$0], nodes[$0 + 1], &round) }
      if !round.isEmpty { rounds.append(round) }
    }
    return Course(rounds: rounds, owners: nodes[0])
  }

  private func course(_ bucket: Int) -> Course { bucket == buckets.count - 1 ? last : whole }

  /// What moves to reduce a bucket, round by round.
  func rounds(ofBucket bucket: Int) -> [[Transfer]] {
    let start = buckets[bucket].lowerBound
    return course(bucket).rounds.map { $0.map { $0.shifted(by: start) } }
  }

  /// Owner of each interval once all is added, ascending and without gaps.
  public var owners: [Holder] {
    buckets.indices.flatMap { bucket in
      course(bucket).owners.map {
        Holder(blocks: $0.blocks.shifted(by: buckets[bucket].lowerBound), rank: $0.rank, slot: $0.slot)
      }
    }
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

extension Range<Int> {
  fileprivate func shifted(by offset: Int) -> Self { lowerBound + offset..<upperBound + offset }
}
