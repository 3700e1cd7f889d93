import Testing

@testable import FlowerDist

@Suite struct GrainBalanceTests {
  private func totals(_ order: [Int], _ work: [Int], _ grains: Int) -> [Int] {
    order.chunks(of: work.count / grains).map { $0.reduce(0) { $0 + work[$1] } }
  }

  @Test(arguments: [(1, 1), (1, 7), (4, 1), (4, 8), (16, 3), (64, 16)])
  func everyGrainHasAsManyExamplesInTheirOrder(grains: Int, size: Int) {
    let random = CounterRandom(seed: 4, purpose: .dataOrder, step: 0)
    let work = (0..<grains * size).map { 10 + Int(50 * random.uniform(UInt64($0))) }
    let order = GrainBalance.order(work: work, grains: grains)
    #expect(order.sorted() == Array(work.indices))
    #expect(order.chunks(of: size).allSatisfy { $0.elementsEqual($0.sorted()) })
    #expect(GrainBalance.order(work: work, grains: grains) == order)
  }

  @Test func workOfGrainsIsNearlyEqual() {
    let random = CounterRandom(seed: 5, purpose: .dataOrder, step: 0)
    for grains in [2, 8, 64] {
      for trial in 0..<20 {
        let work = (0..<8 * grains).map { 20 + Int(60 * random.uniform(UInt64(1000 * trial + $0))) }
        let mean = Double(work.reduce(0, +)) / Double(grains)
        let balanced = totals(GrainBalance.order(work: work, grains: grains), work, grains)
        let before = totals(Array(work.indices), work, grains)
        #expect(Double(balanced.max()!) < 1.03 * mean, "\(grains) grains: \(balanced), \(before) before")
      }
    }
  }

  @Test func whatIsEqualKeepsItsOrderByGrain() {
    #expect(GrainBalance.order(work: [5, 5, 5, 5, 5, 5], grains: 2) == [0, 2, 4, 1, 3, 5])
    #expect(GrainBalance.order(work: [1, 9, 8, 2], grains: 2) == [0, 1, 2, 3])
    #expect(GrainBalance.order(work: [9, 1, 8, 2], grains: 2) == [0, 1, 2, 3])
    #expect(GrainBalance.order(work: [9, 8, 2, 1], grains: 2) == [0, 3, 1, 2])
  }
}
