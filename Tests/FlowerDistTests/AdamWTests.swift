import Foundation
import Testing

@testable import FlowerDist

@Suite struct AdamWTests {
  static let recipe = {
    var recipe = Recipe.Optimizer()
    (recipe.beta1, recipe.beta2, recipe.epsilon, recipe.weightDecay) = (0.9, 0.95, 1e-6, 0.1)
    return recipe
  }()
  /// Parameters of odd sizes over a few blocks.
  static let list = ParameterLayout(
    ModelConfiguration(
      architecture: .qwen2, vocabularySize: 1501, hiddenSize: 21, layers: 2, heads: 3, kvHeads: 1, headDim: 6,
      intermediateSize: 37, attentionBias: true, tieEmbeddings: true, ropeTheta: 10_000, rmsNormEps: 1e-6)
  ).list
  static let grains = 8

  static func plan(_ ranks: Int) -> ReductionPlan {
    ReductionPlan(count: list.count, grains: grains, ranks: ranks)
  }

  static func optimizers(_ ranks: Int) -> [AdamW] {
    (0..<ranks).map { AdamW(recipe, list: list, plan: plan(ranks), rank: $0) }
  }

  static func weights() -> FloatArena { arena(seed: 1) }

  static func arena(seed: Int) -> FloatArena {
    var random = SeededRandom(seed)
    let arena = FloatArena(count: list.count)
    for index in 0..<arena.count { arena.base[index] = Float.random(in: -1...1, using: &random) }
    return arena
  }

  /// One update by all ranks, each on what it owns.
  static func update(_ optimizers: [AdamW], _ weights: FloatArena, step: Int) {
    let gradient = arena(seed: 100 + step)
    let plan = plan(optimizers.count)
    withExtendedLifetime(gradient) {
      for (rank, optimizer) in optimizers.enumerated() {
        let parts = plan.owned(by: rank).map { ($0.blocks, gradient.view(plan.floats($0.blocks))) }
        let reduced = ReducedGradient(plan: plan, rank: rank, parts: parts)
        optimizer.update(weights, reduced, step: step, learningRate: 0.01 / Double(step), scale: 0.3)
      }
    }
  }

  @Test func followsTheFormula() {
    let optimizer = Self.optimizers(1)
    let weights = Self.weights()
    var expected = weights.all.map { Double($0) }
    var mean = [Double](repeating: 0, count: expected.count)
    var variance = mean
    for step in 1...6 {
      Self.update(optimizer, weights, step: step)
      let arena = Self.arena(seed: 100 + step)
      let gradient = withExtendedLifetime(arena) { arena.all.map { 0.3 * Double($0) } }
      let rate = 0.01 / Double(step)
      for parameter in Self.list.parameters {
        let decay = parameter.name.hasSuffix("norm.weight") || parameter.name.hasSuffix("bias") ? 0 : 0.1
        for i in parameter.range {
          mean[i] = 0.9 * mean[i] + 0.1 * gradient[i]
          variance[i] = 0.95 * variance[i] + 0.05 * gradient[i] * gradient[i]
          let m = mean[i] / (1 - pow(0.9, Double(step)))
          let v = variance[i] / (1 - pow(0.95, Double(step)))
          expected[i] -= rate * (m / (v.squareRoot() + 1e-6) + decay * expected[i])
        }
      }
    }
    expectAgreement(Array(weights.all), expected, tolerance: 1e-6)
  }

  @Test(arguments: [2, 3, 4, 5, 7, 8]) func howTheArenaIsCutDoesNotMatter(ranks: Int) {
    let (whole, parts) = (Self.optimizers(1), Self.optimizers(ranks))
    let (a, b) = (Self.weights(), Self.weights())
    for step in 1...3 {
      Self.update(whole, a, step: step)
      Self.update(parts, b, step: step)
    }
    let same = zip(a.all, b.all).allSatisfy { $0.bitPattern == $1.bitPattern }
    #expect(same)
    #expect(parts.reduce(0) { $0 + $1.shards.reduce(0) { $0 + $1.range.count } } == Self.list.count)
  }
}

@Suite struct LearningRateTests {
  static func recipe(_ schedule: Recipe.Optimizer.Schedule, warmup: Int, final: Double = 0.1) -> Recipe.Optimizer {
    var recipe = Recipe.Optimizer()
    (recipe.learningRate, recipe.schedule, recipe.warmupSteps, recipe.finalFraction) = (2, schedule, warmup, final)
    return recipe
  }

  @Test(arguments: Recipe.Optimizer.Schedule.allCases) func warmsUpLinearly(schedule: Recipe.Optimizer.Schedule) {
    let recipe = Self.recipe(schedule, warmup: 4)
    #expect((0..<5).map { recipe.rate(step: $0, of: 50) } == [0.5, 1, 1.5, 2, 2])
  }

  @Test(arguments: Recipe.Optimizer.Schedule.allCases) func endsWhereItShould(schedule: Recipe.Optimizer.Schedule) {
    for warmup in [0, 1, 10] {
      let recipe = Self.recipe(schedule, warmup: warmup)
      let rates = (0..<101).map { recipe.rate(step: $0, of: 101) }
      #expect(rates[warmup] == 2)
      #expect(abs(rates[100] - (schedule == .constant ? 2 : 0.2)) < 1e-15)
      let neighbours = zip(rates[warmup...], rates[(warmup + 1)...])
      let falls = neighbours.allSatisfy { schedule == .constant ? $0 == $1 : $0 > $1 }
      #expect(falls)
    }
  }

  @Test func halfway() {
    // Both are symmetric: at the middle of what follows the warm-up, the mean of both ends.
    for schedule in [Recipe.Optimizer.Schedule.linear, .cosine] {
      #expect(abs(Self.recipe(schedule, warmup: 20).rate(step: 60, of: 101) - 1.1) < 1e-15)
    }
    let linear = Self.recipe(.linear, warmup: 0)
    let cosine = Self.recipe(.cosine, warmup: 0)
    #expect(abs(linear.rate(step: 25, of: 101) - (0.2 + 1.8 * 0.75)) < 1e-15)
    #expect(abs(cosine.rate(step: 25, of: 101) - (0.2 + 0.9 * (1 + 0.5.squareRoot()))) < 1e-15)
  }

  /// Runs too short for their warm-up, of one step, and steps past the end.
  @Test(arguments: Recipe.Optimizer.Schedule.allCases) func odds(schedule: Recipe.Optimizer.Schedule) {
    let short = Self.recipe(schedule, warmup: 10)
    #expect((0..<5).map { short.rate(step: $0, of: 5) } == (1...5).map { 2 * Double($0) / 10 })
    #expect(Self.recipe(schedule, warmup: 0).rate(step: 0, of: 1).isFinite)
    let end = schedule == .constant ? 2 : 0.2
    #expect(abs(Self.recipe(schedule, warmup: 2).rate(step: 1000, of: 50) - end) < 1e-15)
  }
}
