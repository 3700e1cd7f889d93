import Foundation
import Testing

@testable import FlowerDist

/// Residuals and what they are good for, over policies that are tables: no model is needed.
@Suite struct FlowNetworkTests {
  /// A policy over the options and the terminator of every state of a small catalogue.
  struct Table {
    let tree: CatalogueTree
    let titles: TitleForest
    let support: Recipe.Objective.Support
    /// Weight by leaf, summed up the tree.
    let weights: [Double]
    /// Of the published flow rule.
    let terms: LeafRewards.Terms?
    let rewards: TokenRewards
    let trajectories: [Trajectory]
    var logProbabilities: [Double]

    init(_ titles: [[Int32]], weights: [Double], support: Recipe.Objective.Support, terms: LeafRewards.Terms? = nil)
      throws
    {
      tree = try CatalogueTree(titles: titles, terminator: 3)
      var forest = TitleForest(tree)
      _ = forest.addPrompt([9])
      for leaf in 0..<tree.leafCount { forest.addTitle(prompt: 0, leaf: leaf, support: support) }
      self.titles = forest
      self.support = support
      self.weights = tree.leafSums(weights)
      self.terms = terms
      rewards = TokenRewards(tree, LeafRewards(weights: self.weights, terms: terms))
      trajectories = (0..<tree.leafCount).map { Trajectory(leaf: $0, prompt: 0, in: forest, support: support) }
      var random = SeededRandom(4)
      logProbabilities = random.doubles(forest.readouts.count, in: -4 ... -0.1)
    }

    var scored: ScoredForest {
      ScoredForest(
        logProbabilities: logProbabilities,
        prompts: [ScoredPrompt(trajectories: trajectories, targets: [], rewards: rewards)])
    }

    /// Indices of the log-probabilities of a state's options, and of the terminator where no title ends.
    func indices(_ node: Int) -> [Int] {
      guard let options = titles.scores(prompt: 0, node: node, support: support) else { return [] }
      let terminator = titles.terminatorScore(prompt: 0, node: node, support: support)
      return Array(options) + (terminator.map { options.contains($0) ? [] : [$0] } ?? [])
    }

    func node(_ prefix: ArraySlice<Int32>) -> Int {
      prefix.reduce(0) { node, token in tree.children(of: node).first { tree.token[$0] == token }! }
    }

    /// log π of a token (or the terminator) after a prefix; 0 where a forced step is not read.
    func logPolicy(_ token: Int32, after prefix: ArraySlice<Int32>) -> Double {
      let node = node(prefix)
      if token == tree.terminator {
        return titles.terminatorScore(prompt: 0, node: node, support: support).map { logProbabilities[$0] } ?? 0
      }
      let option = tree.optionTokens(of: node).firstIndex(of: token)!
      return titles.scores(prompt: 0, node: node, support: support).map { logProbabilities[$0.lowerBound + option] }
        ?? 0
    }

    /// The weight of all titles that begin with a prefix.
    func flow(_ prefix: ArraySlice<Int32>) -> Double {
      (0..<tree.leafCount).reduce(0) { $0 + (tree.title(ofLeaf: $1).starts(with: prefix) ? weights[$1] : 0) }
    }

    func weight(_ title: ArraySlice<Int32>) -> Double {
      (0..<tree.leafCount).first { tree.title(ofLeaf: $0)[...] == title }.map { weights[$0] } ?? 0
    }

    /// log F(s_0), the sum over all leaves of the product of their token rewards.
    var logTotal: Double {
      let rewards = (0..<tree.leafCount).map { leaf in
        let title = tree.title(ofLeaf: leaf)[...]
        let steps =
          title.indices.map { log(flow(title[...$0]) / flow(title[..<$0])) } + [log(weight(title) / flow(title))]
        return exp(steps.reduce(0) { $0 + change($1, leaf) })
      }
      return log(rewards.reduce(0, +))
    }

    func change(_ logReward: Double, _ leaf: Int) -> Double {
      terms.map { $0.factors[leaf] * logReward + $0.offsets[leaf] } ?? logReward
    }

