import Foundation
import Testing

@testable import FlowerDist

@Suite struct ResultRowTests {
  static func recipe(_ set: (inout Recipe) -> Void = { _ in }) -> Recipe {
    var recipe = Recipe()
    recipe.name = "run"
    recipe.data.path = "data"
    recipe.training.steps = 10
    set(&recipe)
    return recipe
  }

  /// A row of a method whose list has the target at these ranks, two examples per user.
  static func row(
    _ recipe: String, _ values: [(String, String)] = [], seed: UInt64 = 1, ranks: [Int], dgu: Double = 0.5,
    splits: [Dataset.Split] = [.valid], popular: [Int]? = nil
  ) -> ResultRow {
    let setting = ResultRow.Setting(recipe: recipe, values: values.map { ResultRow.Value(key: $0.0, value: $0.1) })
    var row = ResultRow(
      run: "\(setting.text) \(seed)", setting: setting, recipe: Self.recipe { $0.training.seed = seed })
    row.seconds = 10 * Double(seed)
    row.evaluations = splits.map { split in
      ResultRow.Evaluation(
        split: split,
        rows: [report("x", ranks, dgu)] + (popular.map { [report("popularity", $0, 0.9, isReference: true)] } ?? []))
    }
    return row
  }

  static func report(_ name: String, _ ranks: [Int], _ dgu: Double, isReference: Bool = false) -> EvaluationReport {
    let targets = TargetRanks(ranks: ranks, users: Array(repeating: 2, count: ranks.count / 2))
    let metrics = ["ndcg@10", "hr@10"].map { name in
      Metric(name, (targets.gains(name) ?? []).reduce(0, +) / Double(ranks.count))
    }
    var report = EvaluationReport(
      name: name, isReference: isReference, lists: .topK, examples: ranks.count,
      metrics: metrics + [Metric("dgu@10", dgu)])
    report.targets = targets
    return report
  }

  @Test func ranksAreSortedByUser() throws {
    let lists: [[Int32]] = [[5, 6, 7], [7], [1, 2, 3], [], [9, 7, 7]]
    let targets = TargetRanks(lists: lists, targets: [7, 7, 9, 4, 7], users: [2, 1, nil, nil, 2])
    #expect(targets.ranks == [1, 3, 2, 0, 0])
    #expect(targets.users == [1, 2, 1, 1])
    #expect(targets.gains("hr@2") == [1, 0, 1, 0, 0])
    #expect(targets.gains("ndcg@3") == [1, 0.5, 1 / log2(3), 0, 0])
    #expect(targets.gains("dgu@10") == nil && targets.gains("hr@0") == nil && targets.gains("hr") == nil)
    let long = TargetRanks(lists: [(0..<40).map { Int32($0) }], targets: [34], users: [nil])
    #expect(long.ranks == [35] && long.json["ranks"]?.string == "z")
    #expect(try TargetRanks(json: long.json, place: "") == long)
  }

  @Test func survivesJSON() throws {
    var row = Self.row(
      "flower", [("theta", "0.5"), ("path", "a \"b\"")], seed: .max, ranks: [1, 0, 20, 3], popular: [0, 0, 1, 0])
    row.environment = ["cpu": "x", "ranks": 2]
    row.dataDigest = "ab"
    row.checkpoint = "step-00000010"
    let back = try ResultRow(json: JSON(parsing: row.json.serialized()), file: "row.json")
    #expect(back == row)
    #expect(back.seed == .max && back[.valid]?.rows == row[.valid]?.rows && back.setting == row.setting)
    row.status = .diverged
    row.message = "step 3"
    row.evaluations = []
    row.audit = [Metric("kl", .infinity)]
    #expect(try ResultRow(json: JSON(parsing: row.json.serialized()), file: "row.json") == row)
  }

