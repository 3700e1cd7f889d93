import Testing

@testable import FlowerDist

@Suite struct GrainBalanceTests {
  private func work(_ count: Int, trial: Int = 0) -> [Int] {
    let random = CounterRandom(seed: 5, purpose: .dataOrder, step: UInt32(trial))
    // Many short ones and few long ones.
    return (0..<count).map { index in
      let u = random.uniform(UInt64(index))
      return 20 + Int(100 * u * u)
    }
  }

  @Test(arguments: [(1, 1), (1, 7), (4, 1), (4, 8), (16, 3), (64, 16)])
  func everyGrainHasAsManyExamplesInTheirOrder(grains: Int, size: Int) {
    let work = work(grains * size)
    let order = GrainBalance.order(work: work, grains: grains)
    #expect(order.sorted() == Array(work.indices))
    #expect(order.chunks(of: size).allSatisfy { $0.elementsEqual($0.sorted()) })
  }

  /// Also where a grain is a single example, and rank zero has no more than others on average.
  @Test(arguments: [1, 2, 4, 8]) func ranksHaveNearlyEqualWork(size: Int) {
    let grains = 64
    for ranks in [2, 4, 8] {
      var first = 0.0
      for trial in 0..<20 {
        let work = work(grains * size, trial: trial)
        let mean = Double(work.reduce(0, +)) / Double(ranks)
        let totals = GrainBalance.order(work: work, grains: grains).chunks(of: work.count / ranks).map {
          Double($0.reduce(0) { $0 + work[$1] }) / mean
        }
        #expect(totals.max()! < 1.03, "\(ranks) ranks: \(totals)")
        first += totals[0] / 20
      }
      #expect(abs(first - 1) < 0.01)
    }
  }

  @Test func theLargestGoesToTheHalfWithLess() {
    #expect(GrainBalance.order(work: [5, 5, 5, 5, 5, 5], grains: 2) == [0, 2, 4, 1, 3, 5])
    #expect(GrainBalance.order(work: [1, 9, 8, 2], grains: 2) == [0, 1, 2, 3])
    #expect(GrainBalance.order(work: [9, 8, 2, 1], grains: 2) == [0, 3, 1, 2])
    // 8 + 1 and 4 + 3 in halves, and each in quarters.
    #expect(GrainBalance.order(work: [3, 8, 1, 4], grains: 4) == [1, 2, 3, 0])
  }
}
