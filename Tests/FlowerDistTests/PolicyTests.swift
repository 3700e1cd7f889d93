import Foundation
import Testing

@testable import FlowerDist

/// A small catalogue with a model of random weights, and its policy written down state by state.
private struct Policy {
  let catalogue: Catalogue
  let language: LanguageModel
  var tree: CatalogueTree { catalogue.tree }
  static let prompts: [[Int32]] = ["A title:", "B", "something longer than that:"].map { Tokenizer.bytes.encode($0) }

  /// Titles with prefixes and forced runs; two items share a title.
  static let titles = [
    "Alien", "Aliens", "Alien 3", "Heat", "He", "Heart of Glass", "Up", "U", "Ran", "Rango", "Brazil", "Bound", "Up",
  ]

  init(titles: [String] = Self.titles, std: Double = 0.5) throws {
    var prompt = Recipe.Prompt()
    prompt.template = "A title:"
    catalogue = try Catalogue(
      dataset: Dataset(name: "", titles: titles, weights: titles.map { Double($0.utf8.count) }), tokenizer: .bytes,
      prompt: prompt, terminator: "\n", reward: Recipe.Reward())
    let configuration = ModelConfiguration(
      architecture: .qwen2, vocabularySize: 256, hiddenSize: 16, layers: 2, heads: 2, kvHeads: 1, headDim: 8,
      intermediateSize: 24, attentionBias: true, tieEmbeddings: true, ropeTheta: 10_000, rmsNormEps: 1e-6)
    language = LanguageModel(Transformer.random(configuration, seed: 2, std: std))
  }

  /// p(leaf | prompt) at a temperature: from the plain model, one state after the other.
  func distribution(_ prompt: [Int32], temperature: Double = 1) -> [Double] {
    let model = ReferenceTransformer(language.transformer)
    var result = [Double](repeating: 0, count: tree.leafCount)
    func visit(_ node: Int, _ sequence: [Int32], _ probability: Double) {
      let tokens = tree.optionTokens(of: node)
      let logits = model.logits(sequence).last!
      let weights = tokens.map { exp(logits[Int($0)] / temperature) }
      for (option, token) in tokens.enumerated() {
        let share = probability * weights[option] / weights.reduce(0, +)
        if let child = tree.child(of: node, option: option) {
          visit(child, sequence + [token], share)
        } else {
          result[Int(tree.leaf[node])] = share
        }
      }
    }
    visit(0, prompt, 1)
    return result
  }
}

@Suite struct PolicySamplerTests {
  @Test(
    arguments: [(1, .catalogue), (1, .vocabulary), (0.5, .catalogue), (2.5, .vocabulary)]
      as [(Double, Recipe.Objective.Support)])
  func frequenciesAreTheProbabilities(temperature: Double, support: Recipe.Objective.Support) throws {
    let policy = try Policy()
    let sampler = PolicySampler(language: policy.language, temperature: temperature)
    var titles = TitleForest(policy.tree)
    for prompt in Policy.prompts { _ = titles.addPrompt(prompt) }
    policy.language.begin(rows: 1000, queries: 1000, training: true)
    // The first prompt is left out: samples of the others do not depend on it.
    let leaves = sampler.sample(&titles, prompts: 1..<3, count: 20_000, support: support) { prompt, k in
      CounterRandom(seed: 12, purpose: .policy, example: UInt32(prompt), sample: UInt32(k))
    }
    #expect(leaves.count == 2)
    for (prompt, drawn) in zip(Policy.prompts.dropFirst(), leaves) {
      var counts = [Int](repeating: 0, count: policy.tree.leafCount)
      for leaf in drawn { counts[leaf] += 1 }
      #expect(chiSquareDeviate(counts, policy.distribution(prompt, temperature: temperature)) < 4)
      // As many draws would show a temperature that is a little off.
      #expect(chiSquareDeviate(counts, policy.distribution(prompt, temperature: 1.1 * temperature)) > 4)
    }
    // What was read on the way is what training needs.
    let logProbabilities = policy.language.score(titles.forest, titles.readouts)
    for leaf in Set(leaves[0]) {
      let trajectory = Trajectory(leaf: leaf, prompt: 1, in: titles, support: support)
      #expect(
        trajectory.transitions.allSatisfy {
          ($0.scores != nil) == (support == .vocabulary || policy.tree.isChoice($0.node))
        })
      #expect(trajectory.logPolicy(logProbabilities).allSatisfy { $0 <= 1e-6 })
    }
  }

  @Test func frequenciesMatchTheExactDistribution() throws {
    let policy = try Policy()
    let evaluator = Evaluator(policy.catalogue, policy.language)
    let exact = evaluator.exact(Policy.prompts)
    let samples = evaluator.samples(Policy.prompts, first: 0, count: 5000, seed: 3)
    for (drawn, expected) in zip(samples, exact) {
      var counts = [Int](repeating: 0, count: expected.count)
      for leaf in drawn { counts[Int(leaf)] += 1 }
      #expect(chiSquareDeviate(counts, expected.map { exp($0) }) < 4)
    }
  }

  /// Titles of SFT whose rows were computed before a sample comes along and wants to read them as well.
  @Test(
    arguments: [Recipe.Objective.Support.catalogue, .vocabulary], [Recipe.Objective.Support.catalogue, .vocabulary])
  func readsWhatTargetsLeft(targets: Recipe.Objective.Support, support: Recipe.Objective.Support) throws {
    let policy = try Policy()
    var titles = TitleForest(policy.tree)
    _ = titles.addPrompt(Policy.prompts[0])
    for leaf in 0..<policy.tree.leafCount { titles.addTitle(prompt: 0, leaf: leaf, support: targets) }
    policy.language.begin(rows: 1000, queries: 1000, training: true)
    let sampler = PolicySampler(language: policy.language)
    _ = sampler.sample(&titles, prompts: 0..<1, count: 200, support: support) { _, k in
      CounterRandom(seed: 12, purpose: .policy, sample: UInt32(k))
    }
    let grown = policy.language.score(titles.forest, titles.readouts)
    let atOnce = LanguageModel(policy.language.transformer).score(titles, training: true)
    expectAgreement(grown, atOnce, tolerance: 1e-5)
  }
}

