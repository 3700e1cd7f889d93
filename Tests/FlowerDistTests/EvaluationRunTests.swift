import Foundation
import Testing

@testable import FlowerDist

/// A made-up catalogue with histories, and a model of random weights over it.
struct ServedCatalogue {
  let catalogue: Catalogue
  let language: LanguageModel

  init(
    _ dataset: Dataset? = nil, template: String = "{history}:", weight: Recipe.Reward.Weight = .power,
    flowRule: Recipe.Reward.FlowRule = .tree, offered: OfferedTitles? = nil
  ) throws {
    var prompt = Recipe.Prompt()
    prompt.template = template
    prompt.historyLength = 3
    var reward = Recipe.Reward()
    (reward.weight, reward.flowRule) = (weight, flowRule)
    catalogue = try Catalogue(
      dataset: dataset ?? .generated(titles: 40, examples: 200, seed: 3), tokenizer: .bytes, prompt: prompt,
      terminator: "\n", reward: reward, offered: offered)
    let configuration = ModelConfiguration(
      architecture: .qwen2, vocabularySize: 256, hiddenSize: 16, layers: 1, heads: 2, kvHeads: 1, headDim: 8,
      intermediateSize: 24, attentionBias: true, tieEmbeddings: true, ropeTheta: 10_000, rmsNormEps: 1e-6)
    language = LanguageModel(Transformer.random(configuration, seed: 2, std: 0.4))
  }

  func run(
    on ranks: any Communicator = SingleProcess(), _ set: (inout EvaluationRun.Options) -> Void = { _ in }
  ) throws -> EvaluationRun {
    var options = EvaluationRun.Options()
    set(&options)
    return try EvaluationRun(catalogue, language, ranks, options)
  }

  func history(_ example: Interaction) -> Set<Int32> {
    Set(example.history.map { catalogue.tree.leafOfItem[Int($0)] })
  }

  func exact(_ example: Interaction) throws -> [Double] {
    try Evaluator(catalogue, language).exact([catalogue.prompt(history: example.history).tokens])[0]
  }
}

@Suite struct EvaluationRunTests {
  @Test(arguments: [false, true]) func samplesLeaveTheHistoryOut(exact: Bool) throws {
    let served = try ServedCatalogue()
    let run = try served.run {
      $0.excludeHistory = true
      $0.exact = exact
    }
    let all = run.examples.indices
    let lists = try run.sampledLists(all)
    #expect(all.allSatisfy { lists[$0].count == 10 && served.history(run.examples[$0]).isDisjoint(with: lists[$0]) })
    #expect(try lists[5...] == run.sampledLists(5..<all.count)[...], "an example's samples do not depend on its batch")
    // The same holds for what they are compared with.
    for lists in [try run.bestLists(all), run.popularLists, run.preferredLists(all, served.catalogue.score!)] {
      #expect(all.allSatisfy { lists[$0].count == 20 && served.history(run.examples[$0]).isDisjoint(with: lists[$0]) })
    }
  }

  @Test func samplesWithoutTheHistoryFollowTheRest() throws {
    let served = try ServedCatalogue()
    var counts = [Int](repeating: 0, count: served.catalogue.tree.leafCount)
    var example = Interaction(history: [], item: 0)
    for seed in 0..<300 {
      let run = try served.run {
        $0.excludeHistory = true
        $0.seed = UInt64(seed)
      }
      example = run.examples[0]
      for leaf in try run.sampledLists(0..<1)[0] { counts[Int(leaf)] += 1 }
    }
    let history = served.history(example)
    let left = try served.exact(example).enumerated().map { history.contains(Int32($0)) ? 0 : exp($1) }
    #expect(!history.isEmpty)
    #expect(chiSquareDeviate(counts, left) < 4)
  }

