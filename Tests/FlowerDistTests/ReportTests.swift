import Foundation
import FoundationXML
import Testing

@testable import FlowerDist

@Suite struct ReportTests {
  static let hostile = "<script>alert('1')</script> & \"more\" \u{1}"

  static let audit = AuditReport(
    policy: [0.5, 0.3, 0.2, 0], target: [4, 3, 2, 1], titles: [hostile, "b", "c", "d"], counts: [3, 2, 1, 0],
    perPrompt: [Metric("js", 0.1, standardError: 0.01)],
    groups: .init(policy: [0.8, 0.2], target: [0.7, 0.3], training: [0.6, 0.4], personal: [0.5, 0.5]))

  /// A temporary directory of runs, removed with the test.
  final class Runs {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("report-\(UUID().uuidString)")

    deinit { try? FileManager.default.removeItem(at: directory) }

    func write(_ run: String, _ files: [String: String]) throws -> String {
      let path = directory.appendingPathComponent(run)
      try FileManager.default.createDirectory(at: path, withIntermediateDirectories: true)
      for (name, text) in files {
        try text.write(to: path.appendingPathComponent(name), atomically: true, encoding: .utf8)
      }
      return path.path
    }
  }

  static func log(steps: Int, isFlow: Bool) -> String {
    (1...steps).map { step in
      let line = StepLine(
        step: step, loss: 10 / Double(step), sftLoss: isFlow ? nil : 10 / Double(step),
        flowLoss: isFlow ? 10 / Double(step) : nil, gradNorm: 1, learningRate: 1e-3, tokens: 100, trajectories: 8,
        seconds: Double(step) / 4)
      let validation = ValidationLine(step: step, metrics: [Metric("loss", 1 / Double(step))])
      return line.json.description + "\n" + (step.isMultiple(of: 10) ? validation.json.description + "\n" : "")
    }.joined()
  }

  static func row(_ name: String, hr: Double, dgu: Double, isReference: Bool = false) -> EvaluationReport {
    EvaluationReport(
      name: name, isReference: isReference, lists: .topK, examples: 1500,
      metrics: [Metric("hr@10", hr, standardError: 0.007), Metric("dgu@10", dgu)],
      groupShares: [.init(cutoff: 10, recommended: [0.7, 0.3], training: [0.5, 0.5])])
  }

  static func evaluation(_ row: EvaluationReport) -> String {
    JSON([row.json, Self.row("popularity", hr: 0.04, dgu: 0.8, isReference: true).json]).description
  }

  func twoRuns(_ runs: Runs) throws -> Report {
    let paths = [
      try runs.write(
        "sft<b>",
        [
          "config.yaml": "name: sft\nsteps: 60\n", "environment.json": #"{"cpu":"x","hosts":["a","b"]}"#,
          "metrics.jsonl": Self.log(steps: 60, isFlow: false),
          "evaluation.json": Self.evaluation(Self.row("sft", hr: 0.081, dgu: 0.683)),
        ]),
      try runs.write(
        "flower",
        [
          "config.yaml": "name: flower\nsteps: 60\n", "metrics.jsonl": Self.log(steps: 60, isFlow: true),
          "evaluation.json": Self.evaluation(Self.row("flower", hr: 0.108, dgu: 0.513)),
          "audit.json": Self.audit.json.description,
        ]),
    ]
    return try Report.build(runs: paths)
  }

  @Test func pageIsSelfContainedAndEscaped() throws {
    let html = try twoRuns(Runs()).html
    for forbidden in ["<script", "<b>sft", "sft<b>", "http:", "https:", "src=", "url(", "@import", "\u{1}"] {
      #expect(!html.contains(forbidden), "\(forbidden)")
    }
    #expect(html.contains("&lt;script&gt;alert(&#39;1&#39;)"))
    #expect(html.contains("<mark>name: flower</mark>") && !html.contains("<mark>steps: 60</mark>"))
    #expect(html.contains("<b>0.108</b>") && html.contains("<b>0.513</b>"))
  }