    /// Residuals from their definitions, over the states s_0, s_n, s_2n, …, s_L.
    func residuals(_ network: FlowNetwork, leaf: Int) -> [Double] {
      let title = tree.title(ofLeaf: leaf)
      let states = Array(stride(from: 0, to: title.count, by: network.granularity)) + [title.count]
      func logReward(_ length: Int) -> Double {
        let path = (0..<length).reduce(0.0) { $0 + change(log(flow(title[...$1]) / flow(title[..<$1])), leaf) }
        let weight = weight(title[..<length])
        let ends = weight > 0 && (network.prefixTitles == .exact || length == title.count)
        return path + (ends ? change(log(weight / flow(title[..<length])), leaf) : -15)
      }
      let runs = zip(states, states.dropFirst()).map { from, to in
        let run = (from..<to).reduce(0.0) { $0 + logPolicy(title[$1], after: title[..<$1]) }
        switch network.flow {
        case .tree:
          return (from..<to).reduce(from == 0 ? run + logTotal : run) {
            $0 - change(log(flow(title[...$1]) / flow(title[..<$1])), leaf)
          }
        case .terminating:
          return logReward(from) + run + logPolicy(tree.terminator, after: title[..<to]) - logReward(to)
            - logPolicy(tree.terminator, after: title[..<from])
        }
      }
      let end = logPolicy(tree.terminator, after: title[...]) - change(log(weight(title[...]) / flow(title[...])), leaf)
      return network.flow == .tree ? runs + [end] : runs
    }
  }

  static let titles: [[Int32]] = [
    [1], [1, 2], [1, 2, 4, 5], [1, 2, 4, 5, 5, 5, 5], [1, 2, 6], [2, 2], [4], [4, 4, 4, 4], [5, 1, 2, 4, 5, 6], [5, 1],
  ]
  static let weights = [3, 1, 0.5, 2, 4, 1, 7, 0.25, 2, 5]

  static let networks: [(FlowNetwork, Recipe.Objective.Support)] = [1, 2, 3, 5, 100].flatMap { granularity in
    [
      (FlowNetwork(granularity: granularity), .catalogue), (FlowNetwork(granularity: granularity), .vocabulary),
      (FlowNetwork(flow: .terminating, granularity: granularity), .vocabulary),
      (FlowNetwork(flow: .terminating, prefixTitles: .published, granularity: granularity), .vocabulary),
    ]
  }

  @Test(arguments: networks) func residualsAreTheirDefinitions(
    network: FlowNetwork, support: Recipe.Objective.Support
  ) throws {
    let table = try Table(Self.titles, weights: Self.weights, support: support)
    for trajectory in table.trajectories {
      expectAgreement(
        network.residuals(trajectory, table.logProbabilities, table.rewards),
        table.residuals(network, leaf: trajectory.leaf), tolerance: 1e-12)
    }
  }

  /// Scores as of `divide`, of `add_log`, and of both at once, by leaf.
  static let terms: [LeafRewards.Terms] = {
    var random = SeededRandom(11)
    let (factors, offsets) = (random.doubles(titles.count, in: 0.4...4), random.doubles(titles.count, in: -3...0))
    return [
      .init(factors: factors, offsets: factors.map { _ in 0 }),
      .init(factors: factors.map { _ in 1 }, offsets: offsets),
      .init(factors: factors, offsets: offsets),
    ]
  }()

  @Test(arguments: networks) func residualsOfThePublishedFlowRule(
    network: FlowNetwork, support: Recipe.Objective.Support
  ) throws {
    for terms in Self.terms {
      let table = try Table(Self.titles, weights: Self.weights, support: support, terms: terms)
      #expect(abs(table.rewards.logTotal - table.logTotal) < 1e-12)
      for trajectory in table.trajectories {
        expectAgreement(
          network.residuals(trajectory, table.logProbabilities, table.rewards),
          table.residuals(network, leaf: trajectory.leaf), tolerance: 1e-12)
      }
    }
  }

  /// Scores of nothing change nothing.
  @Test(arguments: networks) func evenScoresAreTheTree(network: FlowNetwork, support: Recipe.Objective.Support) throws {
    let even = LeafRewards.Terms(
      factors: Self.titles.map { _ in 1 }, offsets: Self.titles.map { _ in 0 })
    let table = try Table(Self.titles, weights: Self.weights, support: support, terms: even)
    let tree = try Table(Self.titles, weights: Self.weights, support: support)
    #expect(abs(table.rewards.logTotal) < 1e-12)
    expectAgreement(table.rewards.target, tree.rewards.target, tolerance: 1e-12)
    for trajectory in table.trajectories {
      expectAgreement(
        network.residuals(trajectory, table.logProbabilities, table.rewards),
        network.residuals(trajectory, table.logProbabilities, tree.rewards), tolerance: 1e-12)
    }
  }

