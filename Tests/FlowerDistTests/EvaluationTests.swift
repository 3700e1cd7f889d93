import Foundation
import Testing

@testable import FlowerDist

@Suite struct PopularityGroupsTests {
  @Test func cutsByCountWithTiesInOrderOfAppearance() {
    // 7 seen leaves in 3 groups: sizes 3, 2, 2. Leaves 1, 3 and 5 tie at 2 and appear in the order 5, 1, 3.
    let groups = PopularityGroups(counts: [9, 2, 0, 2, 4, 2, 1, 1], firstAppearance: [6, 5, 0, 1, 4, 3, 7], groups: 3)
    // Order: 0 (9), 4 (4), 5 | 1, 3 | 6, 7; leaf 2 is unseen.
    #expect(groups.groupOfLeaf == [0, 1, 2, 1, 0, 0, 2, 2])
    let shares = [15.0, 4, 2].map { $0 / 21 }
    #expect(groups.trainingShares == shares)
  }

  @Test func fewerLeavesThanGroups() {
    let groups = PopularityGroups(counts: [1, 5, 0], firstAppearance: [Int32](arrayLiteral: 0, 1))
    #expect(groups.count == 8)
    #expect(groups.groupOfLeaf == [1, 0, 7])
    let shares = [5.0, 1, 0, 0, 0, 0, 0, 0].map { $0 / 6 }
    #expect(groups.trainingShares == shares)
  }

  @Test func nothingSeenAndNonsenseInTheOrder() {
    let groups = PopularityGroups(counts: [0, 0], firstAppearance: [-4, 9, 1, 1])
    #expect(groups.groupOfLeaf == [7, 7])
    #expect(groups.trainingShares == Array(repeating: 0, count: 8))
    #expect(PopularityGroups(counts: [], firstAppearance: [Int]()).groupOfLeaf.isEmpty)
  }
}

@Suite struct RankingMetricsTests {
  static let titles = ["red fox", "red  hen", "fox", "", "blue\u{A0}cat", "dog"]
  static let counts: [Double] = [8, 4, 2, 1, 1, 0]
  static let groups = PopularityGroups(counts: counts, firstAppearance: 0..<6, groups: 3)

  @Test func accuracyByHand() throws {
    // Ranks of the targets: 1, 3, missing, missing (its list is short).
    let metrics = RankingMetrics(
      lists: [[0, 1, 2], [1, 0, 2], [0, 1, 3], [4]], targets: [0, 2, 5, 0], titles: Self.titles, groups: Self.groups,
      cutoffs: [1, 3])
    let (first, third) = (metrics.atCutoffs[0], metrics.atCutoffs[1])
    #expect(first.hitRate.value == 0.25 && first.ndcg.value == 0.25)
    #expect(third.hitRate.value == 0.5)
    #expect(third.ndcg.value == (1 + 0.5) / 4)
    // Values 1, 1, 0, 0: squared deviations sum to 1. Values 1, 0.5, 0, 0 around 0.375.
    #expect(abs(third.hitRate.standardError - (1.0 / 12).squareRoot()) < 1e-15)
    let squares = 0.625 * 0.625 + 0.125 * 0.125 + 2 * 0.375 * 0.375
    #expect(abs(third.ndcg.standardError - (squares / 12).squareRoot()) < 1e-15)
  }

  @Test func fairnessAndDiversityByHand() {
    let metrics = RankingMetrics(
      lists: [[0, 2], [0, 4]], targets: [1, 1], titles: Self.titles, groups: Self.groups, cutoffs: [2])
    let at = metrics.atCutoffs[0]
    // Groups: {0, 1}, {2, 3}, {4, 5}; histories 12/16, 3/16, 1/16; lists 2/4, 1/4, 1/4.
    #expect(at.groupShares == [0.5, 0.25, 0.25])
    #expect(at.dgu == 0.1875 + 0.25)
    #expect(abs(at.mgu - 0.5 / 3) < 1e-15)
    // Words: red 2, fox 3, blue 1, cat 1 of 7.
    let entropy = [2.0 / 7, 3.0 / 7, 1.0 / 7, 1.0 / 7].reduce(0.0) { $0 - $1 * log2($1) }
    #expect(abs(at.wordEntropy - entropy) < 1e-14)
    #expect(at.typeTokenRatio == 4.0 / 7)
    #expect(at.coverage == 3)
  }

