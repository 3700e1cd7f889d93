/// The report as one self-contained HTML page: inline style and SVG, no script.
struct ReportPage {
  private let report: Report
  private let figures: ReportFigures

  init(_ report: Report) {
    self.report = report
    figures = ReportFigures(report: report)
  }

  var html: String {
    let sections = [
      header, tiles, nextItems, distribution, training, recipes, footer,
    ].filter { !$0.isEmpty }
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width,initial-scale=1">
      <title>\(HTML.escape(headline)) · FlowerDist</title>
      <style>
      \(ReportStyle.css)
      </style>
      </head>
      <body>
      <main>
      \(sections.joined(separator: "\n"))
      </main>
      </body>
      </html>

      """
  }

  // MARK: Head

  private var headline: String {
    let names = report.runs.map(\.name)
    switch names.count {
    case 1: return names[0]
    case 2...5: return names.dropLast().joined(separator: ", ") + " and " + names[names.count - 1]
    default: return names.prefix(4).joined(separator: ", ") + " and \(names.count - 4) more"
    }
  }

  private var header: String {
    var facts = ["\(report.runs.count) \(report.runs.count == 1 ? "run" : "runs")"]
    if let examples = report.rows(.topK).first?.examples {
      facts.append("\(NumberText.grouped(Double(examples))) test examples")
    }
    if let items = report.audits.first?.audit.titles.count {
      facts.append("distribution of \(NumberText.grouped(Double(items))) items")
    }
    let seconds = report.runs.reduce(0) { $0 + $1.seconds }
    if seconds > 0 { facts.append("\(NumberText.duration(seconds)) of training") }
    return """
      <header>
      <p class="brand">FlowerDist report</p>
      <h1>\(HTML.escape(headline))</h1>
      <p class="lead">\(HTML.escape(facts.joined(separator: " · ")))</p>
      </header>
      """
  }

  /// The best of each main number, with the others beside it.
  private var tiles: String {
    var tiles: [String] = []
    for name in ["hr@10", "dgu@10", "coverage@10"] {
      let rows = report.rows(.topK).filter { !$0.isReference }
      let styles = figures.styles(of: rows)
      let entries = zip(rows, styles).compactMap { row, style in row[name].map { (row.name, $0, style) } }
      if let tile = tile(entries) { tiles.append(tile) }
    }
    let fits = report.audits.compactMap { entry in
      entry.audit.summary.first { $0.name == "total_variation" }.map {
        (entry.run.name, $0, report.style(of: entry.run))
      }
    }
    if let tile = tile(fits) { tiles.append(tile) }
    return tiles.isEmpty ? "" : "<div class=\"tiles\">\n\(tiles.joined(separator: "\n"))\n</div>"
  }

  private func tile(_ entries: [(name: String, metric: Metric, style: Chart.Style)]) -> String? {
    let better = entries.first?.metric.better
    let sorted = entries.sorted {
      better == .higher ? $0.metric.value > $1.metric.value : $0.metric.value < $1.metric.value
    }
    guard let best = sorted.first else { return nil }
    let others = sorted.dropFirst().prefix(3).map { "\($0.name) \($0.metric.text)" }.joined(separator: " · ")
    let versus = others.isEmpty ? "" : "<div class=\"what\">\(HTML.escape(others))</div>"
    return """
      <div class="tile"><div class="what">\(HTML.escape(Metric.title(best.metric.name)))\
      \(better == .lower ? ", lower is better" : "")</div><div class="value">\(best.metric.text)</div>\
      <div class="who">\(ChartSVG.key(best.style))<b>\(HTML.escape(best.name))</b></div>\(versus)</div>
      """
  }

  // MARK: Sections

  private var nextItems: String {
    var parts: [String] = []
    for lists in EvaluationReport.Lists.allCases {
      let rows = report.rows(lists)
      guard !rows.isEmpty else { continue }
      let main = [
        "hr@5", "hr@10", "ndcg@10", "dgu@10", "mgu@10", "entropy@10", "ttr@10", "coverage@10", "gini@10",
      ].filter { name in rows.contains { $0[name] != nil } }
      let kind = lists == .topK ? "the K most probable items" : "K items sampled from the policy"
      parts.append(
        """
        <h2>Next items, \(lists.title) lists</h2>
        <p class="lead">Every method recommends \(kind) to the same users. Accuracy (HR, NDCG) with standard errors; \
        DGU and MGU say how far the popularity groups are from their share in the histories. The best trained model \
        is underlined; grey lines are references.</p>
        """)
      parts.append(comparison(rows, metrics: main))
      let charts = [figures.tradeOff(lists), figures.groupShares(lists)].compactMap { $0 }
      if !charts.isEmpty {
        let legend =
          zip(rows, figures.styles(of: rows)).map { ($0.name, $1, false) } + [("training histories", .target, true)]
        parts.append(
          figure(
            charts, legend: legend,
            caption: """
              Left: the best corner is the upper left; bars are one standard error. Right: a method without \
              popularity bias reaches the level marks of the histories.
              """))
      }
      let all = rows.reduce(into: [String]()) { names, row in
        for metric in row.metrics where !names.contains(metric.name) { names.append(metric.name) }
      }
      parts.append(
        "<details><summary>All metrics</summary>\(transposed(rows, metrics: all))</details>")
    }
    return parts.joined(separator: "\n")
  }

  private var distribution: String {
    let audits = report.audits
    guard !audits.isEmpty else { return "" }
    let rows = audits.map { entry in
      EvaluationReport(
        name: entry.run.name, lists: .topK, examples: 0, metrics: entry.audit.summary + entry.audit.perPrompt)
    }
    let names = rows.reduce(into: [String]()) { names, row in
      for metric in row.metrics where !names.contains(metric.name) { names.append(metric.name) }
    }
    let targets = Set(audits.map { NumberText.short($0.audit.metrics.effectiveTargetItems, digits: 4) })
    let goal = targets.count == 1 ? " A perfect fit has the target's \(targets.first ?? "") effective items." : ""
    let legend: [(String, Chart.Style, Bool)] =
      audits.map { ($0.run.name, report.style(of: $0.run), false) } + [("target", .target, true)]
    return """
      <h2>Fitted distribution</h2>
      <p class="lead">The probability of every item, computed exactly, against the target that was trained for. \
      Divergences in nats.\(goal)</p>
      \(comparison(rows, metrics: names))
      \(figure(figures.fits, legend: legend, caption: fitCaption))
      \(audits.map { deviations(of: $0.run, $0.audit) }.joined(separator: "\n"))
      """
  }

  private var fitCaption: String {
    let most = report.audits.map(\.audit.titles.count).max() ?? 0
    let thinned =
      most > ReportFigures.mostItems
      ? " Of \(NumberText.grouped(Double(most))) items the head and an even selection of the tail are shown." : ""
    return "Each point is an item; on the line it is generated exactly as often as it should be, above it too often, "
      + "below it too seldom. Points on the floor are at or below it.\(thinned)"
  }

  private var training: String {
    let trained = report.runs.filter { !$0.steps.isEmpty }
    guard !trained.isEmpty else { return "" }
    let rows = trained.map { run in
      "<tr>" + report.costs(of: run).map { "<td>\(HTML.escape($0))</td>" }.joined() + "</tr>"
    }
    let blocks = [
      (RunRecord.Task.nextItem, "Next items"), (.distribution, "Distribution"), (.unknown, "Not evaluated"),
    ].compactMap { task, title -> String? in
      let runs = trained.filter { $0.task == task }
      let charts = figures.training(of: runs)
      guard !charts.isEmpty else { return nil }
      return figure(
        charts, legend: runs.map { ($0.name, report.style(of: $0), true) },
        caption: "\(title): loss by training step, smoothed, with every step's value behind.")
    }
    return """
      <h2>Training</h2>
      \(table(Report.costHeader, rows))
      \(blocks.joined(separator: "\n"))
      """
  }

  private var recipes: String {
    let runs = report.runs.filter { $0.recipe != nil }
    guard !runs.isEmpty else { return "" }
    let lines = runs.map { ($0.recipe ?? "").split(whereSeparator: \.isNewline).map(String.init) }
    let blocks = zip(runs, lines).enumerated().map { index, entry -> String in
      let others = lines.indices.filter { $0 != index }.map { Set(lines[$0]) }
      let text = entry.1.map { line -> String in
        let differs = others.contains { !$0.contains(line) }
        return differs ? "<mark>\(HTML.escape(line))</mark>" : HTML.escape(line)
      }
      return
        "<details><summary>Recipe of \(HTML.escape(entry.0.name))</summary><pre>\(text.joined(separator: "\n"))</pre></details>"
    }
    let hint = runs.count > 1 ? "<p class=\"lead\">Lines that another run does not have are marked.</p>" : ""
    return "<h2>Recipes</h2>\n\(hint)\(blocks.joined(separator: "\n"))"
  }

  private var footer: String {
    var lines: [String] = []
    let environments = report.runs.compactMap { run in run.environment.map { (run.name, EnvironmentText.line($0)) } }
    if let first = environments.first, environments.allSatisfy({ $0.1 == first.1 }) {
      lines.append(first.1)
    } else {
      lines += environments.map { "\($0.0): \($0.1)" }
    }
    lines += report.runs.flatMap { run in run.missing.map { "\(run.name): \($0)" } }
    return "<footer>\n\(lines.map { "<p>\(HTML.escape($0))</p>" }.joined(separator: "\n"))\n</footer>"
  }
}

extension Report {
  /// The whole page of `report.html`.
  public var html: String { ReportPage(self).html }
}