  @Test func chartsAreWellFormed() throws {
    let html = try twoRuns(Runs()).html
    let charts = html.matches(of: /<svg[\s\S]*?<\/svg>/).map { String($0.output) }
    // Trade-off, groups, fit, two losses, validation; besides the legends' keys.
    #expect(charts.count { $0.contains("role=") } == 6)
    for chart in charts {
      #expect(XMLParser(data: Data(chart.utf8)).parse())
      #expect(!chart.contains("nan") && !chart.contains("inf\""))
    }
    // HTML has void elements; without them the whole page is well-formed too.
    let body = html.replacing(/<!DOCTYPE html>|<meta[^>]*>/, with: "")
    #expect(XMLParser(data: Data(body.utf8)).parse())
  }

  @Test func runsThatDifferInTheirSeedAreOneMethod() throws {
    let runs = Runs()
    func run(_ name: String, seed: UInt64, theta: Double, ranks: [Int]) throws -> String {
      var recipe = Recipe()
      (recipe.name, recipe.data.generated, recipe.training.steps) = (name, 60, 20)
      (recipe.training.seed, recipe.objective.theta) = (seed, theta)
      let row = ResultRowTests.report("x", ranks, Double(seed) / 10)
      return try runs.write(
        name,
        [
          "config.yaml": recipe.yaml, "metrics.jsonl": Self.log(steps: 20, isFlow: true),
          "evaluation.json": JSON([row.json]).description,
        ])
    }
    let report = try Report.build(runs: [
      run("a_seed=1", seed: 1, theta: 0.5, ranks: [1, 0, 0, 0]),
      run("b_seed=1", seed: 1, theta: 0, ranks: [1, 1, 0, 0]),
      run("a_seed=2", seed: 2, theta: 0.5, ranks: [1, 1, 1, 1]),
      run("b_seed=2", seed: 2, theta: 0, ranks: [1, 1, 1, 0]),
      run("again", seed: 1, theta: 0.5, ranks: [0, 0, 0, 0]),
    ])
    #expect(report.methods.map(\.name) == ["a", "b", "again"])
    #expect(
      report.methods.map { $0.runs.map(\.name) } == [["a_seed=1", "a_seed=2"], ["b_seed=1", "b_seed=2"], ["again"]])
    let row = try #require(report.rows(.topK).first)
    #expect(row.name == "a" && row["hr@10"] == Metric("hr@10", 0.625, standardError: 0.375))
    let hits = try #require(report.differences.first?["hr@10"])
    #expect(hits.interval == PairedDifference([[0, 1, 0, 0], [0, 0, 0, -1]], users: [2, 2]).interval)
    #expect(report.table.contains("Difference from a"))
    #expect(report.html.contains("Flow residual, root mean square (nats)"))
    // A point for each run, the name of each method once.
    let chart = try #require(ReportFigures(report: report).tradeOff(.topK))
    #expect(chart.series.map(\.points.count) == [2, 2, 1])
    #expect(chart.series.map { $0.points.compactMap(\.label) } == [["a"], ["b"], ["again"]])
  }

  @Test func whatAllNamesBeginWithIsLeftOut() throws {
    func common(_ names: String...) throws -> String {
      let runs = Runs()
      return try Report.build(runs: names.map { try runs.write($0, ["config.yaml": "a: 1\n"]) }).commonName
    }
    #expect(try common("quick-next-sft", "quick-next-flower") == "quick-next-")
    #expect(try common("quick-sft", "quicker-flower") == "")
    #expect(try common("quick-sft") == "")
    #expect(try common("a-", "a-b") == "")
    #expect(try common("a-x=1_y=2", "a-x=1_y=3") == "a-")
    #expect(try common("movielens_name=sft_steps=1", "movielens_name=soft_steps=1") == "movielens_")
    #expect(try common("x=1", "x=2") == "")
  }

  @Test func aSweepIsShownWithAllItsSettings() throws {
    let runs = Runs()
    let rows = [
      ResultRowTests.row("flower", [("theta", "1")], ranks: [1, 0]),
      ResultRowTests.row("flower", [("theta", "2")], ranks: [1, 1], splits: [.valid, .test]),
    ]
    for row in rows { _ = try runs.write("s/results", ["\(row.run).json": row.json.description]) }
    let measured = rows[1][.test]?.rows ?? []
    let path = try runs.write("s/\(rows[1].run)", ["evaluation.json": JSON(measured.map(\.json)).description])
    let report = try Report.build(runs: [runs.directory.appendingPathComponent("s").path])
    #expect(report.runs.map(\.path) == [path])
    #expect(report.html.contains("Sweep s: Validation, top-K lists of 2 examples"))
    #expect(report.html.contains("theta=2 <small>selected</small>"))
    #expect(report.table.contains("→ theta=2"))
    #expect(flowerError { _ = try Report.build(runs: [runs.write("empty/results", [:]) + "/.."]) }?.kind == .data)
  }

  @Test func longNamesStayDifferent() {
    let names = ["quickstart-next-items-sft", "quickstart-next-items-flower", "x"]
    var table = TextTable(header: ["method", "n"], rows: names.map { [$0, "1"] })
    table.width = 20
    #expect(
      table.lines.dropFirst(2).map { $0.split(separator: " ")[0] } == ["quick…t-items-sft", "quick…tems-flower", "x"])
    table.rows.removeFirst()
    #expect(table.lines[2].hasPrefix("quickstart-next-…"))
  }

  @Test func tableFitsAndNamesWhatIsMissing() throws {
    let report = try twoRuns(Runs())
    #expect(report.table.split(separator: "\n").filter { !$0.contains("no environment") }.allSatisfy { $0.count <= 80 })
    #expect(report.table.contains("flower: no environment.json"))
    #expect(report.table.contains("0.108±0.007*"))
    // Both runs bring the same reference; it is shown once.
    #expect(report.rows(.topK).map(\.name) == ["sft<b>", "flower", "popularity"])
  }

  @Test func jsonHasTheNumbers() throws {
    let report = try twoRuns(Runs())
    let json = try JSON(parsing: report.json.serialized())
    let runs = try #require(json["runs"]?.array)
    #expect(runs.map { $0["name"]?.string } == ["sft<b>", "flower"])
    #expect(runs[0]["steps"]?.int == 60 && runs[0]["seconds"]?.double == 15 && runs[0]["tokens"]?.int == 6000)
    let rows = try EvaluationReport.rows(json: try #require(runs[1]["evaluation"]), file: "report.json")
    #expect(rows == report.runs[1].evaluation)
  }

  @Test func aRunWithOnlyItsRecipe() throws {
    let runs = Runs()
    let report = try Report.build(runs: [runs.write("new", ["config.yaml": "a: 1\n"])])
    #expect(report.table.contains("new: no metrics.jsonl"))
    #expect(report.html.contains("no evaluation.json and no audit.json"))
  }

  @Test func equalNamesBecomePaths() throws {
    let runs = Runs()
    let paths = [
      try runs.write("a/same", ["config.yaml": "x: 1\n"]), try runs.write("b/same", ["config.yaml": "x: 1\n"]),
    ]
    #expect(try Report.build(runs: paths).runs.map(\.name) == paths)
  }

  @Test func errorsNameFileAndLine() throws {
    let runs = Runs()
    func message(_ files: [String: String]) throws -> String {
      let path = try runs.write(UUID().uuidString, files)
      let error = #expect(throws: FlowerError.self) { try Report.build(runs: [path]) }
      return error?.description ?? ""
    }
    let lines = Self.log(steps: 2, isFlow: true)
    #expect(try message(["metrics.jsonl": lines + "{\"step\":x}\n"]).contains("metrics.jsonl:3:9"))
    #expect(try message(["metrics.jsonl": lines + "{\"step\":3}\n"]).contains("metrics.jsonl:3: 'loss' is missing"))
    #expect(try message(["metrics.jsonl": lines + lines]).contains("step 1 follows step 2"))
    #expect(
      try message(["audit.json": #"{"policy":[1],"target":[1,2],"titles":["a"],"counts":[1]}"#])
        .contains("'target': expected 1 entries"))
    #expect(
      try message(["audit.json": #"{"policy":[-1,2],"target":[1,2],"titles":["a","b"],"counts":[1,1]}"#])
        .contains("'policy': expected numbers that are not negative"))
    #expect(try message(["audit.json": #"{"policy":[],"target":[],"titles":[],"counts":[]}"#]).contains("not all zero"))
    #expect(try message([:]).contains("not a run directory"))
    #expect(throws: FlowerError.self) { try Report.build(runs: []) }
  }

  @Test func hugeNumbersDoNotTrap() throws {
    let lines = (1...3).map { step in
      StepLine(
        step: .max - 3 + step, loss: 1e308, gradNorm: 1e308, learningRate: 1e308, tokens: .max, trajectories: .max,
        seconds: 1e308
      ).json.description + "\n"
    }
    let row = EvaluationReport(
      name: "x", lists: .topK, examples: .max,
      metrics: ["hr@10", "dgu@10", "coverage@10", "kl"].map { Metric($0, 1e308, standardError: 1e308) })
    let runs = Runs()
    let report = try Report.build(runs: [
      runs.write("huge", ["metrics.jsonl": lines.joined(), "evaluation.json": JSON([row.json, row.json]).description])
    ])
    #expect(report.runs[0].tokens == .max)
    #expect(!report.html.isEmpty && !report.table.isEmpty && !report.json.serialized().isEmpty)
  }

  /// The recipe is read once, not once a step.
  @Test(.timeLimit(.minutes(1))) func aLongRunIsShown() throws {
    let runs = Runs()
    let path = try runs.write(
      "long", ["config.yaml": ResultRowTests.recipe().yaml, "metrics.jsonl": Self.log(steps: 50_000, isFlow: true)])
    #expect(try Report.build(runs: [path]).html.contains("Flow residual"))
  }

  /// Tables and charts have a place for each metric, group and row, so files cannot ask for any number of them.
  @Test(arguments: [
    ("metrics.jsonl", "{\"step\":1,\"validation\":{\((0..<65).map { "\"m\($0)\":1" }.joined(separator: ","))}}\n"),
    (
      "evaluation.json",
      JSON([EvaluationReport(name: "x", lists: .topK, examples: 1, metrics: (0..<65).map { Metric("m\($0)", 1) }).json])
        .description
    ),
    ("evaluation.json", JSON((0..<65).map { row("\($0)", hr: 1, dgu: 1).json }).description),
    (
      "evaluation.json",
      evaluation(row("x", hr: 1, dgu: 1)).replacing("0.7,0.3", with: "0.7" + String(repeating: ",0", count: 65))
        .replacing("0.5,0.5", with: "0.5" + String(repeating: ",0", count: 65))
    ),
  ])
  func anyNumberIsRefused(file: String, text: String) throws {
    let runs = Runs()
    let path = try runs.write("many", [file: text])
    let error = flowerError { _ = try Report.build(runs: [path]) }
    #expect(error?.description.contains("at most 64") == true, "\(error?.description ?? "accepted")")
  }

  @Test func aPipeIsNotWaitedFor() throws {
    let runs = Runs()
    let path = try runs.write("pipe", ["config.yaml": "x: 1\n"])
    mkfifo("\(path)/metrics.jsonl", 0o600)
    #expect(
      flowerError { _ = try Report.build(runs: [path]) }?.description.hasSuffix("metrics.jsonl: not a file") == true)
  }

  @Test func aLineStillBeingWrittenIsLeftOut() throws {
    let runs = Runs()
    let report = try Report.build(runs: [
      runs.write("live", ["metrics.jsonl": Self.log(steps: 3, isFlow: true) + #"{"step":4,"lo"#])
    ])
    #expect(report.runs[0].steps.count == 3)
    #expect(report.table.contains("ends inside a line"))
  }

  @Test func linesAndAuditsSurviveJSON() throws {
    var line = StepLine(
      step: 3, loss: 0.1, flowLoss: 0.2, gradNorm: 1e-30, learningRate: 1e-3, tokens: 5, trajectories: 0, seconds: 1.5)
    #expect(try StepLine(json: JSON(parsing: line.json.serialized()), place: "") == line)
    line.loss = .nan
    #expect(try StepLine(json: JSON(parsing: line.json.serialized()), place: "").loss.isNaN)
    let validation = ValidationLine(step: 9, metrics: [Metric("hr@10", 0.1), Metric("loss", 2)])
    #expect(try ValidationLine(json: JSON(parsing: validation.json.serialized()), place: "") == validation)
    let json = try JSON(parsing: Self.audit.json.serialized())
    #expect(json["kl"]?.isNull == true && json["total_variation"]?.double == Self.audit.metrics.totalVariation)
    let back = try AuditReport(json: json, file: "audit.json")
    #expect(back.titles == Self.audit.titles && back.perPrompt == Self.audit.perPrompt)
    #expect(back.groups == Self.audit.groups)
    #expect(back.table.contains("1 (most popular)") && back.table.split(separator: "\n").allSatisfy { $0.count <= 80 })
    #expect(zip(back.metrics.policy, Self.audit.metrics.policy).allSatisfy { abs($0 - $1) < 1e-15 })
  }
}