@Suite struct EvaluatorTests {
  @Test func exactIsTheProductOfThePolicy() throws {
    let policy = try Policy()
    // More prompts than are computed together.
    let prompts = (0..<4).flatMap { _ in Policy.prompts }
    let exact = Evaluator(policy.catalogue, policy.language).exact(prompts)
    #expect(exact.count == prompts.count)
    let expected = Policy.prompts.map { policy.distribution($0) }
    for (index, logs) in exact.enumerated() {
      #expect(abs(logs.reduce(0) { $0 + exp($1) } - 1) < 1e-12)
      expectAgreement(logs, expected[index % 3].map { log($0) }, tolerance: 2e-5)
    }
  }

  @Test func topIsSortedAndLeavesOut() {
    let logs = [-3, -1, -2, -1, -5].map { Double($0) }
    #expect(Evaluator.top(logs, count: 3).map(\.leaf) == [1, 3, 2])
    #expect(Evaluator.top(logs, count: 9).map(\.leaf) == [1, 3, 2, 0, 4])
    #expect(Evaluator.top(logs, count: 2, excluding: [1, 2]).map(\.leaf) == [3, 0])
    #expect(Evaluator.top(logs, count: 2, excluding: [0, 1, 2, 3, 4]).isEmpty)
  }

  @Test func aBeamAsLargeAsTheCatalogueIsExact() throws {
    let policy = try Policy()
    let evaluator = Evaluator(policy.catalogue, policy.language)
    let prompts = (0..<4).flatMap { _ in Policy.prompts }
    let excluded = prompts.indices.map { Set([Int32($0), Int32($0 / 2)]) }
    let exact = evaluator.exact(prompts)
    for (beams, left) in [
      (evaluator.beam(prompts, beam: 20), nil), (evaluator.beam(prompts, beam: 20, excluding: excluded), excluded),
    ] {
      #expect(beams.count == prompts.count)
      for (index, ranked) in beams.enumerated() {
        let top = Evaluator.top(exact[index], count: 20, excluding: left?[index] ?? [])
        #expect(ranked.map(\.leaf) == top.map(\.leaf))
        expectAgreement(ranked.map(\.logProbability), top.map(\.logProbability), tolerance: 1e-5)
      }
    }
  }

  @Test(arguments: [1, 2, 5]) func aSmallBeamHoldsTrueProbabilities(beam: Int) throws {
    let policy = try Policy()
    let evaluator = Evaluator(policy.catalogue, policy.language)
    let exact = evaluator.exact(Policy.prompts)
    for (index, ranked) in evaluator.beam(Policy.prompts, beam: beam).enumerated() {
      #expect(ranked.count == beam && Set(ranked.map(\.leaf)).count == beam)
      #expect(zip(ranked, ranked.dropFirst()).allSatisfy { $0.logProbability >= $1.logProbability })
      #expect(ranked.allSatisfy { abs($0.logProbability - exact[index][Int($0.leaf)]) < 1e-5 })
    }
  }