  /// Two titles that share a beginning disagree about its reward, so that no policy satisfies SubTB or DB. What TB asks
  /// of a title as a whole one policy satisfies: each title in proportion to the product of its rewards.
  @Test func thePublishedFlowRuleCannotBeSatisfied() throws {
    for terms in Self.terms {
      var table = try Table(Self.titles, weights: Self.weights, support: .catalogue, terms: terms)
      let (a, b) = (0, 2)
      #expect(table.tree.title(ofLeaf: a).first == table.tree.title(ofLeaf: b).first)
      #expect(abs(table.rewards.logRewards(toLeaf: a)[0] - table.rewards.logRewards(toLeaf: b)[0]) > 0.01)

      let target = TokenRewards(table.tree, weights: table.rewards.target)
      for node in 0..<table.tree.nodeCount {
        guard let scores = table.titles.scores(prompt: 0, node: node, support: .catalogue) else { continue }
        for (index, share) in zip(scores, target.rewards(at: node)) { table.logProbabilities[index] = log(share) }
      }
      let trajectory = TrainingObjective(flow: .balance(.trajectory), theta: 0)
      let subTrajectory = TrainingObjective(flow: .balance(.subTrajectory(lambda: 1)), theta: 0)
      let variance = TrainingObjective(flow: .balance(.logVariance), theta: 0)
      #expect(trajectory.evaluate(table.scored).losses[0] < 1e-24)
      #expect(variance.evaluate(table.scored).losses[0] < 1e-24)
      #expect(subTrajectory.evaluate(table.scored).losses[0] > 0.1)
      table.minimize(subTrajectory)
      #expect(subTrajectory.evaluate(table.scored).losses[0] > 0.01)
      #expect(TrainingObjective(flow: .balance(.detailed), theta: 0).evaluate(table.scored).losses[0] > 0.01)
    }
  }

  @Test(arguments: networks) func gradientsAreTheSlopesOfTheLoss(
    network: FlowNetwork, support: Recipe.Objective.Support
  ) throws {
    let table = try Table(Self.titles, weights: Self.weights, support: support)
    for loss: BalanceLoss in [.subTrajectory(lambda: 0.9), .trajectory, .detailed, .logVariance] {
      let objective = TrainingObjective(flow: .balance(loss), theta: 0, network: network)
      let output = objective.evaluate(table.scored, scale: 0.5)
      let slopes = BalanceLossTests.slopes(table.logProbabilities) { logProbabilities in
        var moved = table
        moved.logProbabilities = logProbabilities
        return 0.5 * objective.evaluate(moved.scored).losses[0]
      }
      #expect(agree(output.gradient, slopes, tolerance: 1e-7), "\(loss)")
      let losses = output.flowByTrajectory[0]
      #expect(losses.count == table.trajectories.count)
      #expect(abs(losses.reduce(0, +) / Double(losses.count) - output.losses[0]) < 1e-12)
    }
  }

  /// The published code counts chains of runs, in which a title's last run, if it is shorter, is no beginning of a
  /// longer one. For the terminating flow the rewards of the states are the same.
  @Test(arguments: [1, 2, 3, 5, 100], Recipe.Objective.PrefixTitles.allCases) func chainsOfRunsGiveTheSame(
    granularity: Int, prefixTitles: Recipe.Objective.PrefixTitles
  ) throws {
    let network = FlowNetwork(flow: .terminating, prefixTitles: prefixTitles, granularity: granularity)
    let table = try Table(Self.titles, weights: Self.weights, support: .vocabulary)
    func chain(_ title: [Int32]) -> [[Int32]] { title.chunks(of: granularity).map { Array($0) } + [[3]] }
    var counts: [[[Int32]]: Double] = [:]
    for (title, weight) in zip(Self.titles, Self.weights) {
      for length in 0...chain(title).count { counts[Array(chain(title)[..<length]), default: 0] += weight }
    }
    for trajectory in table.trajectories {
      let title = table.tree.title(ofLeaf: trajectory.leaf)
      let runs = chain(title).dropLast()
      func logReward(_ length: Int) -> Double {
        let state = Array(runs[..<length])
        let path = (0..<length).reduce(0.0) {
          $0 + log(counts[Array(runs[...$1])]! / counts[Array(runs[..<$1])]!)
        }
        guard let end = counts[state + [[3]]], prefixTitles == .exact || length == runs.count else { return path - 15 }
        return path + log(end / counts[state]!)
      }
      let expected = runs.indices.map { index in
        let (from, to) = (index * granularity, min((index + 1) * granularity, title.count))
        let run = (from..<to).reduce(0.0) { $0 + table.logPolicy(title[$1], after: title[..<$1]) }
        return logReward(index) + run + table.logPolicy(3, after: title[..<to]) - logReward(index + 1)
          - table.logPolicy(3, after: title[..<from])
      }
      expectAgreement(
        network.residuals(trajectory, table.logProbabilities, table.rewards), expected, tolerance: 1e-12)
    }
  }

