/// Adds the gradients of all grains and gathers what the owners make of them.
///
/// While its grains are computed a rank keeps one buffer per partial sum of the fixed tree, at most log2(V/p) + 1 at once
/// (one more per further slot): see ``ReductionPlan``.
public final class GradientReducer {
  public let plan: ReductionPlan
  private let communicator: any Communicator
  private let bucket: Int
  private var free: [FloatArena] = []
  /// The sum of each slot, complete once all grains were added.
  private var slots: [FloatArena] = []
  /// Partial sums of the slot in progress, each with the number of grains it covers.
  private var pending: [(grains: Int, sum: FloatArena)] = []

  /// - Parameter bucket: floats per message.
  public init(count: Int, grains: Int, communicator: any Communicator, bucket: Int = 1 << 20) {
    plan = ReductionPlan(count: count, grains: grains, ranks: communicator.size)
    self.communicator = communicator
    self.bucket = bucket
  }

  /// Most buffers as large as the arena that a rank needs.
  public static func bufferCount(grains: Int, ranks: Int) -> Int {
    (0..<ranks).map { rank in
      let subtrees = ReductionPlan.subtrees(ofRank: rank, grains: grains, ranks: ranks)
      return subtrees.enumerated().map { $0 + $1.count.trailingZeroBitCount + 1 }.max()!
    }.max()!
  }

  /// A zeroed buffer for the gradient of the next grain.
  public func buffer() -> FloatArena {
    let arena = free.popLast() ?? FloatArena(count: plan.count)
    arena.zero()
    return arena
  }

  /// Takes the gradient of the rank's next grain; grains come in order.
  public func add(_ gradient: FloatArena) {
    pending.append((1, gradient))
    // Equal neighbours join, like the carries of a binary counter.
    while pending.count > 1, pending[pending.count - 1].grains == pending[pending.count - 2].grains {
      let right = pending.removeLast()
      FlowerDist.add(right.sum.base, to: pending[pending.count - 1].sum.base, plan.count)
      pending[pending.count - 1].grains += right.grains
      free.append(right.sum)
    }
    let subtrees = ReductionPlan.subtrees(ofRank: communicator.rank, grains: plan.grains, ranks: plan.ranks)
    if pending.count == 1, pending[0].grains == subtrees[slots.count].count {
      slots.append(pending.removeLast().sum)
    }
  }

  /// Adds over all ranks. Afterwards the owners' views hold the sum over all grains, valid until ``finish()``.
  public func reduce() -> ReducedGradient {
    for round in plan.rounds {
      for transfer in round where transfer.from == communicator.rank && transfer.to == communicator.rank {
        let range = plan.floats(transfer.blocks)
        FlowerDist.add(
          slots[transfer.fromSlot].base + range.lowerBound, to: slots[transfer.toSlot].base + range.lowerBound,
          range.count)
      }
      let arriving = round.filter { $0.to == communicator.rank && $0.from != communicator.rank }
      communicator.exchange(
        sends: round.filter { $0.from == communicator.rank && $0.to != communicator.rank }.map {
          ($0.to, UnsafeBufferPointer(slots[$0.fromSlot].view(plan.floats($0.blocks))))
        },
        receives: arriving.map { ($0.from, plan.floats($0.blocks).count) }, bucket: bucket
      ) { index, start, floats in
        let target = slots[arriving[index].toSlot].base + plan.floats(arriving[index].blocks).lowerBound + start
        FlowerDist.add(floats.baseAddress!, to: target, floats.count)
      }
    }
    return ReducedGradient(
      plan: plan, rank: communicator.rank,
      parts: plan.owned(by: communicator.rank).map { ($0.blocks, slots[$0.slot].view(plan.floats($0.blocks))) })
  }

  /// Makes the buffers free for the next step.
  public func finish() {
    free += slots
    slots.removeAll(keepingCapacity: true)
  }

  /// Spreads the blocks that each owner holds in `arena` to all ranks: the plan backwards.
  public func gather(_ arena: FloatArena) {
    for round in plan.rounds.reversed() {
      let moving = round.filter { $0.from != $0.to }
      let arriving = moving.filter { $0.from == communicator.rank }
      communicator.exchange(
        sends: moving.filter { $0.to == communicator.rank }.map {
          ($0.from, UnsafeBufferPointer(arena.view(plan.floats($0.blocks))))
        },
        receives: arriving.map { ($0.to, plan.floats($0.blocks).count) }, bucket: bucket
      ) { index, start, floats in
        let target = arena.base + plan.floats(arriving[index].blocks).lowerBound + start
        target.update(from: floats.baseAddress!, count: floats.count)
      }
    }
  }
}

/// The sum over all grains on the blocks that this rank owns.
public struct ReducedGradient {
  let plan: ReductionPlan
  let rank: Int
  /// Intervals of blocks with their floats, ascending.
  let parts: [(blocks: Range<Int>, values: UnsafeMutableBufferPointer<Float>)]

  /// The Euclidean norm of the whole gradient: sums of squares by block, added in block order on every rank.
  public func norm(_ communicator: any Communicator) -> Double {
    var squares = [Double](repeating: 0, count: (plan.count + ReductionPlan.blockSize - 1) / ReductionPlan.blockSize)
    for (blocks, values) in parts {
      for block in blocks {
        let start = (block - blocks.lowerBound) * ReductionPlan.blockSize
        squares[block] = sumOfSquares(
          values.baseAddress! + start, min(ReductionPlan.blockSize, values.count - start))
      }
    }
    // Each block has one owner and zeros elsewhere, so this sum is exact in any order.
    return communicator.sum(squares).reduce(0, +).squareRoot()
  }
}
