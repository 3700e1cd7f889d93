import Testing

@testable import FlowerDist

@Suite struct GradientReducerTests {
  /// A few blocks and a piece of one.
  static let count = 5 * ReductionPlan.blockSize + 100

  static func gradient(_ grain: Int, _ index: Int) -> Float {
    // Of very different sizes, so that the order of the sum shows.
    let hash = UInt32(truncatingIfNeeded: (grain * 7919 + index * 104_729 + 13) &* 2_654_435_761)
    return (Float(hash % 2001) - 1000) * [1e-5, 1, 1e4][grain % 3]
  }

  struct Outcome: Sendable {
    var gathered: [UInt32]
    var norm: Double
    var buffers: Int
    /// Whether what was waited for was there.
    var keptItsWord: Bool
  }

  /// Three steps on one rank: reduce, from the second on while the last gradient becomes complete, let the owners double the sum
  /// into an arena, gather. The second's gather is not finished before the third is reduced.
  static func steps(
    _ communicator: any Communicator, grains: Int, bucket: Int,
    compression: Recipe.Communication.Compression = .none
  ) -> Outcome {
    let reducer = GradientReducer(
      count: count, grains: grains, communicator: communicator, compression: compression, bucket: bucket)
    let mine = ReductionPlan.grains(ofRank: communicator.rank, grains: grains, ranks: communicator.size)
    let arena = FloatArena(count: count)
    var norm = 0.0
    var buffers = Set<UnsafeMutablePointer<Float>>()
    var early: [[UInt32]] = []
    var arrival: WeightArrival?
    for step in 0..<3 {
      for grain in mine {
        let buffer = reducer.buffer()
        buffers.insert(buffer.base)
        // A buffer is zero when it is handed out.
        for index in (0..<count).reversed() {
          buffer.base[index] += gradient(grain, index)
          if step > 0, grain == mine.last, index.isMultiple(of: 3001) { reducer.advance(buffer, completeFrom: index) }
        }
        reducer.add(buffer)
      }
      let reduced = reducer.reduce()
      norm = reduced.norm(communicator)
      arrival?.finish()
      arena.all.update(repeating: .nan)
      for part in reduced.parts {
        let start = reducer.plan.floats(part.blocks).lowerBound
        for (index, value) in part.values.enumerated() { arena.base[start + index] = 2 * value }
      }
      reducer.finish()
      arrival = reducer.gather(arena)
      if step == 1 {
        for end in [0, 1, count / 2, count] {
          arrival?.wait(upTo: end)
          early.append(arena.all[..<end].map(\.bitPattern))
        }
      } else {
        arrival?.finish()
      }
    }
    let gathered = arena.all.map(\.bitPattern)
    return Outcome(
      gathered: gathered, norm: norm, buffers: buffers.count, keptItsWord: early.allSatisfy { gathered.starts(with: $0) })
  }

  static func expected(grains: Int) -> [Float] {
    (0..<count).map { index in ReductionPlanTests.tree((0..<grains).map { gradient($0, index) }[...]) }
  }

  @Test(arguments: [1, 2, 8]) func aSingleProcess(grains: Int) {
    let outcome = Self.steps(SingleProcess(), grains: grains, bucket: 2)
    let expected = Self.expected(grains: grains)
    let same = outcome.gathered == expected.map { (2 * $0).bitPattern }
    #expect(same)
    let norm = expected.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    #expect(abs(outcome.norm / norm - 1) < 1e-12)
    #expect(outcome.buffers == GradientReducer.bufferCount(grains: grains, ranks: 1))
  }

  @Test(arguments: [(2, 2), (4, 3), (8, 2), (8, 3), (8, 5), (8, 7), (8, 8), (16, 6), (16, 11)])
  func anyNumberOfRanks(grains: Int, ranks: Int) throws {
    let alone = Self.steps(SingleProcess(), grains: grains, bucket: 256)
    let outcomes = try InMemoryRanks.run(ranks) { Self.steps($0, grains: grains, bucket: 2) }
    for outcome in outcomes {
      let same = outcome.gathered == alone.gathered
      #expect(same && outcome.keptItsWord)
      #expect(outcome.norm == alone.norm, "the norm has the same bits")
    }
    #expect(outcomes.map(\.buffers).max() == GradientReducer.bufferCount(grains: grains, ranks: ranks))
  }

  /// Rounded gradients are those of fp32 to a bfloat16's 8 bits, and every rank has the same.
  @Test(arguments: [(2, 2), (8, 3), (8, 8)]) func rounded(grains: Int, ranks: Int) throws {
    let outcomes = try InMemoryRanks.run(ranks) { Self.steps($0, grains: grains, bucket: 2, compression: .bf16) }
    #expect(outcomes.allSatisfy { $0.gathered == outcomes[0].gathered })
    let alone = Self.steps(SingleProcess(), grains: grains, bucket: 256)
    #expect(outcomes[0].gathered != alone.gathered)
    for (index, bits) in outcomes[0].gathered.enumerated() {
      let magnitude = (0..<grains).reduce(0) { $0 + abs(2 * Self.gradient($1, index)) }
      let difference = abs(Float(bitPattern: bits) - Float(bitPattern: alone.gathered[index]))
      // Half a unit of 8 bits at each of at most three roundings.
      #expect(difference <= 3 * magnitude / 256)
    }
  }

  /// The documented bound: log2(V/p) + 1 for powers of two.
  @Test(arguments: [1, 2, 4, 8, 16]) func buffersOfPowersOfTwo(grains: Int) {
    for power in 0...grains.trailingZeroBitCount {
      let buffers = GradientReducer.bufferCount(grains: grains, ranks: 1 << power)
      #expect(buffers == grains.trailingZeroBitCount - power + 1)
    }
  }
}

@Suite struct CommunicatorTests {
  @Test func ranksThatDisagreeAllHearOfIt() throws {
    let messages = try InMemoryRanks.run(3) { communicator in
      flowerError {
        try communicator.agree([("recipe", "a"), ("data", communicator.rank == 2 ? "y" : "x")])
      }?.description
    }
    #expect(Set(messages).count == 1)
    #expect(
      messages[0] == "the ranks do not agree on data: rank 0 on host0 has x, rank 2 on host2 has y", "\(messages)")
  }

  @Test func whatFailsOnOneRankEndsAll() throws {
    let errors = try InMemoryRanks.run(3) { communicator in
      flowerError {
        try communicator.together {
          if communicator.rank == 1 { throw FlowerError(.cannotWrite, "the disk is full") }
        }
      }
    }
    #expect(errors.allSatisfy { $0?.kind == .cannotWrite })
    #expect(errors.allSatisfy { $0?.description == "[rank 1 host1] the disk is full" })
  }

  @Test(arguments: [1, 2, 3, 5]) func spreadComputesEverythingOnce(ranks: Int) throws {
    let expected = (0..<11).flatMap { [Double($0), Double($0 * $0)] }
    let results = try InMemoryRanks.run(ranks) { communicator in
      try communicator.spread(count: 11, batch: 3, width: 2) { $0.flatMap { [Double($0), Double($0 * $0)] } }
    }
    #expect(results.allSatisfy { $0 == expected })
  }
}
