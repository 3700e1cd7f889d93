import CVector

/// Adds the gradients of all grains and gathers what the owners make of them.
///
/// While its grains are computed a rank keeps one buffer per partial sum of the fixed tree, at most log2(V/p) + 1 at once
/// (one more per further slot): see ``ReductionPlan``. The sum over ranks begins while the rank's last grain is still computed,
/// with the buckets whose gradient is complete.
public final class GradientReducer {
  public let plan: ReductionPlan
  private let communicator: any Communicator
  private let compression: Recipe.Communication.Compression
  /// This rank's part of each bucket's rounds; all buckets have as many.
  private let rounds: [[[ReductionPlan.Transfer]]]
  private let roundCount: Int
  private var free: [FloatArena] = []
  /// The sum of each slot, complete once all grains were added.
  private var slots: [FloatArena] = []
  /// Partial sums of the slot in progress, each with the number of grains it covers.
  private var pending: [(grains: Int, sum: FloatArena)] = []
  private var grainsAdded = 0
  /// While the last grain's gradient becomes complete.
  private var closing: Closing?
  /// Where messages are received, and what they are packed into.
  private var freeMessages: [FloatArena] = []

  private struct Closing {
    var gradient: FloatArena
    /// Which partial sums are added to which, in order.
    var joins: [(target: FloatArena, source: FloatArena)]
    /// Buckets that are not complete: those before it.
    var bucketsLeft: Int
    var pipeline: BucketPipeline
  }