  @Test func giniIsHalfTheRelativeMeanDifference() {
    let counts = [3, 0, 0, 7, 1]
    let differences = counts.flatMap { a in counts.map { abs(Double(a - $0)) } }.reduce(0, +)
    let mean = Double(counts.reduce(0, +)) / 5
    #expect(abs(RankingMetrics.gini(counts) - differences / (2 * 25 * mean)) < 1e-15)
    #expect(RankingMetrics.gini([4, 4, 4]) == 0)
    #expect(RankingMetrics.gini([0, 0, 0, 5]) == 0.75)
    #expect(RankingMetrics.gini([0, 0]) == 0 && RankingMetrics.gini([]) == 0)
  }

  @Test func againstBruteForceWithRepeatsAndInvalidEntries() {
    var state: UInt64 = 7
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    let lists = (0..<200).map { _ in (0..<next(13)).map { _ in Int32(next(8) - 1) } }
    let targets = lists.map { _ in Int32(next(7)) }
    let metrics = RankingMetrics(lists: lists, targets: targets, titles: Self.titles, groups: Self.groups)
    for at in metrics.atCutoffs {
      let gains = zip(lists, targets).map { list, target -> Double in
        guard target < 6, let rank = list.prefix(at.cutoff).firstIndex(of: target) else { return 0 }
        return 1 / (log(Double(rank) + 2) / log(2))
      }
      let mean = gains.reduce(0, +) / 200
      let variance = gains.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 199
      #expect(abs(at.ndcg.value - mean) < 1e-13)
      #expect(abs(at.ndcg.standardError - (variance / 200).squareRoot()) < 1e-13)
      #expect(abs(at.hitRate.value - Double(gains.count { $0 > 0 }) / 200) < 1e-13)
      let flat: [Int32] = lists.flatMap { $0.prefix(at.cutoff) }.filter { (0..<6).contains($0) }
      #expect(at.coverage == Set(flat).count)
      let shares = (0..<3).map { group in
        Double(flat.count { Self.groups.groupOfLeaf[Int($0)] == group }) / Double(flat.count)
      }
      for (share, expected) in zip(at.groupShares, shares) { #expect(abs(share - expected) < 1e-14) }
    }
    #expect(metrics.invalid == lists.flatMap { $0 }.count { !(0..<6).contains($0) })
  }

  @Test func noExamples() {
    let metrics = RankingMetrics(lists: [], targets: [], titles: Self.titles, groups: Self.groups)
    #expect(metrics.atCutoffs.allSatisfy { $0.hitRate.value == 0 && $0.wordEntropy == 0 && $0.gini == 0 })
  }
}

@Suite struct DistributionMetricsTests {
  @Test func byHand() {
    let metrics = DistributionMetrics(policy: [0.5, 0.5, 0], target: [2, 1, 1])
    #expect(metrics.kl == .infinity)
    #expect(abs(metrics.reverseKL - 0.5 * log(2)) < 1e-15)
    #expect(metrics.totalVariation == 0.25)
    #expect(abs(metrics.effectiveItems - 2) < 1e-14)
    #expect(abs(metrics.targetEntropy - 1.5 * log(2)) < 1e-15)
    // The middle is 0.5, 0.375, 0.125.
    let fromPolicy: Double = 0.5 * log(0.5 / 0.375)
    let fromTarget: Double = 0.25 * log(0.25 / 0.375) + 0.25 * log(2)
    let js = (fromPolicy + fromTarget) / 2
    #expect(abs(metrics.js - js) < 1e-15)
    #expect(metrics.overserved(limit: 3).map(\.leaf) == [1])
    #expect(metrics.underserved(limit: 3).map(\.leaf) == [2])
  }

  @Test func equalAndDisjoint() {
    let equal = DistributionMetrics(policy: [0.1, 0.2, 0.7], target: [1, 2, 7])
    #expect(equal.kl < 1e-15 && equal.js < 1e-15 && equal.totalVariation < 1e-15 && equal.kl >= 0)
    let disjoint = DistributionMetrics(policy: [1, 0], target: [0, 1])
    #expect(disjoint.totalVariation == 1 && abs(disjoint.js - log(2)) < 1e-15)
    #expect(disjoint.kl == .infinity && disjoint.reverseKL == .infinity && disjoint.effectiveItems == 1)
  }
}

@Suite struct EvaluationReportTests {
  static let report = EvaluationReport(
    name: "flower", lists: .topK,
    ranking: RankingMetrics(
      lists: [[0, 1, 2], [1, 0, 2]], targets: [0, 2], titles: RankingMetricsTests.titles,
      groups: RankingMetricsTests.groups))

