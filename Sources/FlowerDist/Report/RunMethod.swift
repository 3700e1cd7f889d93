/// Runs that differ in nothing but their seed: one method of the report.
struct RunMethod {
  var name: String
  /// At least one.
  var runs: [RunRecord]

  /// The methods of runs, in the order of their first.
  static func methods(of runs: [RunRecord]) -> [RunMethod] {
    var methods: [RunMethod] = []
    for run in runs {
      let same = methods.firstIndex { method in
        guard let seed = run.seed, let course = run.course else { return false }
        return method.runs[0].course == course && !method.runs.contains { $0.seed == seed }
      }
      if let same { methods[same].runs.append(run) } else { methods.append(RunMethod(name: run.name, runs: [run])) }
    }
    // A sweep's runs end with their seed.
    let short = methods.map { method in
      method.runs[0].seed.map { method.name.removingSuffix("_seed=\($0)") } ?? method.name
    }
    for index in methods.indices where short.count(where: { $0 == short[index] }) == 1 {
      methods[index].name = short[index]
    }
    return methods
  }

  /// The words that the names of all methods begin with, up to a `-`, `_` or space; empty for one method.
  static func commonName(of methods: [RunMethod]) -> String {
    guard methods.count > 1, let first = methods.first?.name else { return "" }
    let common = methods.dropFirst().reduce(first[...]) { $0.commonPrefix(with: $1.name)[...] }
    // A name without its value says nothing.
    guard let end = common.prefix(while: { $0 != "=" }).lastIndex(where: { "-_ ".contains($0) }) else { return "" }
    let words = common[...end]
    return methods.allSatisfy { $0.name.count > words.count } ? String(words) : ""
  }

  var task: RunRecord.Task { runs[0].task }

  /// The run that stands for the method where only one can be shown.
  var first: RunRecord { runs[0] }

  /// The rows of one kind of lists: means over the runs, with the standard error over them if they are several.
  func rows(_ lists: EvaluationReport.Lists) -> [EvaluationReport] {
    let rows = runs.map { run in run.evaluation.filter { $0.lists == lists && !$0.isReference } }
    guard let first = rows.first(where: { !$0.isEmpty }) else { return [] }
    return first.indices.map { index in
      var row = Self.mean(rows.compactMap { $0.indices.contains(index) ? $0[index] : nil })
      row.name = first.count == 1 ? name : "\(name) · \(first[index].name)"
      return row
    }
  }

  /// The divergences of the audited runs, put together as `rows`.
  var audit: [Metric] {
    let rows = runs.compactMap(\.audit).map { $0.summary + $0.perPrompt }
    return Self.mean(of: rows)
  }

  private static func mean(_ rows: [EvaluationReport]) -> EvaluationReport {
    var mean = rows[0]
    guard rows.count > 1 else { return mean }
    mean.metrics = self.mean(of: rows.map(\.metrics))
    mean.targets = nil
    mean.groupShares = mean.groupShares.map { shares in
      let all = rows.compactMap { row in
        row.groupShares.first { $0.cutoff == shares.cutoff && $0.recommended.count == shares.recommended.count }
      }
      var average = shares
      average.recommended = shares.recommended.indices.map { group in
        all.reduce(0) { $0 + $1.recommended[group] } / Double(all.count)
      }
      return average
    }
    return mean
  }

  /// Metric by metric; those that every row has.
  private static func mean(of rows: [[Metric]]) -> [Metric] {
    guard rows.count > 1, let first = rows.first else { return rows.first ?? [] }
    return first.compactMap { metric in
      let values = rows.compactMap { row in row.first { $0.name == metric.name }?.value }
      guard values.count == rows.count else { return nil }
      let n = Double(values.count)
      let mean = values.reduce(0, +) / n
      let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      return Metric(metric.name, mean, standardError: (squares / (n * (n - 1))).squareRoot())
    }
  }
}

extension RunRecord {
  /// The recipe without name, place and seed, which runs of one method share.
  fileprivate var course: String? {
    recipe.map { recipe in
      recipe.split(whereSeparator: \.isNewline)
        .filter { line in !["name:", "runs:", Self.seedKey].contains { line.hasPrefix($0) } }.joined(separator: "\n")
    }
  }

  /// What the recipe says; `nil` where it does not.
  var seed: UInt64? {
    let line = recipe?.split(whereSeparator: \.isNewline).first { $0.hasPrefix(Self.seedKey) }
    return line.flatMap { UInt64($0.dropFirst(Self.seedKey.count)) }
  }

  /// As resolved recipes have it, in the section `training`.
  private static let seedKey = "  seed: "
}

extension String {
  fileprivate func removingSuffix(_ suffix: String) -> String {
    hasSuffix(suffix) && count > suffix.count ? String(dropLast(suffix.count)) : self
  }
}
