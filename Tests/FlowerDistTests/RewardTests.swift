import Foundation
import Testing

@testable import FlowerDist

@Suite struct TokenRewardsTests {
  @Test(arguments: 0..<15) func areProbabilitiesWhoseProductIsTheItemsShare(seed: Int) throws {
    let (_, tree) = try CatalogueTreeTests.random(seed)
    var random = SeededRandom(seed + 200)
    // Some leaves weigh nothing, but not all.
    var weights = random.doubles(tree.leafCount, in: -3...5).map { max($0, 0) }
    weights[0] = 1e-3
    let rewards = TokenRewards(tree, weights: weights)
    for node in 0..<tree.nodeCount {
      let values = rewards.rewards(at: node)
      #expect(values.count == Int(tree.optionCount[node]))
      #expect(abs(values.reduce(0, +) - (rewards.flow[node] > 0 ? 1 : 0)) < 1e-12)
    }
    let total = weights.reduce(0, +)
    for leaf in 0..<tree.leafCount {
      let path = tree.path(toLeaf: leaf)
      let steps = path.indices.map { index in
        rewards.rewards(at: path[index])[
          tree.option(of: path[index], leadingTo: index + 1 < path.count ? path[index + 1] : nil)]
      }
      #expect(abs(steps.reduce(1, *) - weights[leaf] / total) < 1e-12)
      #expect(abs(rewards.target[leaf] - weights[leaf] / total) < 1e-12)
      if weights[leaf] > 0 {
        let logs = rewards.logRewards(toLeaf: leaf)
        expectAgreement(logs, steps.map { log($0) }, tolerance: 1e-12)
        #expect(abs(logs.reduce(0, +) - log(weights[leaf] / total)) < 1e-12)
      }
    }
  }
}

@Suite struct RewardModelTests {
  /// Prefers items by what the history's last item says; some not at all.
  struct MadeUpScore: PreferenceScore {
    let summary = "made up"

    func scores(for context: PreferenceContext, into scores: UnsafeMutableBufferPointer<Double>) {
      for item in scores.indices {
        scores[item] = Double((item * 7 + Int(context.history.last!)) % 5) * (Int32(item) == context.target ? 0.1 : 1)
      }
      let total = scores.reduce(0, +)
      for item in scores.indices { scores[item] /= total }
    }
  }

  static func recipe(
    _ weight: Recipe.Reward.Weight, smoothing: Double = 1, beta: Double = 1.5, gamma: Double = 0.5
  ) -> Recipe.Reward {
    var recipe = Recipe.Reward()
    (recipe.weight, recipe.smoothing, recipe.beta, recipe.gamma) = (weight, smoothing, beta, gamma)
    return recipe
  }

  /// The sum over leaves that begin with each prefix must be the flow, for whatever weights.
  static func checkFlows(_ rewards: TokenRewards) {
    let tree = rewards.tree
    let expected = (0..<tree.nodeCount).map { node in
      let prefix = CatalogueTreeTests.prefix(tree, node)
      return (0..<tree.leafCount).reduce(0) {
        $0 + (tree.title(ofLeaf: $1).starts(with: prefix) ? rewards.weights[$1] : 0)
      }
    }
    expectAgreement(rewards.flow.map { $0 / rewards.flow[0] }, expected.map { $0 / rewards.flow[0] }, tolerance: 1e-13)
  }

  @Test func popularityCountsEveryItemOfALeafAndSmoothsOnce() throws {
    let tree = try CatalogueTree(titles: [[1], [1, 2], [1], [4]], terminator: 3)
    let model = try RewardModel(
      Self.recipe(.popularity, smoothing: 0.5), tree: tree, counts: [3, 1, 2, 0], score: MadeUpScore())
    let rewards = model.rewards(history: [1], leavingOut: nil)
    #expect(!model.isPersonal)
    #expect(rewards.weights == [5.5, 1.5, 0.5])
    expectAgreement(model.popularity, [5.5 / 7.5, 1.5 / 7.5, 0.5 / 7.5], tolerance: 1e-15)
    Self.checkFlows(rewards)
  }

