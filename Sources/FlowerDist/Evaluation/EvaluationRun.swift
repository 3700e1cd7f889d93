import Foundation

/// Evaluates a model on examples of a split, by all ranks; the numbers do not depend on how many there are.
public struct EvaluationRun {
  public struct Options: Sendable {
    public var split = Dataset.Split.test
    /// Number of examples, the first of a fixed permutation; 0: all.
    public var examples = 0
    /// Rank by the exact distribution of all titles instead of a beam.
    public var exact = false
    public var beam = 20
    /// Leave the titles of the history out and renormalise.
    public var excludeHistory = false
    public var decoding = Decoding()
    public var seed: UInt64 = 1
    /// Whether lists are sampled, too.
    public var samples = true
    public init() {}

    /// As a recipe says; the published score has its published beam.
    public init(_ recipe: Recipe.Evaluation) {
      examples = recipe.examples
      decoding = recipe.decoding
      beam = decoding.score == .published ? Decoding.publishedBeam : recipe.beam
      excludeHistory = recipe.excludeHistory
    }
  }

  /// Of few examples every rank is to have some, whatever the number of ranks.
  private static func batch(of examples: Int) -> Int { examples < 1000 ? 8 : 32 }
  /// Length of the lists that are kept.
  private static let length = 20
  /// Titles sampled per example.
  private static let sampled = 10

  private let catalogue: Catalogue
  private let evaluator: Evaluator
  private let communicator: any Communicator
  private let options: Options
  let examples: [Interaction]
  /// Where in their split the examples are.
  private let places: [ExamplePlace]
  private let groups: PopularityGroups
  private let titles: [String]

  public init(
    _ catalogue: Catalogue, _ language: LanguageModel, _ communicator: any Communicator, _ options: Options
  ) throws {
    let split = catalogue.dataset[options.split]
    if split.isEmpty {
      throw FlowerError(
        .data,
        "\(catalogue.dataset.name): the \(options.split.rawValue) split is empty; data without histories are for `audit`"
      )
    }
    if options.exact, options.decoding.score == .published {
      throw FlowerError(
        .usage, "--exact ranks by the policy over the catalogue; expected a beam with --score published")
    }
    if options.decoding.guidance < 1 { try catalogue.score?.requireScores(of: options.split) }
    self.catalogue = catalogue
    evaluator = Evaluator(catalogue, language)
    self.communicator = communicator
    self.options = options
    // Every seed evaluates the same examples.
    let order = CounterRandom(seed: 0, purpose: .evaluation).permutation(of: split.count)
    places = order.prefix(options.examples > 0 ? options.examples : split.count).map {
      ExamplePlace(options.split, row: Int($0))
    }
    examples = places.map { split[$0.row] }
    groups = catalogue.groups
    titles = catalogue.leafTitles
  }

  /// Rows of the table: the model's best lists and its samples, then what they are compared with.
  public func run(name: String) throws -> [EvaluationReport] {
    let best = try lists(Self.length, bestLists)
    func described(_ lists: EvaluationReport.Lists) -> String {
      let decoding = options.decoding.description(of: lists)
      return decoding.isEmpty ? name : "\(name) (\(decoding))"
    }
    var rows = [bestReport(described(.topK), best)]
    if options.samples {
      let samples = try lists(Self.sampled, sampledLists)
      rows.append(
        EvaluationReport(name: described(.sampled), lists: .sampled, ranking: ranking(samples, cutoffs: [1, 5, 10])))
    }
    rows.append(bestReport("popularity", popularLists, isReference: true))
    if let score = catalogue.score, score.covers(options.split) {
      let preferred = try lists(Self.length) { preferredLists($0, score) }
      rows.append(bestReport("preference score", preferred, isReference: true))
    }
    return rows
  }