  @Test func everyTitleInTheHistory() throws {
    let some = [Interaction(history: [0], item: 1)]
    let served = try ServedCatalogue(
      Dataset(
        name: "", titles: ["A", "B"], train: some, valid: some, test: [Interaction(history: [0, 1], item: 0)]))
    let run = try served.run { $0.excludeHistory = true }
    #expect(try run.sampledLists(0..<1) == [[]])
    for row in try run.run(name: "") { #expect(row["hr@1"]?.value == 0 && row["invalid"]?.value == 0) }
  }

  /// Examples, batches and their order on any number of ranks, which here outnumber the batches too.
  @Test func anyNumberOfRanksGivesTheSame() throws {
    struct Outcome: Equatable, Sendable {
      var rows: [EvaluationReport]
      var audit: AuditReport
    }
    let outcomes = try [1, 2, 4].flatMap { size in
      try InMemoryRanks.run(size) { ranks in
        let served = try ServedCatalogue()
        var options = EvaluationRun.Options()
        options.excludeHistory = true
        return Outcome(
          rows: try served.run(on: ranks) { $0 = options }.run(name: "model"),
          audit: try EvaluationRun.audit(served.catalogue, served.language, ranks, options))
      }
    }
    #expect(outcomes[0].rows.map(\.name) == ["model", "model", "popularity", "preference score"])
    for outcome in outcomes.dropFirst() {
      let same = outcome == outcomes[0]
      #expect(same)
    }
  }

  @Test func auditIsTheMeanOverPrompts() throws {
    let served = try ServedCatalogue()
    var options = EvaluationRun.Options()
    options.examples = 11
    let audit = try EvaluationRun.audit(served.catalogue, served.language, SingleProcess(), options)
    let examples = try served.run { $0 = options }.examples
    #expect(examples.count == 11)
    var mean = [Double](repeating: 0, count: served.catalogue.tree.leafCount)
    var distance = 0.0
    for example in examples {
      let policy = try served.exact(example).map { exp($0) }
      let target = served.catalogue.rewards.rewards(history: example.history, leavingOut: nil).target
      for leaf in mean.indices { mean[leaf] += policy[leaf] / 11 }
      distance += zip(policy, target).reduce(0) { $0 + abs($1.0 - $1.1) } / 22
    }
    expectAgreement(audit.metrics.policy, mean, tolerance: 1e-6)
    // Each group's mass, of the policy, of popularity, and of the targets of these prompts.
    let groups = try #require(audit.groups)
    let groupOfLeaf = served.catalogue.groups.groupOfLeaf
    func mass(_ shares: [Double]) -> [Double] {
      (0..<8).map { group in shares.indices.reduce(0) { $0 + (groupOfLeaf[$1] == group ? shares[$1] : 0) } }
    }
    expectAgreement(groups.policy, mass(mean), tolerance: 1e-6)
    expectAgreement(groups.target, mass(served.catalogue.rewards.popularity), tolerance: 1e-12)
    let targets = examples.map { served.catalogue.rewards.rewards(history: $0.history, leavingOut: nil).target }
    let personal = mean.indices.map { leaf in targets.reduce(0) { $0 + $1[leaf] / 11 } }
    expectAgreement(try #require(groups.personal), mass(personal), tolerance: 1e-12)
    let total = try #require(audit.perPrompt.first { $0.name == "total_variation" })
    #expect(abs(total.value - distance) < 1e-6)
  }

  /// The score must not know the answer from the example itself.
  @Test func preferenceOfTrainingExamplesLeavesTheirTargetOut() throws {
    let served = try ServedCatalogue()
    let score = try #require(served.catalogue.score)
    func expected(_ run: EvaluationRun, own: Bool) -> [[Int32]] {
      run.examples.map { example in
        let preference = served.catalogue.rewards.preference(
          history: example.history, leavingOut: own ? example.item : nil, at: nil, score: score)
        return preference.indices.sorted { (-preference[$0], $0) < (-preference[$1], $1) }.prefix(20).map { Int32($0) }
      }
    }
    let (train, test) = (try served.run { $0.split = .train }, try served.run())
    let lists = train.preferredLists(train.examples.indices, score)
    #expect(lists == expected(train, own: true))
    #expect(lists != expected(train, own: false))
    #expect(test.preferredLists(test.examples.indices, score) == expected(test, own: false))
  }

  @Test func popularityIsOneOrderForEverybody() throws {
    let served = try ServedCatalogue()
    let popularity = served.catalogue.rewards.popularity
    let order = popularity.indices.sorted { (-popularity[$0], $0) < (-popularity[$1], $1) }.map { Int32($0) }
    for exclude in [false, true] {
      let run = try served.run { $0.excludeHistory = exclude }
      let lists = run.popularLists
      for (example, list) in zip(run.examples, lists) {
        let history = exclude ? served.history(example) : []
        #expect(list == Array(order.filter { !history.contains($0) }.prefix(20)))
      }
    }
  }
}

@Suite struct BestLeavesTests {
  @Test(arguments: [0, 1, 2, 7, 30, 31, 100]) func selectionIsTheBeginningOfTheOrder(count: Int) {
    var random = SeededRandom(count)
    // Few different values, so that there are ties.
    let values = random.tokens(30, below: 6).map { Double($0) }
    let excluded: Set<Int32> = [3, 4, 17]
    let order = values.indices.sorted { (-values[$0], $0) < (-values[$1], $1) }.map { Int32($0) }
    #expect(Evaluator.top(values, count: count).map(\.leaf) == Array(order.prefix(count)))
    #expect(
      Evaluator.top(values, count: count, excluding: excluded).map(\.leaf)
        == Array(order.filter { !excluded.contains($0) }.prefix(count)))
  }

  @Test func whatIsLeftSumsToOneHoweverSmall() {
    let probabilities = Evaluator.renormalized([-2000, 0, -2000], excluding: [1])
    #expect(probabilities == [0.5, 0, 0.5])
    #expect(Evaluator.renormalized([-1, -2], excluding: [0, 1]) == nil)
  }
}

@Suite struct RecommenderTests {
  @Test func leavesTheHistoryOut() throws {
    let served = try ServedCatalogue()
    let recommender = Recommender(served.catalogue, served.language)
    let titles = served.catalogue.dataset.titles
    let entries = try recommender.recommend(
      history: Array(titles[..<2]), count: 100, sampled: false, excludingHistory: true, seed: 1)
    #expect(entries.count == 38 && Set(entries.map(\.title)).isDisjoint(with: titles[..<2]))
    #expect(abs(entries.reduce(0) { $0 + $1.probability } - 1) < 1e-12)
    let nothing = flowerError {
      _ = try recommender.recommend(history: titles, count: 1, sampled: true, excludingHistory: true, seed: 1)
    }
    #expect(nothing?.kind == .usage)
  }