  @Test(arguments: [
    ("\"format_version\":1", "\"format_version\":2", "'format_version': expected 1, found 2"),
    ("\"status\":\"finished\"", "\"status\":\"lost\"", "expected finished or diverged"),
    ("\"seed\":1,", "\"seed\":-1,", "'seed': expected a whole number"),
    ("\"run\":\"flower", "\"run\":\"../flower", "'run': expected the name of a directory beside the rows"),
    ("\"run\":\"flower", "\"run\":\"/flower", "'run': expected the name of a directory beside the rows"),
    ("\"run\":\"flower", "\"run\":\"a/../flower", "'run': expected the name of a directory beside the rows"),
    ("\"run\":\"flower", "\"run\":\"\\u0000flower", "'run': expected the name of a directory beside the rows"),
    ("\"name\":\"hr@10\"", "\"name\":\"ndcg@10\"", "row 1: metric 2: \"ndcg@10\" is there already"),
    ("\"ranks\":\"1030\"", "\"ranks\":\"10-0\"", "row.json: evaluation of valid: row 1: targets: 'ranks'"),
    ("\"users\":[2,2]", "\"users\":[2,1]", "expected sizes that add up to the 4 examples"),
    ("\"users\":[2,2]", "\"users\":[9223372036854775807,2]", "expected sizes that add up to the 4 examples"),
    ("\"users\":[2,2]", "\"users\":[0,4]", "expected an array of whole numbers, 1 or more"),
    ("\"examples\":4", "\"examples\":3", "targets: expected 3 examples, found 4"),
    ("\"valid\":", "\"both\":", "expected train, valid or test, found \"both\""),
    ("\"theta\":\"1\"", "\"theta\":1", "'setting': \"theta\": expected a string"),
  ])
  func refusesWhatIsNoRow(old: String, new: String, expected: String) throws {
    let text = Self.row("flower", [("theta", "1")], ranks: [1, 0, 3, 0]).json.description
    #expect(text.contains(old))
    let error = flowerError {
      _ = try ResultRow(json: JSON(parsing: Array(text.replacing(old, with: new).utf8)), file: "row.json")
    }
    #expect(
      error?.kind == .data && error?.description.contains(expected) == true, "\(error?.description ?? "no error")")
  }

  @Test func knowsItsRecipe() {
    let setting = ResultRow.Setting(recipe: "r", values: [])
    let row = ResultRow(run: "r", setting: setting, recipe: Self.recipe())
    #expect(row.recipe.map(\.key) == ["data.path", "training.steps"])
    #expect(
      row.differences(
        from: Self.recipe {
          $0.runs = "elsewhere"
          $0.checkpoint.every = 7
        }) == [])
    #expect(row.differences(from: Self.recipe { $0.training.steps = 11 }) == ["training.steps 10"])
    #expect(row.differences(from: Self.recipe { $0.objective.theta = 0.5 }) == ["objective.theta by default"])
    let shorter = Self.recipe { $0.evaluation.examples = 5 }
    #expect(row.differences(from: shorter) == [] && !row.isMeasured(as: shorter) && row.isMeasured(as: Self.recipe()))
  }

  // MARK: Tables

  @Test func meansOverSeedsAndTheSelectedSetting() throws {
    let rows = [
      Self.row("sft", ranks: [0, 2, 0, 0]), Self.row("sft", seed: 2, ranks: [0, 0, 0, 0]),
      Self.row("flower", [("theta", "0")], ranks: [1, 0, 0, 0]),
      Self.row("flower", [("theta", "0.5")], ranks: [1, 1, 0, 0]),
      Self.row("flower", [("theta", "0.5")], seed: 2, ranks: [1, 0, 0, 0], popular: [0, 0, 0, 1]),
    ]
    let table = ResultTable(rows)
    #expect(table.groups.map(\.name) == ["sft", "flower theta=0", "flower theta=0.5"])
    #expect(table.groups[2].mean("hr@10", .valid) == MeanInterval([0.5, 0.25]))
    #expect(table.groups[2].mean("hr@10", .test) == nil)
    #expect(table.selected.map(\.text).sorted() == ["flower theta=0.5", "sft"])
    #expect(table.text.contains("→ flower theta=0.5") && !table.text.contains("→ flower theta=0 "))
    #expect(table.text.split(separator: "\n").allSatisfy { $0.count <= 110 })
    #expect(table.markdown().contains("| flower theta=0.5 (selected) | **0.375 ± 1.588**"))
    #expect(table.markdown().contains("| popularity | 0.250 |"))
    #expect(ResultTable(Array(rows[2...]), select: "dgu@10").groups.map(\.name) == ["theta=0", "theta=0.5"])
  }

  @Test func divergedRunsAreShownAndNotSelected() {
    var lost = Self.row("flower", [("theta", "1")], seed: 2, ranks: [])
    lost.status = .diverged
    lost.message = "step 3: the loss is not finite"
    lost.evaluations = []
    let rows = [
      Self.row("flower", [("theta", "1")], ranks: [1, 1]), Self.row("flower", [("theta", "2")], ranks: [0, 1]),
    ]
    let table = ResultTable(rows + [lost])
    #expect(table.selected.map(\.valueText) == ["theta=2"])
    #expect(table.text.contains("1 + 1 diverged") && table.text.contains("2 diverged: step 3"))
  }

  @Test func comparesWithEveryone() throws {
    let rows = [
      Self.row("sft", ranks: [0, 2, 0, 0], dgu: 0.5, popular: [0, 0, 0, 1]),
      Self.row("sft", seed: 2, ranks: [0, 0, 0, 0], dgu: 0.6, popular: [0, 0, 0, 1]),
      Self.row("flower", seed: 2, ranks: [1, 0, 0, 0], dgu: 0.4, popular: [0, 0, 0, 1]),
      Self.row("flower", ranks: [1, 1, 0, 0], dgu: 0.2, popular: [0, 0, 0, 1]),
      Self.row("flower", seed: 3, ranks: [1, 1, 1, 1], dgu: 0, popular: [0, 0, 0, 1]),
    ]
    let table = ResultTable(rows)
    let comparison = try table.comparison("flower", "sft")
    #expect(comparison.seeds == 2 && comparison.split == .valid)
    let hits = try #require(comparison.differences.first { $0.metric == "hr@10" })
    let expected = PairedDifference([[1, 0, 0, 0], [1, 0, 0, 0]], users: [2, 2])
    #expect(hits.interval == expected.interval && hits.users == 2)
    let fairness = try #require(comparison.differences.first { $0.metric == "dgu@10" })
    #expect(abs(fairness.interval.mean + 0.25) < 1e-12 && fairness.users == nil)
    #expect(comparison.text.contains("2 users × 2 seeds"))
    #expect(try table.comparison("flower", "popularity").seeds == 3)
    #expect(try table.comparison("popularity", "sft").differences[1].interval.mean == 0.125)
    #expect(MethodComparison.table(table.differencesFromFirst).contains("flower"))
    #expect(
      flowerError { _ = try table.comparison("flowr", "sft") }?.description
        == #""flowr": expected the name of a method in the table; did you mean "flower"?"#)
    let other = ResultTable(rows + [Self.row("tb", ranks: [1, 0])])
    #expect(flowerError { _ = try other.comparison("tb", "sft") }?.description.contains("same examples") == true)
    var elsewhere = Self.row("tb", ranks: [0, 2, 0, 0])
    var here = rows[0]
    (here.dataDigest, elsewhere.dataDigest) = ("a", "b")
    let mixed = ResultTable([here, elsewhere])
    #expect(flowerError { _ = try mixed.comparison("tb", "sft") }?.description.contains("the same data") == true)
  }

  @Test func namesCannotBreakATable() {
    let table = ResultTable([Self.row("a|b\n*c*", ranks: [1, 0])])
    #expect(table.markdown().contains(#"| a\|b�\*c\* |"#))
  }

  @Test func pagesFollowTheDirectories() throws {
    let scratch = try ScratchDirectory()
    #expect(flowerError { _ = try ResultPage(scratch.path) }?.kind == .data)
    try scratch.write(Self.row("sft", ranks: [1, 0]).json.description, "ml/a.json")
    try scratch.write(Self.row("flower", ranks: [1, 1]).json.description, "ml/b.json")
    try scratch.write(Self.row("sft", ranks: [0, 0]).json.description, "games/deep/a.json")
    let page = try ResultPage(scratch.path)
    #expect(page.sections.map(\.name) == ["games/deep", "ml"])
    #expect(
      page.markdown.contains("## ml\n\n### Validation, top-K lists of 2 examples\n\n|  | NDCG@10 |")
        || page.markdown.contains("HR@10"))
    #expect(try ResultPage(scratch.path, compare: ["flower", "sft"]).sections.map(\.name) == ["ml"])
    try scratch.write("{}", "ml/c.json")
    #expect(flowerError { _ = try ResultPage(scratch.path) }?.description.contains("ml/c.json") == true)
  }
}