  /// Lists of `length` leaves for all examples, computed by all ranks.
  private func lists(_ length: Int, _ body: (Range<Int>) throws -> [[Int32]]) throws -> [[Int32]] {
    let flat = try evaluator.language.withConstantWeights {
      try communicator.spread(count: examples.count, batch: Self.batch(of: examples.count), width: length) { range in
        try body(range).flatMap { list in (0..<length).map { $0 < list.count ? Double(list[$0]) : -1 } }
      }
    }
    return examples.indices.map { flat[$0 * length..<($0 + 1) * length].map { Int32($0) }.filter { $0 >= 0 } }
  }

  private func prompts(_ range: Range<Int>) throws -> [[Int32]] {
    try examples[range].map { try catalogue.prompt(history: $0.history).tokens }
  }

  private func excluded(_ example: Interaction) -> Set<Int32> {
    options.excludeHistory ? catalogue.tree.leaves(of: example.history) : []
  }

  /// The target of a training example, from which its own preference score must not follow.
  private func own(_ example: Interaction) -> Int32? { options.split == .train ? example.item : nil }

  func bestLists(_ range: Range<Int>) throws -> [[Int32]] {
    let prompts = try prompts(range)
    let excluded = examples[range].map(excluded)
    let decoding = options.decoding
    // Lists are as long as the widest that is judged; the published beam is narrower.
    let beam = decoding.score == .published ? options.beam : max(options.beam, Self.length)
    let lists = evaluator.best(
      prompts, decoding, exact: options.exact, beam: beam, guides: guides(range), excluding: excluded)
    return lists.map { $0.prefix(Self.length).map(\.leaf) }
  }

  /// The preference scores that guide the decoding, if they do.
  private func guides(_ range: Range<Int>) -> [Evaluator.Guide]? {
    guard options.decoding.guidance < 1, let score = catalogue.score else { return nil }
    return zip(examples[range], places[range]).map { example, place in
      let preference = catalogue.rewards.preference(
        history: example.history, leavingOut: own(example), at: place, score: score)
      return Evaluator.Guide(
        TokenRewards(catalogue.tree, weights: preference), guidance: options.decoding.guidance)
    }
  }

  func sampledLists(_ range: Range<Int>) throws -> [[Int32]] {
    let prompts = try prompts(range)
    guard options.excludeHistory else {
      return evaluator.samples(
        prompts, first: range.lowerBound, count: Self.sampled, seed: options.seed,
        temperature: options.decoding.temperature)
    }
    let exact = evaluator.exact(prompts, temperature: options.decoding.temperature)
    return zip(range, exact).map { index, logProbabilities in
      guard let left = Evaluator.renormalized(logProbabilities, excluding: excluded(examples[index])) else { return [] }
      let draws = LeafDraws(left)
      return (0..<UInt32(Self.sampled)).map { k in
        let random = CounterRandom(seed: options.seed, purpose: .evaluation, example: UInt32(index), sample: k)
        return Int32(draws.leaf(random.uniform(0)))
      }
    }
  }

  /// The most popular titles for everybody, for each example those that are not left out.
  var popularLists: [[Int32]] {
    let excluded = examples.map(excluded)
    let spare = excluded.map(\.count).max() ?? 0
    let popular = Evaluator.top(catalogue.rewards.popularity, count: Self.length + spare).map(\.leaf)
    return excluded.map { excluded in Array(popular.lazy.filter { !excluded.contains($0) }.prefix(Self.length)) }
  }

  func preferredLists(_ range: Range<Int>, _ score: any PreferenceScore) -> [[Int32]] {
    zip(examples[range], places[range]).map { example, place in
      let preference = catalogue.rewards.preference(
        history: example.history, leavingOut: own(example), at: place, score: score)
      return Evaluator.top(preference, count: Self.length, excluding: excluded(example)).map(\.leaf)
    }
  }

  private func bestReport(_ name: String, _ lists: [[Int32]], isReference: Bool = false) -> EvaluationReport {
    var report = EvaluationReport(
      name: name, isReference: isReference, lists: .topK,
      ranking: ranking(lists, cutoffs: RankingMetrics.standardCutoffs))
    report.targets = TargetRanks(lists: lists, targets: targets, users: examples.map(\.user))
    return report
  }

