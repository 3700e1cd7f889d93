import Foundation
import Testing

@testable import FlowerDist

@Suite struct CounterRandomTests {
  /// Random123's known answers (kat_vectors, philox4x32 with 10 rounds).
  @Test func knownAnswers() {
    let ones: UInt32 = 0xFFFF_FFFF
    #expect(
      CounterRandom.philox(counter: SIMD4(0, 0, 0, 0), key: SIMD2(0, 0))
        == SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
    #expect(
      CounterRandom.philox(counter: SIMD4(repeating: ones), key: SIMD2(repeating: ones))
        == SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
    #expect(
      CounterRandom.philox(
        counter: SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), key: SIMD2(0xA409_3822, 0x299F_31D0))
        == SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1))
  }

  @Test func everyCoordinateMakesAnotherStream() {
    let streams = [
      CounterRandom(seed: 1, purpose: .draws), CounterRandom(seed: 2, purpose: .draws),
      CounterRandom(seed: 1 << 32 | 1, purpose: .draws), CounterRandom(seed: 1, purpose: .policy),
      CounterRandom(seed: 1, purpose: .draws, step: 1), CounterRandom(seed: 1, purpose: .draws, example: 1),
      CounterRandom(seed: 1, purpose: .draws, sample: 1),
    ]
    #expect(Set(streams.flatMap { stream in (0..<100).map { stream.word($0) } }).count == 700)
  }

  @Test func uniformsAreInRangeAndEven() {
    let random = CounterRandom(seed: 7, purpose: .draws)
    var counts = [Int](repeating: 0, count: 16)
    var inRange = true
    for position in 0..<20_000 as Range<UInt64> {
      let u = random.uniform(position)
      inRange = inRange && 0 <= u && u < 1
      counts[Int(u * 16)] += 1
    }
    #expect(inRange)
    #expect(chiSquareDeviate(counts, [Double](repeating: 1, count: 16)) < 4)
  }

  @Test(arguments: [1, 2, 3, 7, 1000]) func integersAreInRangeAndEven(bound: Int) {
    let random = CounterRandom(seed: 8, purpose: .draws)
    let values = (0..<20_000).map { random.integer(UInt64($0), below: bound) }
    let inRange = values.allSatisfy { 0..<bound ~= $0 }
    #expect(inRange)
    if bound > 1 {
      var counts = [Int](repeating: 0, count: bound)
      for value in values where 0..<bound ~= value { counts[value] += 1 }
      #expect(chiSquareDeviate(counts, [Double](repeating: 1, count: bound)) < 4)
    }
  }

  @Test func normalsAreNormal() {
    let random = CounterRandom(seed: 9, purpose: .initialWeights)
    let pairs = (0..<20_000).map { random.normals(UInt64($0)) }
    // Sixteen bins that a standard normal fills evenly.
    var counts = [[Int]](repeating: [Int](repeating: 0, count: 16), count: 3)
    for (a, b) in pairs {
      for (list, value) in [a, b, (a + b) / 2.0.squareRoot()].enumerated() {
        counts[list][min(15, Int(16 * 0.5 * erfc(-value / 2.0.squareRoot())))] += 1
      }
    }
    for list in counts { #expect(chiSquareDeviate(list, [Double](repeating: 1, count: 16)) < 4) }
  }

  @Test(arguments: [0, 1, 2, 3, 100, 5000]) func permutationsHoldEverythingOnce(count: Int) {
    let order = CounterRandom(seed: 1, purpose: .dataOrder).permutation(of: count)
    let sorted = order.sorted() == (0..<count).map { Int32($0) }
    #expect(sorted)
    let same = order == CounterRandom(seed: 1, purpose: .dataOrder).permutation(of: count)
    #expect(same)
  }

  @Test func permutationsOfFourAreEquallyLikely() {
    var counts: [[Int32]: Int] = [:]
    for step in 0..<12_000 as Range<UInt32> {
      counts[CounterRandom(seed: 3, purpose: .dataOrder, step: step).permutation(of: 4), default: 0] += 1
    }
    #expect(counts.count == 24)
    #expect(chiSquareDeviate(Array(counts.values), [Double](repeating: 1, count: counts.count)) < 4)
  }
}

@Suite struct LeafDrawsTests {
  static let weights: [Double] = [0, 3, 0, 0, 1, 0.5, 1e-9, 0, 8, 0]

  @Test func neverALeafWithoutWeight() {
    let ends = Self.weights.indices.map { Self.weights[...$0].reduce(0, +) / Self.weights.reduce(0, +) }
    // Where one leaf ends and the next begins, a little to both sides, and the ends of the unit interval.
    var points = [0, 0.5, 1.0.nextDown]
    for end in ends { points += [end.nextDown, end, end.nextUp] }
    let lists: [[Double]] = [Self.weights, Self.weights.reversed(), [0, 1e-300, 0], [1, 1e-17, 0], [0, 0, 1e300]]
    for weights in lists {
      let draws = LeafDraws(weights)
      for point in points where 0 <= point && point < 1 { #expect(weights[draws.leaf(point)] > 0) }
    }
  }

  @Test func inProportionToWeights() {
    let draws = LeafDraws(Self.weights)
    let random = CounterRandom(seed: 4, purpose: .draws)
    var counts = [Int](repeating: 0, count: Self.weights.count)
    for position in 0..<40_000 as Range<UInt64> { counts[draws.leaf(random.uniform(position))] += 1 }
    #expect(chiSquareDeviate(counts, Self.weights) < 4)
  }
}
