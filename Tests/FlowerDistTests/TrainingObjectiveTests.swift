import Foundation
import Testing

@testable import FlowerDist

@Suite struct TrainingObjectiveTests {
  /// Two prompts over one tree, with made-up log-probabilities: an objective needs no model.
  struct Made {
    var tree: CatalogueTree
    var titles: TitleForest
    var scored: ScoredForest
    var draws = [[0, 3, 3, 5], [6, 1, 2, 0]]
    var targets = [[2], [4, 5]]
    var support: Recipe.Objective.Support
    var supervisedSupport: Recipe.Objective.Support

    init(_ support: Recipe.Objective.Support, _ supervisedSupport: Recipe.Objective.Support) throws {
      (self.support, self.supervisedSupport) = (support, supervisedSupport)
      tree = try CatalogueTree(
        titles: [[1], [1, 2], [1, 2, 4, 5], [1, 2, 6], [2, 2], [4], [4, 4, 4, 4]], terminator: 3)
      var titles = TitleForest(tree)
      var random = SeededRandom(8)
      for prompt in 0..<2 {
        _ = titles.addPrompt([9, 9])
        for leaf in draws[prompt] { titles.addTitle(prompt: prompt, leaf: leaf, support: support) }
        for leaf in targets[prompt] { titles.addTitle(prompt: prompt, leaf: leaf, support: supervisedSupport) }
      }
      var prompts: [ScoredPrompt] = []
      for prompt in 0..<2 {
        prompts.append(
          ScoredPrompt(
            trajectories: draws[prompt].map { Trajectory(leaf: $0, prompt: prompt, in: titles, support: support) },
            targets: targets[prompt].map {
              Trajectory(leaf: $0, prompt: prompt, in: titles, support: supervisedSupport)
            },
            rewards: TokenRewards(tree, weights: random.doubles(7, in: 0.1...4))))
      }
      self.titles = titles
      scored = ScoredForest(
        logProbabilities: random.doubles(titles.readouts.count, in: -4 ... -0.1), prompts: prompts)
    }

    /// log π and log r of each action towards a leaf, and the cross-entropy of π against r at each state on the way.
    func steps(
      _ prompt: Int, _ leaf: Int, _ support: Recipe.Objective.Support
    ) -> [(policy: Double, reward: Double, cross: Double)] {
      let title = tree.title(ofLeaf: leaf) + [3]
      let weights = scored.prompts[prompt].rewards.weights
      func flow(_ prefix: [Int32]) -> Double {
        weights.indices.reduce(0) {
          $0 + ((tree.title(ofLeaf: $1) + [3]).starts(with: prefix) ? weights[$1] : 0)
        }
      }
      var node = 0
      return title.indices.map { index in
        let options = tree.optionTokens(of: node)
        let option = options.firstIndex(of: title[index])!
        let scores = titles.scores(prompt: prompt, node: node, support: support)
        let prefix = Array(title[..<index])
        let indices = options.indices.map { option in scores.map { $0.lowerBound + option } }
        let logs = indices.map { $0.map { scored.logProbabilities[$0] } ?? 0 }
        let rewards = options.map { flow(prefix + [$0]) / flow(prefix) }
        defer { node = tree.child(of: node, option: option) ?? node }
        return (logs[option], log(rewards[option]), -zip(rewards, logs).reduce(0) { $0 + $1.0 * $1.1 })
      }
    }
  }

  static let supports: [(Recipe.Objective.Support, Recipe.Objective.Support)] = [
    (.catalogue, .vocabulary), (.vocabulary, .catalogue), (.catalogue, .catalogue),
  ]
  static let flows: [TrainingObjective.FlowTerm] = [
    .balance(.subTrajectory(lambda: 0.9)), .balance(.trajectory), .balance(.detailed), .balance(.logVariance), .soft,
  ]