  @Test func survivesJSON() throws {
    var report = Self.report
    report.metrics.append(Metric("kl", .infinity))
    let file = "evaluation.json"
    let text = JSON([report.json]).serialized(pretty: true)
    #expect(try EvaluationReport.rows(json: JSON(parsing: text, file: file), file: file) == [report])
    #expect(report["ndcg@3"]?.value == 0.75)
    #expect(report["dgu@3"] == nil)
  }

  @Test(arguments: [
    (#"{}"#, "expected an array of evaluation rows, found an object"),
    (#"[7]"#, "row 1: expected an object, found a number"),
    (#"[{"name":"a"}]"#, "row 1: 'lists' is missing"),
    (#"[{"name":"a","lists":"top-k","examples":-1,"metrics":[]}]"#, "'examples': expected a whole number, 0 or more"),
    (#"[{"name":"a","lists":"best","examples":1,"metrics":[]}]"#, "'lists': expected 'top-k' or 'sampled'"),
    (#"[{"name":"a","lists":"top-k","examples":1,"metrics":[{"name":"hr@5"}]}]"#, "metric 1: 'value' is missing"),
  ])
  func saysWhatIsWrong(text: String, message: String) throws {
    let json = try JSON(parsing: Array(text.utf8))
    let error = #expect(throws: FlowerError.self) { try EvaluationReport.rows(json: json, file: "e.json") }
    #expect(error?.kind == .data)
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    #expect(error?.description.hasPrefix("e.json: ") == true)
  }

  @Test func tablesFitTheTerminal() {
    var long = Self.report
    long.name = "a method with an unreasonably long name that goes on \u{1B}[31m and on"
    let tables = [long.table, EvaluationReport.comparison([long, Self.report])]
    for line in tables.flatMap({ $0.split(separator: "\n") }) {
      #expect(line.count <= 80, "\(line)")
      #expect(!line.contains("\u{1B}"))
    }
  }

  @Test func kindsOfListsAreToldApart() throws {
    let rows = EvaluationReport.Lists.allCases.map { lists in
      let value = lists == .topK ? 0.25 : 0.5
      return EvaluationReport(name: "run", lists: lists, examples: 7, metrics: [Metric("hr@10", value)])
    }
    let text = EvaluationReport.comparisons(rows)
    let sampled = try #require(text.range(of: "sampled lists of 7 examples"))
    let (first, second) = (text[..<sampled.lowerBound], text[sampled.lowerBound...])
    #expect(first.hasPrefix("top-K lists of 7 examples") && first.contains("0.250") && !first.contains("0.500"))
    #expect(second.contains("0.500") && !second.contains("0.250"))
    #expect(!text.contains("*"), "kinds of lists are not compared")
  }

  @Test func bestIsOfTrainedModelsAndByDirection() {
    let rows = [
      EvaluationReport(name: "a", lists: .topK, examples: 9, metrics: [Metric("hr@10", 0.2), Metric("dgu@10", 0.6)]),
      EvaluationReport(name: "b", lists: .topK, examples: 9, metrics: [Metric("hr@10", 0.1), Metric("dgu@10", 0.5)]),
      EvaluationReport(
        name: "c", isReference: true, lists: .topK, examples: 9,
        metrics: [Metric("hr@10", 0.9), Metric("dgu@10", 0.01)]),
    ]
    #expect(EvaluationReport.bestValue(of: "hr@10", in: rows) == "0.200")
    #expect(EvaluationReport.bestValue(of: "dgu@10", in: rows) == "0.500")
    #expect(EvaluationReport.bestValue(of: "hr@10", in: [rows[0], rows[2]]) == nil)
  }

  @Test func decodingSaysWhatCountsForItsLists() {
    #expect(Decoding().description(of: .topK).isEmpty && Decoding().description(of: .sampled).isEmpty)
    let decoding = Decoding(score: .published, lengthPenalty: 1, guidance: 0.5, temperature: 2)
    #expect(decoding.description(of: .topK) == "score published, length penalty 1.0, guidance 0.5")
    #expect(decoding.description(of: .sampled) == "temperature 2.0")
  }
}
