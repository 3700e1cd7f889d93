import Testing

@testable import FlowerDist

@Suite struct MixtureTests {
  static func mixture(_ text: String) -> Recipe.Mixture? { .init(RecipeScalar(text: text, isPlain: true)) }

  /// What is read, and how it is written again.
  @Test(arguments: [
    ("coin", "coin"), ("weight 0.5, uniform 0.5", "coin"), ("weight", "weight"), ("policy", "policy"),
    ("weight 1", "weight"), ("uniform 0.5,weight 0.5", "uniform 0.5, weight 0.5"),
    ("  length  3 ,targets 0.25 ", "length 3, targets 0.25"),
    ("weight 1 to 0.2 over 2000, policy rest", "weight 1 to 0.2 over 0-2000, policy rest"),
    ("weight 0 to 1 over 500-2000, replay 1e-3", "weight 0 to 1 over 500-2000, replay 0.001"),
    ("length 1 to 0.1 by 0.1 per 100 below 2.5, policy rest", "length 1 to 0.1 by 0.1 per 100 below 2.5, policy rest"),
  ])
  func readsWhatItWrites(text: String, written: String) throws {
    let mixture = try #require(Self.mixture(text))
    #expect(mixture.yaml == written)
    #expect(Self.mixture(mixture.yaml) == mixture)
  }

  @Test(arguments: [
    "", "weights", "coin 0.5, policy 0.5", "weight, uniform", "weight 0.5,", "weight 0.5 uniform 0.5",
    "weight -1, uniform 1", "weight nan, uniform 1", "weight 2000, uniform 1", "weight 1, weight 1",
    "weight rest, uniform rest", "weight 1 to 0, uniform 1", "weight 1 to 0 over, uniform 1",
    "weight 1 to 0 over 5-5, uniform 1", "weight 1 to 0 over -5, uniform 1", "weight 1 to 0 over 1-2-3, uniform 1",
    "weight 1 to 0 over 99999999999999999999, uniform 1", "weight 1 till 0 over 5, uniform 1",
    "weight 1 to 0 by 0.1 per 10, uniform 1", "weight 0 to 1 by 0.1 per 10 below 3, uniform 1",
    "weight 1 to 0 by 0 per 10 below 3, uniform 1", "weight 1 to 0 by 1e-300 per 10 below 3, uniform 1",
    "weight 1 to 0 by 0.1 per 0 below 3, uniform 1", "weight 1 to 0 by 0.1 per 10 below inf, uniform 1",
    "weight 1 to 0 by 0.1 per 10 below 3, uniform 1 to 0 by 0.1 per 10 below 3",
  ])
  func refuses(text: String) { #expect(Self.mixture(text) == nil) }

  @Test func sharesMoveInStraightLines() throws {
    let mixture = try #require(Self.mixture("weight 1 to 0.2 over 10-30, uniform 0.1, policy rest"))
    for (step, weight) in [(0, 1.0), (10, 1), (15, 0.8), (20, 0.6), (29, 0.24), (30, 0.2), (1_000_000, 0.2)] {
      let expected = [weight, 0.1, max(0, 0.9 - weight)]
      expectAgreement(mixture.shares(step: step, falls: 0), expected, tolerance: 1e-12)
    }
  }

  /// As published: from 1 by 0.1 after every epoch whose mean loss was below the threshold.
  @Test func aShareFallsWhereTheLossIsLow() throws {
    let mixture = try #require(Self.mixture("length 1 to 0.15 by 0.1 per 3 below 2, policy rest"))
    var progress = Recipe.Mixture.Progress()
    /// The share of `length` after an epoch of three steps with these losses of two trajectories together.
    var step = 0
    func epoch(_ losses: Double..., count: Int = 2) -> Double {
      for loss in losses {
        step += 1
        progress.add(loss: loss, count: count, step: step, of: mixture)
      }
      let shares = mixture.shares(step: step, falls: progress.falls)
      #expect(abs(shares[0] + shares[1] - 1) < 1e-12)
      return shares[0]
    }
    #expect(epoch(4, 4, 4) == 1, "a mean of 2 is not below 2")
    #expect(epoch(9, 1, 1) == 0.9)
    #expect(epoch(0, 0, 99) == 0.9)
    #expect(epoch(0, 0, 0, count: 0) == 0.9, "nothing was drawn from it, so nothing is known of it")
    for expected in [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.15, 0.15] {
      #expect(abs(epoch(1, 1, 1) - expected) < 1e-12)
    }
    #expect(progress == .init(falls: 9))
    // What counts is the interval that a step ends, wherever a run goes on.
    var (whole, resumed) = (Recipe.Mixture.Progress(), Recipe.Mixture.Progress())
    for step in 1...5 {
      whole.add(loss: 1, count: 1, step: step, of: mixture)
      if step > 2 { resumed.add(loss: 1, count: 1, step: step, of: mixture) }
      if step == 2 { resumed = whole }
    }
    #expect(resumed == whole && whole.falls == 1 && whole.count == 2)
  }

  @Test func aMixtureWithoutScheduleHasNoProgress() {
    var progress = Recipe.Mixture.Progress()
    progress.add(loss: 0, count: 5, step: 10, of: .coin)
    #expect(progress == .init())
  }

  @Test(arguments: [
    ("replay", false), ("weight 0, replay 1", false), ("weight 1e-3, replay 1", true),
    ("weight 1 to 0 over 10, policy 0 to 1 over 10", true), ("weight 1 to 0 over 10, policy 0 to 1 over 10-20", false),
    ("weight 1 to 0 over 10", false), ("weight 1 to 0 over 10-30, policy 0 to 1 over 20-40", true),
    ("weight 1 to 0 by 0.5 per 10 below 3, replay rest", false),
    ("weight 1 to 0 by 0.5 per 10 below 3, policy rest", true), ("weight 1, policy rest", true),
    ("replay 0.5, policy rest", true), ("replay 1, policy rest", false),
  ])
  func someSourceIsAlwaysThere(text: String, isThere: Bool) throws {
    #expect(try #require(Self.mixture(text)).alwaysDraws == isThere)
  }

  @Test(arguments: [
    ("weight 0.6, uniform 0.5", true), ("weight 0.6, uniform 0.4, policy rest", true),
    ("weight 0.6, uniform 0.5, policy rest", false),
    ("weight 1 to 0.5 over 10, uniform 0 to 0.5 over 10, policy rest", true),
    ("weight 1 to 0.5 over 10, uniform 0 to 0.5 over 8, policy rest", false),
    ("weight 1.5 to 0.5 by 0.1 per 10 below 3, policy rest", false),
  ])
  func theRestIsOfOne(text: String, isRest: Bool) throws {
    #expect(try #require(Self.mixture(text)).leavesARest == isRest)
  }
}
