import Foundation
import Testing

@testable import FlowerDist

@Suite struct StatisticsTests {
  /// Printed tables; tan(0.475 π) for one degree of freedom.
  @Test(
    arguments: [
      (1, tan(0.475 * Double.pi)), (2, 4.3026527), (4, 2.7764451), (10, 2.2281389), (30, 2.0422725),
      (1e5, 1.9599877),
    ] as [(Double, Double)])
  func quantilesOfStudent(degrees: Double, expected: Double) {
    #expect(abs(StudentT.quantile(0.975, degrees: degrees) - expected) < 1e-7)
    #expect(abs(StudentT.cumulative(expected, degrees: degrees) - 0.975) < 1e-8)
  }

  @Test func quantilesBetweenWholeDegreesRise() {
    let values = stride(from: 1.0, through: 8, by: 0.25).map { StudentT.quantile(0.975, degrees: $0) }
    #expect(zip(values, values.dropFirst()).allSatisfy { $0 > $1 })
    #expect(StudentT.quantile(0.5, degrees: 3) < 1e-9)
  }

  @Test func meanOfSeeds() {
    let interval = MeanInterval([0.1, 0.2, 0.3])
    #expect(abs(interval.mean - 0.2) < 1e-15)
    // t of 2 degrees times s / √3 with s = 0.1.
    #expect(abs((interval.halfWidth ?? 0) - 4.3026527297 * 0.1 / 3.0.squareRoot()) < 1e-9)
    #expect(!interval.excludesZero && MeanInterval([0.19, 0.2, 0.21]).excludesZero)
    #expect(MeanInterval([5]).halfWidth == nil && !MeanInterval([5]).excludesZero)
  }

  /// Equal users of one example each and one seed: the paired t-test.
  @Test func oneSeedOfSingleExamplesIsThePairedTTest() throws {
    let differences = [0.5, 0, 0, -0.25, 1, 0, 0.125, 0]
    let paired = PairedDifference([differences], users: Array(repeating: 1, count: 8))
    let plain = MeanInterval(differences)
    #expect(abs(paired.interval.mean - plain.mean) < 1e-15)
    #expect(abs((paired.interval.halfWidth ?? 0) - (plain.halfWidth ?? 1)) < 1e-12)
  }

  @Test func aRowForEveryExampleOfAUserAddsNothing() {
    var random = SeededRandom(4)
    let perUser = (0..<2).map { _ in random.doubles(20, in: -1...1) }
    let once = PairedDifference(perUser, users: Array(repeating: 1, count: 20))
    let thrice = PairedDifference(
      perUser.map { $0.flatMap { Array(repeating: $0, count: 3) } }, users: Array(repeating: 3, count: 20))
    #expect(abs((once.interval.halfWidth ?? 0) - (thrice.interval.halfWidth ?? 1)) < 1e-12)
    #expect(thrice.users == 20 && thrice.seeds == 2)
  }

  @Test func noSpreadIsNoWidth() {
    #expect(PairedDifference([[1, 1], [1, 1]], users: [1, 1]).interval == MeanInterval(mean: 1, halfWidth: 0))
    #expect(PairedDifference([[1, 0]], users: [2]).interval.halfWidth == nil, "one user tells nothing about others")
  }

  /// Differences with known effects of users, seeds and both, users of unequal size: how often the interval has the truth.
  @Test(arguments: [
    (users: 120, seeds: 3, userSpread: 0.03, seedSpread: 0.0, bothSpread: 0.03),
    (users: 120, seeds: 3, userSpread: 0.03, seedSpread: 0.004, bothSpread: 0.03),
    (users: 40, seeds: 5, userSpread: 0.03, seedSpread: 0.02, bothSpread: 0.02),
    (users: 120, seeds: 1, userSpread: 0.03, seedSpread: 0.0, bothSpread: 0.03),
  ])
  func coversTheTruth(users: Int, seeds: Int, userSpread: Double, seedSpread: Double, bothSpread: Double) {
    let (truth, repeats) = (0.01, 500)
    var hits = 0
    for trial in 0..<repeats {
      let random = CounterRandom(seed: 9, purpose: .evaluation, step: UInt32(trial))
      var position: UInt64 = 0
      func normal(_ spread: Double) -> Double {
        position += 1
        return spread * random.normals(position).0
      }
      let sizes = (0..<users).map { _ in
        position += 1
        return 1 + Int(-5 * log(1 - random.uniform(position)))
      }
      let userEffects = (0..<users).map { _ in normal(userSpread) }
      let differences = (0..<seeds).map { _ in
        let seedEffect = normal(seedSpread)
        return zip(sizes, userEffects).flatMap { size, userEffect in
          let both = normal(bothSpread)
          return (0..<size).map { _ in truth + userEffect + seedEffect + both + normal(0.08) }
        }
      }
      let interval = PairedDifference(differences, users: sizes).interval
      if abs(interval.mean - truth) <= interval.halfWidth ?? 0 { hits += 1 }
    }
    let coverage = Double(hits) / Double(repeats)
    // A standard error of the coverage is .01.
    #expect((0.91...0.99).contains(coverage), "\(coverage)")
  }
}