  /// The leaf that followed, of each example.
  private var targets: [Int32] { examples.map { catalogue.tree.leafOfItem[Int($0.item)] } }

  private func ranking(_ lists: [[Int32]], cutoffs: [Int]) -> RankingMetrics {
    RankingMetrics(lists: lists, targets: targets, titles: titles, groups: groups, cutoffs: cutoffs)
  }

  /// The exact item distribution: of the one prompt where there are no histories; else the mean over the examples'
  /// prompts against popularity, and the mean divergence of each prompt's distribution from its personal target.
  public static func audit(
    _ catalogue: Catalogue, _ language: LanguageModel, _ communicator: any Communicator, _ options: Options
  ) throws -> AuditReport {
    let evaluator = Evaluator(catalogue, language)
    if catalogue.dataset.isDistribution {
      return AuditReport(catalogue, policy: try evaluator.exact([catalogue.prompt(history: []).tokens])[0])
    }
    let run = try EvaluationRun(catalogue, language, communicator, options)
    if catalogue.rewards.isPersonal { try catalogue.score?.requireScores(of: options.split) }
    let leaves = catalogue.tree.leafCount
    let count = run.examples.count
    let width = leaves + PopularityGroups.standardCount + divergences.count
    let batch = batch(of: count)
    // One row for each batch: summed in one order, whichever rank computes it.
    let rows = try language.withConstantWeights {
      try communicator.spread(count: (count + batch - 1) / batch, batch: 1, width: width) { range in
        try run.auditSums(range.lowerBound * batch..<min(range.upperBound * batch, count))
      }
    }
    var mean = [Double](repeating: 0, count: width)
    for row in rows.chunks(of: width) {
      for (index, value) in row.enumerated() { mean[index] += value / Double(count) }
    }
    let policy = Array(mean[..<leaves])
    var groups = AuditReport.GroupMass(run.groups, policy: policy, target: catalogue.rewards.popularity)
    if catalogue.rewards.isPersonal { groups.personal = Array(mean[leaves..<width - divergences.count]) }
    return AuditReport(
      policy: policy, target: catalogue.rewards.popularity, titles: run.titles, counts: catalogue.rewards.counts,
      perPrompt: zip(divergences, mean[(width - divergences.count)...]).map { Metric($0, $1) }, groups: groups)
  }

  private static let divergences = ["kl", "reverse_kl", "js", "total_variation"]

  /// Sums over examples: the probability of each leaf, the share of each popularity group in each one's personal target,
  /// and the divergences from it.
  private func auditSums(_ range: Range<Int>) throws -> [Double] {
    var sums: [Double] = []
    for (logProbabilities, index) in zip(evaluator.exact(try prompts(range)), range) {
      let example = examples[index]
      let policy = logProbabilities.map { exp($0) }
      let target = catalogue.rewards.rewards(
        history: example.history, leavingOut: own(example), at: places[index]
      ).target
      let metrics = DistributionMetrics(policy: policy, target: target)
      let values =
        policy + groups.shares(of: target) + [metrics.kl, metrics.reverseKL, metrics.js, metrics.totalVariation]
      if sums.isEmpty { sums = [Double](repeating: 0, count: values.count) }
      for (index, value) in values.enumerated() { sums[index] += value }
    }
    return sums
  }
}

extension AuditReport {
  /// The exact distribution of the one prompt (log-probability by leaf) against the smoothed target.
  fileprivate init(_ catalogue: Catalogue, policy logProbabilities: [Double]) {
    let policy = logProbabilities.map { exp($0) }
    let target = catalogue.rewards.rewards(history: [], leavingOut: nil).target
    self.init(
      policy: policy, target: target, titles: catalogue.leafTitles, counts: catalogue.rewards.counts,
      groups: GroupMass(catalogue.groups, policy: policy, target: target))
  }
}

extension AuditReport.GroupMass {
  fileprivate init(_ groups: PopularityGroups, policy: [Double], target: [Double]) {
    self.init(
      policy: groups.shares(of: policy), target: groups.shares(of: target), training: groups.trainingShares)
  }
}