  @Test func aHistoryThatTheModelDoesNotRead() throws {
    let served = try ServedCatalogue(
      Dataset(name: "", titles: ["A", "B"], weights: [1, 2]), template: "A title:", weight: .popularity)
    let recommender = Recommender(served.catalogue, served.language)
    func recommend(_ history: [String]) throws -> [Recommender.Entry] {
      try recommender.recommend(history: history, count: 1, sampled: false, excludingHistory: false, seed: 1)
    }
    #expect(try recommend([]).count == 1)
    let error = flowerError { _ = try recommend(["A"]) }
    #expect(error?.kind == .usage)
    #expect(error?.description.contains("has no {history}") == true)
  }
}

@Suite struct ValidationTests {
  private func validation(
    _ served: ServedCatalogue, _ metric: Recipe.Validation.Metric, _ ranks: any Communicator
  ) throws -> Validation {
    var recipe = Recipe()
    recipe.validation.metric = metric
    recipe.validation.examples = 13
    return Validation(
      recipe: recipe, catalogue: served.catalogue, evaluator: Evaluator(served.catalogue, served.language),
      worker: try GrainWorker(served.catalogue, served.language, recipe), communicator: ranks)
  }

  @Test(arguments: [Recipe.Validation.Metric.hrAt10, .ndcgAt10, .loss]) func repeatsItself(
    metric: Recipe.Validation.Metric
  ) throws {
    let results = try [1, 3].flatMap { size in
      try InMemoryRanks.run(size) { ranks in
        let validation = try self.validation(try ServedCatalogue(), metric, ranks)
        return [try validation.run(), try validation.run()]
      }
    }
    #expect(Set(results.flatMap { $0 }.map { $0.map(\.value) }).count == 1)
    #expect(results[0][0][0].name == metric.rawValue)
  }

  @Test func accuracyIsThatOfAnEvaluation() throws {
    let served = try ServedCatalogue()
    let catalogue = served.catalogue
    let order = CounterRandom(seed: Recipe().training.seed, purpose: .evaluation)
      .permutation(of: catalogue.dataset.valid.count).prefix(13)
    let examples = order.map { catalogue.dataset.valid[Int($0)] }
    let prompts = try examples.map { try catalogue.prompt(history: $0.history).tokens }
    let lists = Evaluator(catalogue, served.language).beam(prompts, beam: Recipe().evaluation.beam)
    let metrics = RankingMetrics(
      lists: lists.map { $0.map(\.leaf) }, targets: examples.map { catalogue.tree.leafOfItem[Int($0.item)] },
      titles: catalogue.leafTitles, groups: catalogue.groups, cutoffs: [10]
    ).atCutoffs[0]
    let measured = try validation(served, .hrAt10, SingleProcess()).run()
    #expect(measured == [Metric("hr@10", metrics.hitRate.value), Metric("ndcg@10", metrics.ndcg.value)])
  }

  @Test func aDistributionIsMeasuredByItsDistance() throws {
    let served = try ServedCatalogue(
      Dataset(name: "", titles: ["A", "B", "AB"], weights: [1, 2, 3]), template: "A title:", weight: .popularity)
    let policy = try served.exact(Interaction(history: [], item: 0)).map { exp($0) }
    // The weights and the smoothing of one.
    let target = ["A": 2.0 / 9, "B": 3.0 / 9, "AB": 4.0 / 9]
    let expected = zip(served.catalogue.leafTitles, policy).reduce(0) { $0 + abs($1.1 - target[$1.0]!) } / 2
    let measured = try validation(served, .totalVariation, SingleProcess()).run()
    #expect(measured.map(\.name) == ["total_variation", "js"])
    #expect(abs(measured[0].value - expected) < 1e-12)
  }
}
