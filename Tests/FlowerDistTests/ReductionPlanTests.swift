import Testing

@testable import FlowerDist

@Suite struct ReductionPlanTests {
  /// Every number of ranks for every number of grains.
  static let shapes = [1, 2, 4, 8, 16].flatMap { grains in (1...grains).map { (grains: grains, ranks: $0) } }
  /// Blocks of the arena; some are fewer than ranks.
  static let sizes = [1, 5, 16, 37]

  /// Buckets of a few blocks, so that most sizes have several.
  static func plan(_ shape: (grains: Int, ranks: Int), blocks: Int, bucket: Int = 6) -> ReductionPlan {
    ReductionPlan(
      count: blocks * ReductionPlan.blockSize - 7, grains: shape.grains, ranks: shape.ranks, bucket: bucket)
  }

  /// Of all buckets, one after the other.
  static func rounds(_ plan: ReductionPlan) -> [[ReductionPlan.Transfer]] {
    plan.buckets.indices.flatMap { plan.rounds(ofBucket: $0) }
  }

  /// The sum over grains in the one fixed tree.
  static func tree(_ leaves: ArraySlice<Float>) -> Float {
    if leaves.count == 1 { return leaves.first! }
    let middle = leaves.startIndex + leaves.count / 2
    return tree(leaves[..<middle]) + tree(leaves[middle...])
  }

  /// Gradients by grain, one number for each block, whose sum depends on the order.
  static func gradients(grains: Int, blocks: Int) -> [[Float]] {
    var random = SeededRandom(grains * 100 + blocks)
    return (0..<grains).map { _ in
      random.floats(blocks, in: -1...1).map { $0 * Float([1e-4, 1, 1e4].randomElement(using: &random)!) }
    }
  }

  @Test(arguments: shapes) func grainsAreSharedOut(grains: Int, ranks: Int) {
    var next = 0
    for rank in 0..<ranks {
      let mine = ReductionPlan.grains(ofRank: rank, grains: grains, ranks: ranks)
      #expect(mine.lowerBound == next && mine.count >= grains / ranks && mine.count <= (grains + ranks - 1) / ranks)
      next = mine.upperBound
      let subtrees = ReductionPlan.subtrees(ofRank: rank, grains: grains, ranks: ranks)
      #expect(subtrees.first?.lowerBound == mine.lowerBound && subtrees.last?.upperBound == mine.upperBound)
      for (a, b) in zip(subtrees, subtrees.dropFirst()) {
        #expect(a.upperBound == b.lowerBound)
        // Neighbours that are halves of one node would be one subtree.
        #expect(a.count != b.count || !a.lowerBound.isMultiple(of: 2 * a.count))
      }
      for subtree in subtrees {
        #expect(subtree.count.nonzeroBitCount == 1 && subtree.lowerBound.isMultiple(of: subtree.count))
      }
    }
    #expect(next == grains)
  }

  @Test(arguments: shapes) func everyBlockHasOneOwner(grains: Int, ranks: Int) {
    for blocks in Self.sizes {
      let plan = Self.plan((grains, ranks), blocks: blocks)
      #expect(plan.owners.flatMap { Array($0.blocks) } == Array(0..<blocks))
      #expect((0..<ranks).flatMap { plan.owned(by: $0) }.count == plan.owners.count)
      #expect(plan.owners.map { plan.floats($0.blocks).count }.reduce(0, +) == plan.count)
    }
  }

  /// Carries the plan out on arrays: forwards the sum is the fixed tree's to the last bit, backwards everybody gets it.
  @Test(arguments: shapes) func addsInOneTreeAndGathers(grains: Int, ranks: Int) {
    for blocks in Self.sizes {
      let plan = Self.plan((grains, ranks), blocks: blocks)
      let gradients = Self.gradients(grains: grains, blocks: blocks)
      var slots = (0..<ranks).map { rank in
        ReductionPlan.subtrees(ofRank: rank, grains: grains, ranks: ranks).map { subtree in
          (0..<blocks).map { block in Self.tree(gradients[subtree].map { $0[block] }[...]) }
        }
      }
      for round in Self.rounds(plan) {
        // What is sent was there when the round began, and nothing is sent that also arrives.
        let before = slots
        for t in round {
          for block in t.blocks {
            #expect(!round.contains { $0.to == t.from && $0.toSlot == t.fromSlot && $0.blocks.contains(block) })
            slots[t.to][t.toSlot][block] += before[t.from][t.fromSlot][block]
          }
        }
      }
      let expected = (0..<blocks).map { block in Self.tree(gradients.map { $0[block] }[...]) }
      var arenas = (0..<ranks).map { _ in [Float](repeating: .nan, count: blocks) }
      for owner in plan.owners {
        for block in owner.blocks { arenas[owner.rank][block] = slots[owner.rank][owner.slot][block] }
      }
      for round in Self.rounds(plan).reversed() {
        let before = arenas
        for t in round where t.from != t.to {
          for block in t.blocks { arenas[t.from][block] = before[t.to][block] }
        }
      }
      for arena in arenas { #expect(arena.map(\.bitPattern) == expected.map(\.bitPattern)) }
    }
  }

  /// The numbers above would show it: one after the other gives other bits.
  @Test func theOrderMatters() {
    let gradients = Self.gradients(grains: 8, blocks: 37)
    let running = (0..<37).map { block in gradients.reduce(0) { $0 + $1[block] } }
    #expect(running != (0..<37).map { block in Self.tree(gradients.map { $0[block] }[...]) })
  }

  @Test(arguments: shapes) func traffic(grains: Int, ranks: Int) {
    let blocks = 16 * 16
    let plan = Self.plan((grains, ranks), blocks: blocks, bucket: 128)
    let moving = Self.rounds(plan).flatMap { $0 }.filter { $0.from != $0.to }
    for rank in 0..<ranks {
      let sent = moving.reduce(0) { $0 + ($1.from == rank ? $1.blocks.count : 0) }
      let received = moving.reduce(0) { $0 + ($1.to == rank ? $1.blocks.count : 0) }
      let least = blocks * (ranks - 1) / ranks
      if ranks.nonzeroBitCount == 1 {
        #expect(sent == least && received == least)
        #expect(plan.owned(by: rank).reduce(0) { $0 + $1.blocks.count } == blocks / ranks)
      } else {
        let most = least * grains.trailingZeroBitCount
        #expect(sent <= most && received <= most)
      }
    }
  }
}