  /// - Parameters:
  ///   - ranks: the first so many take part, `nil`: all; the others may call everything but ``add(_:)``.
  ///   - bucket: blocks of a bucket; see ``ReductionPlan``.
  public init(
    count: Int, grains: Int, communicator: any Communicator, ranks: Int? = nil,
    compression: Recipe.Communication.Compression = .none, bucket: Int? = nil
  ) {
    let plan = ReductionPlan(count: count, grains: grains, ranks: ranks ?? communicator.size, bucket: bucket)
    self.plan = plan
    self.communicator = communicator
    self.compression = compression
    let rank = communicator.rank
    let all = plan.buckets.indices.map { plan.rounds(ofBucket: $0) }
    let roundCount = all.map(\.count).max() ?? 0
    self.roundCount = roundCount
    rounds = all.map { rounds in
      rounds.map { $0.filter { $0.from == rank || $0.to == rank } } + Array(repeating: [], count: roundCount - rounds.count)
    }
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

  private var subtrees: [Range<Int>] {
    ReductionPlan.subtrees(ofRank: communicator.rank, grains: plan.grains, ranks: plan.ranks)
  }

  /// Takes the gradient of the rank's next grain; grains come in order.
  public func add(_ gradient: FloatArena) {
    grainsAdded += 1
    if grainsAdded == subtrees.reduce(0, { $0 + $1.count }) { return advance(gradient, completeFrom: 0) }
    for join in takeUp(gradient) { FlowerDist.add(join.source.base, to: join.target.base, plan.count) }
  }

  /// Puts a grain's gradient among the partial sums; equal neighbours join, like the carries of a binary counter.
  ///
  /// - Returns: which are to be added to which, in order.
  private func takeUp(_ gradient: FloatArena) -> [(target: FloatArena, source: FloatArena)] {
    var joins: [(target: FloatArena, source: FloatArena)] = []
    pending.append((1, gradient))
    while pending.count > 1, pending[pending.count - 1].grains == pending[pending.count - 2].grains {
      let right = pending.removeLast()
      joins.append((pending[pending.count - 1].sum, right.sum))
      pending[pending.count - 1].grains += right.grains
    }
    if pending.count == 1, pending[0].grains == subtrees[slots.count].count { slots.append(pending.removeLast().sum) }
    // Nobody asks for a buffer before the sums are made.
    free += joins.map(\.source)
    return joins
  }

  // MARK: Over the ranks

  /// Reduces the buckets of which the gradient of the rank's last grain is complete, without waiting for other ranks. The
  /// gradient is complete from the float `offset` to the end; ``add(_:)`` does the rest.
  public func advance(_ gradient: FloatArena, completeFrom offset: Int) {
    var closing = self.closing ?? close(gradient)
    precondition(closing.gradient === gradient, "another gradient than the one that became complete so far")
    let block = (offset + ReductionPlan.blockSize - 1) / ReductionPlan.blockSize
    while closing.bucketsLeft > 0, plan.buckets[closing.bucketsLeft - 1].lowerBound >= block {
      closing.bucketsLeft -= 1
      let range = plan.floats(plan.buckets[closing.bucketsLeft])
      for join in closing.joins {
        FlowerDist.add(join.source.base + range.lowerBound, to: join.target.base + range.lowerBound, range.count)
      }
      closing.pipeline.add(closing.bucketsLeft)
    }
    closing.pipeline.advance()
    self.closing = closing
  }

  private func close(_ gradient: FloatArena) -> Closing {
    let joins = takeUp(gradient)
    precondition(slots.count == subtrees.count, "the gradient of another grain than the rank's last")
    let pipeline = pipeline { [unowned self] bucket, round in begin(bucket, round) }
    return Closing(gradient: gradient, joins: joins, bucketsLeft: plan.buckets.count, pipeline: pipeline)
  }

  private func pipeline(_ begin: @escaping (Int, Int) -> BucketPipeline.Round) -> BucketPipeline {
    BucketPipeline(communicator, rounds: roundCount, begin: begin)
  }

  private func tag(_ bucket: Int, _ round: Int) -> Int { bucket * roundCount + round }

  /// A round of a bucket's sum: sends, and adds what is received.
  private func begin(_ bucket: Int, _ round: Int) -> BucketPipeline.Round {
    var messages = BucketPipeline.Round()
    for transfer in rounds[bucket][round] {
      let range = plan.floats(transfer.blocks)
      if transfer.from == transfer.to {
        FlowerDist.add(
          slots[transfer.fromSlot].base + range.lowerBound, to: slots[transfer.toSlot].base + range.lowerBound,
          range.count)
      } else if transfer.from == communicator.rank {
        messages.sends.append(send(slots[transfer.fromSlot].view(range), to: transfer.to, tag(bucket, round)))
      } else {
        let target = slots[transfer.toSlot].view(range)
        messages.receives.append(receive(addingTo: target, from: transfer.from, tag(bucket, round)))
      }
    }
    return messages
  }

  private func send(_ floats: UnsafeMutableBufferPointer<Float>, to rank: Int, _ tag: Int) -> BucketPipeline.Pending {
    if compression == .none { return (communicator.send(UnsafeRawBufferPointer(floats), to: rank, tag: tag), {}) }
    let packed = messageBuffer()
    let halves = UnsafeMutableRawPointer(packed.base).assumingMemoryBound(to: UInt16.self)
    flower_to_bfloat16(floats.baseAddress!, halves, floats.count)
    return (
      communicator.send(UnsafeRawBufferPointer(start: halves, count: 2 * floats.count), to: rank, tag: tag),
      { [unowned self] in freeMessages.append(packed) }
    )
  }

  private func receive(
    addingTo target: UnsafeMutableBufferPointer<Float>, from rank: Int, _ tag: Int
  ) -> BucketPipeline.Pending {
    let buffer = messageBuffer()
    let size = compression == .none ? 4 : 2
    let bytes = UnsafeMutableRawBufferPointer(start: buffer.base, count: size * target.count)
    return (
      communicator.receive(bytes, from: rank, tag: tag),
      { [unowned self] in
        if compression == .none {
          FlowerDist.add(buffer.base, to: target.baseAddress!, target.count)
        } else {
          flower_add_bfloat16(bytes.baseAddress!.assumingMemoryBound(to: UInt16.self), target.baseAddress!, target.count)
        }
        freeMessages.append(buffer)
      }
    )
  }

  /// Room for the floats of a bucket.
  private func messageBuffer() -> FloatArena {
    freeMessages.popLast() ?? FloatArena(count: plan.floats(plan.buckets[0]).count)
  }

  /// Adds over all ranks. Afterwards the owners' views hold the sum over all grains, valid until ``finish()``.
  public func reduce() -> ReducedGradient {
    closing?.pipeline.finish()
    closing = nil
    grainsAdded = 0
    return ReducedGradient(
      plan: plan, rank: communicator.rank,
      parts: plan.owned(by: communicator.rank).map { ($0.blocks, slots[$0.slot].view(plan.floats($0.blocks))) })
  }

  /// Makes the buffers free for the next step.
  public func finish() {
    free += slots
    slots.removeAll(keepingCapacity: true)
  }

  /// Starts to spread the blocks that each owner holds in `arena` to all ranks: the plan backwards. Where a rank receives what
  /// it also sends on, as with other numbers of ranks than powers of two, the floats are the same.
  ///
  /// A rank's next reduction, whose messages have the same tags, comes after it has waited for all floats: messages of a tag
  /// arrive in the order in which they were sent.
  public func gather(_ arena: FloatArena) -> WeightArrival {
    let pipeline = pipeline { [self] bucket, round in
      let transfers = rounds[bucket][roundCount - 1 - round]
      var messages = BucketPipeline.Round()
      for transfer in transfers where transfer.from != transfer.to {
        let floats = arena.view(plan.floats(transfer.blocks))
        if transfer.to == communicator.rank {
          let message = communicator.send(UnsafeRawBufferPointer(floats), to: transfer.from, tag: tag(bucket, round))
          messages.sends.append((message, {}))
        } else {
          let message = communicator.receive(
            UnsafeMutableRawBufferPointer(floats), from: transfer.to, tag: tag(bucket, round))
          messages.receives.append((message, {}))
        }
      }
      return messages
    }
    return WeightArrival(plan, pipeline)
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