  @Test func uniformIsOverTheLeavesThatCanBeGenerated() throws {
    let tree = try CatalogueTree(titles: [[1], [1, 2], [1], [4]], terminator: 3)
    func weights(_ smoothing: Double) throws -> [Double] {
      try RewardModel(Self.recipe(.uniform, smoothing: smoothing), tree: tree, counts: [3, 1, 2, 0], score: nil)
        .rewards(history: [], leavingOut: nil).weights
    }
    #expect(try weights(1) == [1, 1, 1])
    #expect(try weights(0) == [1, 1, 0])
  }

  @Test func refusesACatalogueWithoutWeight() throws {
    let tree = try CatalogueTree(titles: [[1], [2]], terminator: 3)
    let error = flowerError {
      _ = try RewardModel(Self.recipe(.popularity, smoothing: 0), tree: tree, counts: [0, 0], score: nil)
    }
    #expect(error?.kind == .data && error?.description.contains("reward.smoothing") == true)
  }

  /// p^β · w^-γ written down from the titles, item by item.
  private func expectedTarget(
    _ tree: CatalogueTree, counts: [Double], _ recipe: Recipe.Reward, score: any PreferenceScore, history: [Int32],
    target: Int32?
  ) -> [Double] {
    let items = score.scores(for: PreferenceContext(history: history, leavingOut: target), items: counts.count)
    let all = counts.reduce(0, +) + recipe.smoothing * Double(tree.leafCount)
    let weights = (0..<tree.leafCount).map { leaf in
      let mine = counts.indices.filter { Int(tree.leafOfItem[$0]) == leaf }
      let w = (mine.reduce(0) { $0 + counts[$1] } + recipe.smoothing) / all
      let p = max(mine.reduce(0) { $0 + items[$1] }, 1e-6 * w)
      return pow(p, recipe.beta) * pow(w, -recipe.gamma)
    }
    return weights.map { $0 / weights.reduce(0, +) }
  }

  @Test(arguments: 1..<8) func powerOfAMadeUpScore(seed: Int) throws {
    let (titles, tree) = try CatalogueTreeTests.random(seed)
    var random = SeededRandom(seed)
    let counts = titles.map { _ in Double(Int.random(in: 0...9, using: &random)) }
    let recipe = Self.recipe(.power, smoothing: 0.3)
    let model = try RewardModel(recipe, tree: tree, counts: counts, score: MadeUpScore())
    for (history, target) in [([0], nil), ([2, 1], nil), ([4], 0)] as [([Int32], Int32?)] {
      let rewards = model.rewards(history: history, leavingOut: target)
      let expected = expectedTarget(
        tree, counts: counts, recipe, score: MadeUpScore(), history: history, target: target)
      #expect(model.isPersonal)
      expectAgreement(rewards.target, expected, tolerance: 1e-12)
      Self.checkFlows(rewards)
    }
  }

  /// The published formulas over leaves, the preference being floored as it always is.
  @Test(arguments: [Recipe.Reward.Weight.divide, .addLog]) func publishedWeightsOfAMadeUpScore(
    weight: Recipe.Reward.Weight
  ) throws {
    let (titles, tree) = try CatalogueTreeTests.random(3)
    let counts = titles.indices.map { Double($0 % 4) }
    var recipe = Self.recipe(weight, smoothing: 0.5)
    recipe.c = 2
    let model = try RewardModel(recipe, tree: tree, counts: counts, score: MadeUpScore())
    let p = model.preference(history: [2], leavingOut: nil, at: nil, score: MadeUpScore())
    let (low, high, mean) = (p.min()!, p.max()!, p.reduce(0, +) / Double(p.count))
    let weights = zip(p, model.popularity).map { p, w -> Double in
      weight == .divide
        ? pow(w, 1 / ((p - mean) / (high - low) + 1)) : w * pow((p - low) / (high - low) + 1e-20, 2)
    }
    let rewards = model.rewards(history: [2], leavingOut: nil)
    #expect(model.isPersonal)
    expectAgreement(rewards.target, weights.map { $0 / weights.reduce(0, +) }, tolerance: 1e-12)
    Self.checkFlows(rewards)
  }

