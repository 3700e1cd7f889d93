import Foundation
import Testing

@testable import FlowerDist

@Suite struct PolicyGradientTests {
  static let rewards = [0.9, 0.1, 0.4, 0.4]

  /// Gradients of PyTorch 2.13 in float64: `mean(-exp(pi - pi.detach()) * A + beta * k3)` with TRL's advantages, and
  /// `mean(-(G - baseline) * pi)` with its leave-one-out baseline; β .04.
  @Test func agreesWithPyTorch() {
    let logRatios = PreferenceLossTests.logRatios
    let grpo = PolicyGradient(.grpo, beta: 0.04).evaluate(logRatios, rewards: Self.rewards)
    expectAgreement(
      grpo.gradient, [-0.3351633273469305, 0.2676775984304991, 0.010984591184896864, 0.042711704823175205],
      tolerance: 1e-14)
    // There the surrogate's advantages add up to zero, here rewards are shown in their place.
    let loss = grpo.losses.reduce(0, +) / 4
    #expect(abs(loss - (0.01778943290835907 - 0.45)) < 1e-14)
    let ppo = PolicyGradient(.ppo, beta: 0.04).evaluate(logRatios, rewards: Self.rewards)
    expectAgreement(
      ppo.gradient, [-0.14466666666666667, 0.12199999999999998, -0.0020000000000000157, 0.024666666666666656],
      tolerance: 1e-14)
  }

  /// A policy over four titles by logits, its objective −E[R] + β KL, and the expectation of the estimate over all
  /// draws of K titles: PPO's gradient has no bias, baseline and KL included.
  @Test(arguments: [2, 3]) func ppoIsUnbiased(count: Int) {
    let logits = [0.3, -0.8, 1.1, 0.2]
    let reference = [-1.9, -0.7, -1.2, -2.6]
    let beta = 0.35
    func logPolicy(_ logits: [Double]) -> [Double] {
      let logSum = log(logits.reduce(0) { $0 + exp($1) })
      return logits.map { $0 - logSum }
    }
    func objective(_ logits: [Double]) -> Double {
      let policy = logPolicy(logits)
      return policy.indices.reduce(0) {
        $0 + exp(policy[$1]) * (-Self.rewards[$1] + beta * (policy[$1] - reference[$1]))
      }
    }
    let policy = logPolicy(logits)
    var (loss, byLogit) = (0.0, [Double](repeating: 0, count: 4))
    for draw in 0..<Int(pow(4, Double(count))) {
      let titles = (0..<count).map { draw / Int(pow(4, Double($0))) % 4 }
      let probability = titles.reduce(1) { $0 * exp(policy[$1]) }
      let result = PolicyGradient(.ppo, beta: beta).evaluate(
        titles.map { policy[$0] - reference[$0] }, rewards: titles.map { Self.rewards[$0] })
      loss += probability * result.losses.reduce(0, +) / Double(count)
      for (title, derivative) in zip(titles, result.gradient) {
        for logit in 0..<4 {
          byLogit[logit] += probability * derivative * ((title == logit ? 1 : 0) - exp(policy[logit]))
        }
      }
    }
    #expect(abs(loss - objective(logits)) < 1e-12)
    #expect(agree(byLogit, BalanceLossTests.slopes(logits, objective), tolerance: 1e-8))
  }

  @Test func equalRewardsAtTheReferenceTeachNothing() {
    for form in [PolicyGradient.Form.ppo, .grpo] {
      let result = PolicyGradient(form, beta: 0.3).evaluate([0, 0, 0], rewards: [0.5, 0.5, 0.5])
      #expect(result.gradient == [0, 0, 0] && result.losses == [-0.5, -0.5, -0.5])
    }
  }

  @Test func rewardsAreScaledWeights() throws {
    let tree = try CatalogueTree(titles: [[1], [2], [4]], terminator: 3)
    #expect(TokenRewards(tree, weights: [2, 6, 3]).scaledWeights(of: [2, 0, 1, 1]) == [0.25, 0, 1, 1])
    #expect(TokenRewards(tree, weights: [2, 2, 2]).scaledWeights(of: [1, 0]) == [0, 0])
  }
}