  @Test(arguments: supports) func lossesAreTheirDefinitions(
    support: Recipe.Objective.Support, supervisedSupport: Recipe.Objective.Support
  ) throws {
    let made = try Made(support, supervisedSupport)
    for flow in Self.flows {
      let output = TrainingObjective(flow: flow, theta: 0.3, supervisedScale: 2.5).evaluate(made.scored)
      for prompt in 0..<2 {
        let supervised = made.targets[prompt].map { leaf in
          -made.steps(prompt, leaf, supervisedSupport).reduce(0) { $0 + $1.policy } / 2.5
        }
        let steps = made.draws[prompt].map { made.steps(prompt, $0, support) }
        let residuals = steps.map { $0.map { $0.policy - $0.reward } }
        let ends = residuals.map { $0.reduce(0, +) }
        let mean = ends.reduce(0, +) / 4
        let terms =
          switch flow {
          case .balance(.subTrajectory(let lambda)): residuals.map { BalanceLossTests.pieces($0, lambda) }
          case .balance(.trajectory): ends.map { $0 * $0 }
          case .balance(.detailed): residuals.map { d in d.reduce(0) { $0 + $1 * $1 } / Double(d.count) }
          case .balance(.logVariance): ends.map { ($0 - mean) * ($0 - mean) }
          case .soft: steps.map { $0.reduce(0) { $0 + $1.cross } }
          case .preference, .policyGradient: preconditionFailure("measured against a reference")
          }
        let wanted = (supervised.reduce(0, +) / Double(supervised.count), terms.reduce(0, +) / 4)
        #expect(abs(output.supervised[prompt] - wanted.0) < 1e-12)
        #expect(abs(output.flow[prompt] - wanted.1) < 1e-11)
        #expect(abs(output.losses[prompt] - (0.3 * wanted.0 + 0.7 * wanted.1)) < 1e-11)
      }
    }
  }

  /// VarGrad's stopped gradient too: the mean's share of the derivative adds up to zero over a prompt's trajectories.
  @Test(arguments: supports) func gradientsAreTheSlopesOfTheLoss(
    support: Recipe.Objective.Support, supervisedSupport: Recipe.Objective.Support
  ) throws {
    let made = try Made(support, supervisedSupport)
    for flow in Self.flows + [nil] {
      for theta in [0, 0.3, 1] {
        let objective = TrainingObjective(flow: flow, theta: theta, supervisedScale: 2.5)
        let gradient = objective.evaluate(made.scored, scale: 0.25).gradient
        let slopes = BalanceLossTests.slopes(made.scored.logProbabilities) { logProbabilities in
          var scored = made.scored
          scored.logProbabilities = logProbabilities
          return 0.25 * objective.evaluate(scored).losses.reduce(0, +)
        }
        #expect(agree(gradient, slopes, tolerance: 1e-8), "\(String(describing: flow)), θ \(theta)")
      }
    }
  }

  /// Preference losses of the first title against the others, and what becomes of θ, weights and policy gradients.
  @Test(arguments: supports) func titlesAgainstAReference(
    support: Recipe.Objective.Support, supervisedSupport: Recipe.Objective.Support
  ) throws {
    var made = try Made(support, supervisedSupport)
    for prompt in 0..<2 {
      made.scored.prompts[prompt].reference = [-3.5, -1, -6.25, -2]
      made.scored.prompts[prompt].supervisedWeight = [0.5, 3][prompt]
    }
    func ratios(_ prompt: Int) -> [Double] {
      zip(made.draws[prompt], made.scored.prompts[prompt].reference).map { leaf, reference in
        made.steps(prompt, leaf, support).reduce(0) { $0 + $1.policy } - reference
      }
    }
    for form in [PreferenceLoss.Form.pairwise(labelSmoothing: 0.1), .softmax, .mean] {
      let loss = PreferenceLoss(form, beta: 0.7)
      let objective = TrainingObjective(flow: .preference(loss), theta: 0.3, supervisedScale: 2.5)
      let output = objective.evaluate(made.scored, scale: 0.25)
      for prompt in 0..<2 {
        let supervised = made.targets[prompt].map { leaf in
          -made.steps(prompt, leaf, supervisedSupport).reduce(0) { $0 + $1.policy } / 2.5 * [0.5, 3][prompt]
        }
        let wanted = 0.3 * supervised.reduce(0, +) / Double(supervised.count) + 0.7 * loss.evaluate(ratios(prompt)).loss
        #expect(abs(output.losses[prompt] - wanted) < 1e-11)
      }
      let slopes = BalanceLossTests.slopes(made.scored.logProbabilities) { logProbabilities in
        var scored = made.scored
        scored.logProbabilities = logProbabilities
        return 0.25 * objective.evaluate(scored).losses.reduce(0, +)
      }
      #expect(agree(output.gradient, slopes, tolerance: 1e-8), "\(form)")
    }
    for form in [PolicyGradient.Form.ppo, .grpo] {
      let gradient = PolicyGradient(form, beta: 0.7)
      let output = TrainingObjective(flow: .policyGradient(gradient), theta: 0).evaluate(made.scored, scale: 0.25)
      var expected = [Double](repeating: 0, count: output.gradient.count)
      for prompt in 0..<2 {
        let weights = made.scored.prompts[prompt].rewards.weights
        let rewards = made.draws[prompt].map { (weights[$0] - weights.min()!) / (weights.max()! - weights.min()!) }
        let (losses, byTitle) = gradient.evaluate(ratios(prompt), rewards: rewards)
        #expect(abs(output.losses[prompt] - losses.reduce(0, +) / 4) < 1e-12)
        for (trajectory, derivative) in zip(made.scored.prompts[prompt].trajectories, byTitle) {
          for score in trajectory.transitions.compactMap(\.score) { expected[score] += 0.25 * derivative }
        }
      }
      expectAgreement(output.gradient, expected, tolerance: 1e-12)
    }
  }