  /// Every title's score as other programs count it: over the whole vocabulary, over length to a power, with a guide.
  @Test(arguments: [(0, 1), (1, 1), (0.5, 0.6)] as [(Double, Double)]) func publishedScores(
    lengthPenalty: Double, guidance: Double
  ) throws {
    let policy = try Policy()
    let tree = policy.tree
    let model = ReferenceTransformer(policy.language.transformer)
    let rewards = TokenRewards(tree, weights: (0..<tree.leafCount).map { Double(1 + $0 * 5 % 7) })
    let guides = Policy.prompts.map { _ in Evaluator.Guide(rewards, guidance: guidance) }
    let decoding = Decoding(score: .published, lengthPenalty: lengthPenalty, guidance: guidance)
    let excluded = Policy.prompts.indices.map { Set([Int32($0)]) }
    let beams = Evaluator(policy.catalogue, policy.language).best(
      Policy.prompts, decoding, exact: false, beam: 20, guides: guidance < 1 ? guides : nil, excluding: excluded)
    for (prompt, ranked) in beams.enumerated() {
      let scores = (0..<tree.leafCount).map { leaf in
        var (sequence, sum) = (Policy.prompts[prompt], 0.0)
        let title = tree.title(ofLeaf: leaf) + [tree.terminator]
        for token in title {
          let logits = model.logits(sequence).last!
          sum += logits[Int(token)] - log(logits.reduce(0) { $0 + exp($1) })
          sequence.append(token)
        }
        let guided = guidance * sum + (1 - guidance) * log(rewards.target[leaf])
        return guided / pow(Double(title.count + 1), lengthPenalty)
      }
      let top = Evaluator.top(scores, count: 20, excluding: excluded[prompt])
      #expect(ranked.map(\.leaf) == top.map(\.leaf))
      expectAgreement(ranked.map(\.logProbability), top.map(\.logProbability), tolerance: 2e-5)
    }
  }

  /// The search may end before nothing is open, and then has the lists that it would have had.
  @Test(arguments: [0, 0.5, 1, 3], 1...6) func aPublishedBeamLosesNothingByEndingEarly(lengthPenalty: Double, beam: Int) throws {
    let policy = try Policy()
    let tree = policy.tree
    let none = Policy.prompts.map { _ in Set<Int32>() }
    let found = Evaluator(policy.catalogue, policy.language).best(
      Policy.prompts, Decoding(score: .published, lengthPenalty: lengthPenalty), exact: false, beam: beam, guides: nil,
      excluding: none)
    var titles = TitleForest(tree)
    for prompt in Policy.prompts {
      let index = titles.addPrompt(prompt)
      for leaf in 0..<tree.leafCount { titles.addTitle(prompt: index, leaf: leaf, support: .vocabulary) }
    }
    let scores = policy.language.score(titles, training: false)
    for (prompt, found) in found.enumerated() {
      var open = [(sum: 0.0, node: 0)]
      var ended: [Evaluator.Ranked] = []
      while !open.isEmpty {
        var next: [(sum: Double, node: Int, isEnd: Bool)] = []
        for (sum, node) in open {
          let options = scores[titles.scores(prompt: prompt, node: node, support: .vocabulary)!]
          for (option, child) in zip(options, tree.children(of: node)) { next.append((sum + option, child, false)) }
          if tree.leaf[node] >= 0 { next.append((sum + options.last!, node, true)) }
        }
        next.sort { $0.sum > $1.sum }
        for step in next.prefix(beam) where step.isEnd {
          let score = step.sum / pow(Double(tree.depth[step.node]) + 2, lengthPenalty)
          ended.append(.init(leaf: tree.leaf[step.node], logProbability: score))
        }
        open = next.filter { !$0.isEnd }.prefix(beam).map { ($0.sum, $0.node) }
      }
      let expected = ended.sorted(by: >).prefix(beam)
      #expect(found.map(\.leaf) == expected.map(\.leaf))
      expectAgreement(found.map(\.logProbability), expected.map(\.logProbability), tolerance: 2e-5)
    }
  }

  /// A beam that leaves some out, token by token: what is kept has its own score, and no more than asked for.
  @Test func aSmallPublishedBeam() throws {
    let policy = try Policy()
    let evaluator = Evaluator(policy.catalogue, policy.language)
    let none = Policy.prompts.map { _ in Set<Int32>() }
    func published(_ beam: Int) -> [[Evaluator.Ranked]] {
      evaluator.best(
        Policy.prompts, Decoding(score: .published), exact: false, beam: beam, guides: nil, excluding: none)
    }
    for (few, all) in zip(published(2), published(20)) {
      #expect(few.count == 2 && few[0] >= few[1])
      for ranked in few {
        let same = try #require(all.first { $0.leaf == ranked.leaf })
        #expect(abs(same.logProbability - ranked.logProbability) < 1e-5)
      }
    }
  }

