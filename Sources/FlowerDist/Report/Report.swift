/// The comparison of one or several runs, as text, HTML and JSON of the same numbers.
public struct Report: Sendable {
  public let runs: [RunRecord]

  /// Reads run directories; pieces that a run does not have are left out with a line saying so.
  ///
  /// - Throws: `FlowerError` for no run, a path that is no run directory, or a damaged file.
  public static func build(runs paths: [String]) throws -> Report {
    guard !paths.isEmpty else { throw FlowerError(.usage, "report: expected at least one run directory") }
    var runs = try paths.map { try RunRecord(path: $0) }
    let names = runs.map(\.name)
    for index in runs.indices where names.filter({ $0 == names[index] }).count > 1 { runs[index].name = paths[index] }
    return Report(runs: runs)
  }

  /// The runs of one task, in the order given.
  func runs(of task: RunRecord.Task) -> [RunRecord] { runs.filter { $0.task == task } }

  /// Rows of one kind of lists: the models by their run's name, then the references, each once.
  func rows(_ lists: EvaluationReport.Lists) -> [EvaluationReport] {
    var models: [EvaluationReport] = []
    var references: [EvaluationReport] = []
    for run in runs {
      let rows = run.evaluation.filter { $0.lists == lists }
      let own = rows.filter { !$0.isReference }
      models += own.map { row in
        var row = row
        row.name = own.count == 1 ? run.name : "\(run.name) · \(row.name)"
        return row
      }
      for var reference in rows.filter(\.isReference) where !references.contains(reference) {
        // The same line with other numbers: measured on other examples.
        if references.contains(where: { $0.name == reference.name }) { reference.name += " (\(run.name))" }
        references.append(reference)
      }
    }
    return models + references
  }

  /// Audited runs, whatever else they have.
  var audits: [(run: RunRecord, audit: AuditReport)] {
    runs.compactMap { run in run.audit.map { (run, $0) } }
  }

  /// Colour and shape of a run: its place among the runs of its task, so that the first methods of all tasks look
  /// alike.
  func style(of run: RunRecord) -> Chart.Style {
    .method(runs(of: run.task).firstIndex { $0.path == run.path } ?? 0)
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
    var blocks: [String] = []
    for lists in EvaluationReport.Lists.allCases {
      let rows = rows(lists)
      guard !rows.isEmpty else { continue }
      blocks.append("Next items, \(lists.title) lists\n\n\(EvaluationReport.comparison(rows))")
    }
    if !audits.isEmpty {
      let names = audits[0].audit.summary.map(\.name)
      let rows = audits.map { entry in [entry.run.name] + entry.audit.summary.map(\.text) }
      let lines = TextTable(header: ["method"] + names.map(Metric.title), rows: rows).lines
      blocks.append("Fitted distribution, exact\n\n\(lines.joined(separator: "\n"))")
    }
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