  @Test func thetaTurnsTermsOff() throws {
    let made = try Made(.catalogue, .vocabulary)
    let flow = TrainingObjective(flow: .balance(.trajectory), theta: 0)
    let supervised = TrainingObjective(flow: .balance(.trajectory), theta: 1)
    let plain = TrainingObjective(flow: nil, theta: 0)
    #expect(flow.usesFlow && !flow.usesTargets)
    #expect(!supervised.usesFlow && supervised.usesTargets)
    #expect(!plain.usesFlow && plain.usesTargets)
    #expect(flow.evaluate(made.scored).supervised == [0, 0])
    // Trajectories that are there are measured, though they have no weight.
    #expect(supervised.evaluate(made.scored).flow == flow.evaluate(made.scored).flow)
    #expect(supervised.evaluate(made.scored).losses == plain.evaluate(made.scored).losses)
    #expect(supervised.evaluate(made.scored).gradient == plain.evaluate(made.scored).gradient)
  }

  /// Where π = r every balance loss is zero with its gradient, and cross-entropy's gradient by the logits is zero.
  @Test func theRewardsThemselvesAreTheOptimum() throws {
    var made = try Made(.catalogue, .vocabulary)
    for prompt in 0..<2 {
      let rewards = made.scored.prompts[prompt].rewards
      for node in 0..<made.tree.nodeCount {
        guard let scores = made.titles.scores(prompt: prompt, node: node, support: .catalogue) else { continue }
        for (index, reward) in zip(scores, rewards.rewards(at: node)) {
          made.scored.logProbabilities[index] = log(reward)
        }
      }
    }
    for flow in Self.flows {
      let output = TrainingObjective(flow: flow, theta: 0).evaluate(made.scored)
      if flow != .soft {
        #expect(output.losses.allSatisfy { abs($0) < 1e-25 })
        #expect(output.gradient.allSatisfy { abs($0) < 1e-12 })
      }
      for prompt in 0..<2 {
        for node in 0..<made.tree.nodeCount {
          guard let scores = made.titles.scores(prompt: prompt, node: node, support: .catalogue) else { continue }
          let sum = scores.reduce(0) { $0 + output.gradient[$1] }
          let byLogit = scores.map { output.gradient[$0] - exp(made.scored.logProbabilities[$0]) * sum }
          #expect(byLogit.allSatisfy { abs($0) < 1e-12 })
        }
      }
    }
  }

  @Test func forcedStepsCountInTheLengthOfATrajectory() throws {
    // One real choice at the root, then four forced steps: five residuals of which four are zero.
    let tree = try CatalogueTree(titles: [[1, 2, 4, 5], [2]], terminator: 3)
    var titles = TitleForest(tree)
    _ = titles.addPrompt([9])
    titles.addTitle(prompt: 0, leaf: 0, support: .catalogue)
    #expect(titles.readouts.count == 2 && titles.forest.rowCount == 1)
    let scored = ScoredForest(
      logProbabilities: [log(0.25), log(0.75)],
      prompts: [
        ScoredPrompt(
          trajectories: [Trajectory(leaf: 0, prompt: 0, in: titles, support: .catalogue)], targets: [],
          rewards: TokenRewards(tree, weights: [1, 1]))
      ])
    let loss = TrainingObjective(flow: .balance(.detailed), theta: 0).evaluate(scored).losses[0]
    #expect(abs(loss - pow(log(0.5), 2) / 5) < 1e-15)
  }
}