  @Test(arguments: [0, 0.8], [1, 0.4]) func exactAndBeamRankAlike(lengthPenalty: Double, guidance: Double) throws {
    let policy = try Policy()
    let tree = policy.tree
    let evaluator = Evaluator(policy.catalogue, policy.language)
    let rewards = TokenRewards(tree, weights: (0..<tree.leafCount).map { Double(1 + $0 * 5 % 7) })
    let guides = Policy.prompts.map { _ in Evaluator.Guide(rewards, guidance: guidance) }
    let decoding = Decoding(lengthPenalty: lengthPenalty, guidance: guidance)
    let excluded = Policy.prompts.indices.map { Set([Int32($0)]) }
    let lists = [false, true].map { exact in
      evaluator.best(
        Policy.prompts, decoding, exact: exact, beam: 20, guides: guidance < 1 ? guides : nil, excluding: excluded)
    }
    let exact = evaluator.exact(Policy.prompts)
    for prompt in Policy.prompts.indices {
      #expect(lists[0][prompt].map(\.leaf) == lists[1][prompt].map(\.leaf))
      for ranked in lists.map({ $0[prompt] }) {
        let expected = ranked.map { entry in
          let leaf = Int(entry.leaf)
          let guided = guidance * exact[prompt][leaf] + (1 - guidance) * log(rewards.target[leaf])
          return guided / pow(Double(tree.title(ofLeaf: leaf).count + 1), lengthPenalty)
        }
        expectAgreement(ranked.map(\.logProbability), expected, tolerance: 1e-5)
        #expect(zip(expected, expected.dropFirst()).allSatisfy { $0 >= $1 - 1e-5 })
      }
    }
  }

  @Test(arguments: [0.5, 1.5]) func temperatures(temperature: Double) throws {
    let policy = try Policy()
    let evaluator = Evaluator(policy.catalogue, policy.language)
    let exact = evaluator.exact(Policy.prompts, temperature: temperature)
    let samples = evaluator.samples(Policy.prompts, first: 0, count: 5000, seed: 3, temperature: temperature)
    for prompt in Policy.prompts.indices {
      let expected = policy.distribution(Policy.prompts[prompt], temperature: temperature)
      expectAgreement(exact[prompt].map { exp($0) }, expected, tolerance: 1e-5)
      var counts = [Int](repeating: 0, count: expected.count)
      for leaf in samples[prompt] { counts[Int(leaf)] += 1 }
      #expect(chiSquareDeviate(counts, expected) < 4)
    }
  }

  @Test func everythingIsExcluded() throws {
    let policy = try Policy()
    let all = Set(0..<Int32(policy.tree.leafCount))
    #expect(Evaluator(policy.catalogue, policy.language).beam([[1, 2]], beam: 4, excluding: [all]) == [[]])
  }

  /// A trunk from which a long title leaves at every step, each time given up one choice later: a beam computes more rows
  /// than its width times the longest title.
  @Test func aBeamThatAbandonsLongTitles() throws {
    let titles = (0..<30).flatMap { length in
      ["x", "y"].map { String(repeating: "a", count: length) + String(repeating: "b", count: 30) + $0 }
    }
    // Weights of zero make every choice even, and ties go to the trunk.
    let policy = try Policy(titles: titles + [String(repeating: "a", count: 30)], std: 0)
    policy.language.transformer.weights.zero()
    let ranked = Evaluator(policy.catalogue, policy.language).beam([[1]], beam: 2)[0]
    #expect(ranked.count == 2)
    #expect(ranked.allSatisfy { $0.logProbability < -20 })
  }

  /// Which ranks sample which prompts must not matter.
  @Test func samplesBelongToTheirPrompts() throws {
    let policy = try Policy()
    let evaluator = Evaluator(policy.catalogue, policy.language)
    let prompts = (0..<4).flatMap { _ in Policy.prompts }
    let all = evaluator.samples(prompts, first: 0, count: 20, seed: 9)
    let first = evaluator.samples(Array(prompts[..<5]), first: 0, count: 20, seed: 9)
    let rest = evaluator.samples(Array(prompts[5...]), first: 5, count: 20, seed: 9)
    let same = all == first + rest
    #expect(same)
    #expect(all[0] != all[3], "the same prompt at two places draws differently")
  }
}
