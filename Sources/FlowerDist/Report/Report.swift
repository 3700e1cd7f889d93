/// The comparison of one or several runs, as text, HTML and JSON of the same numbers.
public struct Report: Sendable {
  /// What validation said of all runs of a sweep.
  struct Sweep: Sendable {
    var name: String
    var table: ResultTable
  }

  public let runs: [RunRecord]
  let methods: [RunMethod]
  /// What the names of all methods began with; left out.
  let commonName: String
  let sweeps: [Sweep]

  /// Reads run directories, and of a sweep's directory the runs that have an evaluation or an audit; pieces that a run
  /// does not have are left out with a line saying so.
  ///
  /// - Throws: `FlowerError` for no run, a path that is no run directory, or a damaged file.
  public static func build(runs paths: [String]) throws -> Report {
    guard !paths.isEmpty else { throw FlowerError(.usage, "report: expected at least one run directory") }
    var sweeps: [Sweep] = []
    let paths = try paths.flatMap { path in
      guard let sweep = try Sweep(path) else { return [path] }
      sweeps.append(sweep)
      return sweep.measured(in: path)
    }
    var runs = try paths.map { try RunRecord(path: $0) }
    let names = runs.map(\.name)
    for index in runs.indices where names.filter({ $0 == names[index] }).count > 1 { runs[index].name = paths[index] }
    var methods = RunMethod.methods(of: runs)
    let common = RunMethod.commonName(of: methods)
    for index in methods.indices { methods[index].name.removeFirst(common.count) }
    return Report(runs: runs, methods: methods, commonName: common, sweeps: sweeps)
  }

  /// Rows of one kind of lists: the methods, then the references, each once.
  func rows(_ lists: EvaluationReport.Lists) -> [EvaluationReport] {
    let models = methods.flatMap { $0.rows(lists) }
    var references: [EvaluationReport] = []
    for run in runs {
      for var reference in run.evaluation.filter({ $0.lists == lists && $0.isReference })
      where !references.contains(where: { $0.metrics == reference.metrics }) {
        // The same line with other numbers: measured on other examples.
        if references.contains(where: { $0.name == reference.name }) { reference.name += " (\(run.name))" }
        references.append(reference)
      }
    }
    return models + references
  }

  /// Methods with an audited run, whatever else they have, and the audit of the first such run.
  var audits: [(method: RunMethod, audit: AuditReport)] {
    methods.compactMap { method in method.runs.lazy.compactMap(\.audit).first.map { (method, $0) } }
  }

  /// Whether a method has several runs, whose spread is then known.
  var hasSeeds: Bool { methods.contains { $0.runs.count > 1 } }

  /// What each method has over the first on the test split; empty if the evaluations do not tell, or are of different
  /// examples.
  var differences: [MethodComparison] {
    let known = methods.compactMap { method -> MethodComparison.Method? in
      let reports = method.runs.enumerated().compactMap { index, run in
        run.evaluation.first { !$0.isReference && $0.lists == .topK && $0.targets != nil }.map { report in
          (run.seed ?? UInt64(index), report)
        }
      }
      let data = method.runs.enumerated().compactMap { index, run in
        run.environment?["data_sha256"]?.string.map { (run.seed ?? UInt64(index), $0) }
      }
      return reports.isEmpty
        ? nil
        : .init(
          name: method.name, lists: .bySeed(Dictionary(reports) { first, _ in first }),
          data: Dictionary(data) { first, _ in first })
    }
    return known.dropFirst().compactMap { try? MethodComparison($0, known[0], .test) }
  }

  /// Colour and shape of a method: its place among those of its task, so that the first methods of all tasks look alike.
  func style(of method: RunMethod) -> Chart.Style {
    .method(methods.filter { $0.task == method.task }.firstIndex { $0.name == method.name } ?? 0)
  }
}

extension Report.Sweep {
  /// The rows in `results` of a sweep's directory; `nil` where there is no such directory.
  fileprivate init?(_ path: String) throws {
    guard Directory.isDirectory("\(path)/results"), !File.exists("\(path)/config.yaml") else { return nil }
    let rows = try ResultRow.rows(in: "\(path)/results")
    if rows.isEmpty { throw FlowerError(.data, "\(path)/results: expected rows of a sweep") }
    name = path.split(separator: "/").last.map(String.init) ?? path
    table = ResultTable(rows)
  }