  /// States with -15 for an end that is none, and with the reward of a title that ends inside another.
  @Test func rewardsOfStates() throws {
    let table = try Table([[1], [1, 2]], weights: [3, 1], support: .vocabulary)
    let (short, long) = (table.trajectories[0], table.trajectories[1])
    let (inner, end) = (log(0.75), log(0.25))
    func rewards(_ flow: Recipe.Objective.Flow, _ titles: Recipe.Objective.PrefixTitles) -> [[Double]] {
      [short, long].map {
        FlowNetwork(flow: flow, prefixTitles: titles).logStateRewards($0, table.rewards)
      }
    }
    expectAgreement(rewards(.tree, .exact)[1], [-.infinity, inner, end], tolerance: 1e-15)
    expectAgreement(rewards(.terminating, .exact)[1], [-15, inner, end], tolerance: 1e-15)
    expectAgreement(rewards(.terminating, .published)[1], [-15, -15, end], tolerance: 1e-15)
    expectAgreement(rewards(.terminating, .published)[0], [-15, inner], tolerance: 1e-15)
  }

  /// The published code hides titles that others begin with from the trajectories that pass through them, so its best
  /// policy is not the target; with their rewards it is, up to the e^-15 that every other state is granted.
  @Test func hiddenPrefixTitlesMoveTheOptimum() throws {
    func divergence(_ network: FlowNetwork, _ support: Recipe.Objective.Support) throws -> Double {
      var table = try Table(Self.titles, weights: Self.weights, support: support)
      table.minimize(TrainingObjective(flow: .balance(.subTrajectory(lambda: 1)), theta: 0, network: network))
      return DistributionMetrics(policy: table.distribution, target: table.rewards.target).js
    }
    #expect(try divergence(FlowNetwork(), .catalogue) < 1e-12)
    #expect(try divergence(FlowNetwork(granularity: 2), .catalogue) < 1e-12)
    #expect(try divergence(FlowNetwork(flow: .terminating), .vocabulary) < 1e-12)
    #expect(try divergence(FlowNetwork(flow: .terminating, prefixTitles: .published), .vocabulary) > 0.3)
  }
}

extension FlowNetworkTests.Table {
  /// Adam on the logits of every state, with a falling rate.
  mutating func minimize(_ objective: TrainingObjective) {
    let states = (0..<tree.nodeCount).map { indices($0) }
    var logits = [Double](repeating: 0, count: logProbabilities.count)
    var (first, second) = (logits, logits)
    let steps = 6000
    for step in 1...steps {
      for state in states where !state.isEmpty {
        let sum = state.reduce(0) { $0 + exp(logits[$1]) }
        for index in state { logProbabilities[index] = logits[index] - log(sum) }
      }
      let gradient = objective.evaluate(scored).gradient
      let rate = 0.1 * pow(1e-4, Double(step) / Double(steps))
      for state in states {
        let sum = state.reduce(0) { $0 + gradient[$1] }
        for index in state {
          let slope = gradient[index] - exp(logProbabilities[index]) * sum
          first[index] += 0.1 * (slope - first[index])
          second[index] += 0.01 * (slope * slope - second[index])
          let scale = (second[index] / (1 - pow(0.99, Double(step)))).squareRoot() + 1e-12
          logits[index] -= rate * first[index] / (1 - pow(0.9, Double(step))) / scale
        }
      }
    }
  }

  /// The probability of every leaf under the policy renormalised over the catalogue's options.
  var distribution: [Double] {
    trajectories.map { trajectory in
      trajectory.transitions.reduce(1) { probability, transition in
        guard let scores = transition.scores else { return probability }
        let sum = scores.reduce(0) { $0 + exp(logProbabilities[$1]) }
        return probability * exp(logProbabilities[transition.score!]) / sum
      }
    }
  }
}