  /// Flow rule `published`: popularity is summed up the tree, and every token of a title has the score of the title.
  @Test(arguments: [Recipe.Reward.Weight.divide, .addLog]) func publishedFlowRuleOfAMadeUpScore(
    weight: Recipe.Reward.Weight
  ) throws {
    let (titles, tree) = try CatalogueTreeTests.random(3)
    let counts = titles.indices.map { Double($0 % 4) }
    var recipe = Self.recipe(weight, smoothing: 0.5)
    (recipe.c, recipe.flowRule) = (0.25, .published)
    let model = try RewardModel(recipe, tree: tree, counts: counts, score: MadeUpScore())
    let rewards = model.rewards(history: [2], leavingOut: nil)
    let plain = TokenRewards(tree, weights: model.popularity)
    #expect(model.isPersonal && rewards.flow == plain.flow)
    let p = model.preference(history: [2], leavingOut: nil, at: nil, score: MadeUpScore())
    let (low, high, mean) = (p.min()!, p.max()!, p.reduce(0, +) / Double(p.count))
    let products = (0..<tree.leafCount).map { leaf -> Double in
      let changed = plain.logRewards(toLeaf: leaf).map { logReward in
        weight == .divide
          ? logReward / ((p[leaf] - mean) / (high - low) + 1)
          : logReward + 0.25 * log((p[leaf] - low) / (high - low) + 1e-20)
      }
      expectAgreement(rewards.logRewards(toLeaf: leaf), changed, tolerance: 1e-12)
      return exp(changed.reduce(0, +))
    }
    let total = products.reduce(0, +)
    #expect(abs(rewards.logTotal - log(total)) < 1e-12)
    expectAgreement(rewards.target, products.map { $0 / total }, tolerance: 1e-12)
    // What is drawn by weight is the item distribution; no title is out of reach.
    expectAgreement(rewards.weights, products.map { max($0 / products.max()!, 1e-300) }, tolerance: 1e-12)
    if weight == .divide {
      recipe.flowRule = .tree
      let tree = try RewardModel(recipe, tree: tree, counts: counts, score: MadeUpScore())
      expectAgreement(rewards.target, tree.rewards(history: [2], leavingOut: nil).target, tolerance: 1e-12)
    }
  }

  /// Without a history p is popularity, so the weights are w^(β-γ).
  @Test func powerWithoutAHistory() throws {
    let tree = try CatalogueTree(titles: [[1], [1, 2], [4]], terminator: 3)
    let model = try RewardModel(Self.recipe(.power), tree: tree, counts: [6, 2, 0], score: MadeUpScore())
    let expected = [7.0, 3, 1].map { $0 / 11 }
    expectAgreement(model.rewards(history: [], leavingOut: nil).target, expected, tolerance: 1e-14)
  }

  @Test func powerOfCooccurrence() throws {
    let data = try Dataset.generated(titles: 40, examples: 300, seed: 5)
    let tree = try CatalogueTree(titles: data.titles.map { Tokenizer.bytes.encode($0) }, terminator: 10)
    let score = CooccurrenceScore(dataset: data)
    let recipe = Self.recipe(.power)
    let model = try RewardModel(recipe, tree: tree, counts: data.counts, score: score)
    for (index, example) in data.train.prefix(20).enumerated() {
      let target = index % 2 == 0 ? example.item : nil
      let rewards = model.rewards(history: example.history, leavingOut: target)
      let expected = expectedTarget(
        tree, counts: data.counts, recipe, score: score, history: example.history, target: target)
      // An example of an empty history falls back to popularity, which the formula of the items gives too.
      if example.history.isEmpty { continue }
      expectAgreement(rewards.target, expected, tolerance: 1e-12)
      Self.checkFlows(rewards)
    }
  }

  /// The largest exponents that a recipe may name must not make all weights zero, or one infinite.
  @Test(arguments: [(100, 0.5), (1.5, 100), (100, 100), (0, 0)])
  func extremeExponents(beta: Double, gamma: Double) throws {
    let titles = (0..<300).map { [Int32($0 + 10)] }
    let tree = try CatalogueTree(titles: titles, terminator: 3)
    let counts = titles.indices.map { Double($0 * $0) }
    let model = try RewardModel(
      Self.recipe(.power, beta: beta, gamma: gamma), tree: tree, counts: counts, score: MadeUpScore())
    let rewards = model.rewards(history: [3], leavingOut: nil)
    #expect(rewards.weights.allSatisfy { $0.isFinite && $0 >= 0 })
    #expect(rewards.flow[0].isFinite && rewards.flow[0] > 0)
    #expect(abs(rewards.target.reduce(0, +) - 1) < 1e-12)
  }
}