  /// The directories of the runs that say more than that they were trained.
  fileprivate func measured(in path: String) -> [String] {
    table.groups.flatMap { $0.rows.map { "\(path)/\($0.run)" } }.filter { run in
      ["evaluation.json", "audit.json"].contains { File.exists("\(run)/\($0)") }
    }
  }
}

// MARK: - Terminal

extension Report {
  /// Writes `report.html` and `report.json` into the directory, which is made if there is none.
  public func write(to directory: String) throws {
    try Directory.create(directory)
    try AtomicFile.write(html, to: "\(directory)/report.html")
    try AtomicFile.write(json.serialized(pretty: true), to: "\(directory)/report.json")
  }

  /// The tables for the terminal, at most 80 columns.
  public var table: String {
    var blocks = sweeps.map { $0.table.text }
    for lists in EvaluationReport.Lists.allCases {
      let rows = rows(lists)
      guard !rows.isEmpty else { continue }
      blocks.append("Next items, \(lists.title) lists\n\n\(EvaluationReport.comparison(rows))")
    }
    if !audits.isEmpty {
      let names = audits[0].audit.summary.map(\.name)
      let rows = audits.map { entry in
        [entry.method.name] + names.map { name in entry.method.audit.first { $0.name == name }?.text ?? "–" }
      }
      let lines = TextTable(header: ["method"] + names.map(Metric.title), rows: rows).lines
      blocks.append("Fitted distribution, exact\n\n\(lines.joined(separator: "\n"))")
    }
    let differences = MethodComparison.table(differences)
    if !differences.isEmpty { blocks.append(differences) }
    let trained = runs.filter { !$0.steps.isEmpty }
    if !trained.isEmpty {
      let lines = TextTable(header: Self.costHeader, rows: trained.map(costs)).lines
      blocks.append("Training\n\n\(lines.joined(separator: "\n"))")
    }
    let notes = runs.flatMap { run in run.missing.map { "\(run.name): \($0)" } }
    if !notes.isEmpty { blocks.append(notes.map(TextTable.printable).joined(separator: "\n")) }
    return blocks.joined(separator: "\n\n") + "\n"
  }

  static let costHeader = ["run", "steps", "seconds", "tokens/s", "trajectories/s", "last loss"]

  /// What training took, by `costHeader`.
  func costs(of run: RunRecord) -> [String] {
    let perSecond = { (count: Int) in
      run.seconds > 0 && count > 0 ? NumberText.compact(Double(count) / run.seconds) : "–"
    }
    let smooth = Smoothing.windowMean(run.steps.map(\.loss))
    return [
      run.name, NumberText.grouped(Double(run.steps.last?.step ?? 0)), NumberText.fixed(run.seconds, decimals: 1),
      perSecond(run.tokens), perSecond(run.trajectories), smooth.last.map { NumberText.short($0) } ?? "–",
    ]
  }
}

// MARK: - JSON

extension Report {
  /// The numbers behind the page, for `report.json`.
  public var json: JSON {
    [
      "runs": .array(
        runs.map { run in
          var members: [JSON.Member] = [
            JSON.Member("name", JSON(run.name)),
            JSON.Member("path", JSON(run.path)),
            JSON.Member("steps", JSON(run.steps.last?.step ?? 0)),
            JSON.Member("seconds", JSON(run.seconds)),
            JSON.Member("tokens", JSON(run.tokens)),
            JSON.Member("trajectories", JSON(run.trajectories)),
            JSON.Member("smoothed_loss", JSON(Smoothing.windowMean(run.steps.map(\.loss)).last ?? .nan)),
            JSON.Member("evaluation", .array(run.evaluation.map(\.json))),
          ]
          if let audit = run.audit {
            members.append(JSON.Member("audit", .array((audit.summary + audit.perPrompt).map(\.json))))
          }
          members.append(JSON.Member("missing", .array(run.missing.map { JSON($0) })))
          return .object(members)
        })
    ]
  }
}
