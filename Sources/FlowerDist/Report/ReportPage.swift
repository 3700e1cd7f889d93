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
      header, tiles, nextItems, distribution, sweeps, training, recipes, footer,
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
    let names = report.sweeps.isEmpty ? report.methods.map(\.name) : report.sweeps.map(\.name)
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
    if !report.commonName.isEmpty { facts.append("names without “\(report.commonName)”") }
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
      let entries = zip(rows, styles).compactMap { row, style in
        row[name].map { (row.name, $0, style) }
      }
      if let tile = tile(entries) { tiles.append(tile) }
    }
    let fits = report.audits.compactMap { entry in
      entry.method.audit.first { $0.name == "total_variation" }.map {
        (entry.method.name, $0, report.style(of: entry.method))
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
    let others = sorted.dropFirst().prefix(2).map { "\($0.name) \($0.metric.text)" }.joined(
      separator: " · ")
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
        "hr@5", "hr@10", "ndcg@10", "dgu@10", "mgu@10", "entropy@10", "ttr@10", "coverage@10",
        "gini@10",
      ].filter { name in rows.contains { $0[name] != nil } }
      let kind = lists == .topK ? "the K most probable items" : "K items sampled from the policy"
      parts.append(
        """
        <h2>Next items, \(lists.title) lists</h2>
        <p class="lead">Every method recommends \(kind) to the same users.\(parts.isEmpty ? explanation : "")</p>
        """)
      parts.append(comparison(rows, metrics: main))
      let charts = [figures.tradeOff(lists), figures.groupShares(lists)].compactMap { $0 }
      if !charts.isEmpty {
        let legend =
          zip(rows, figures.styles(of: rows)).map { ($0.name, $1, false) } + [
            ("training histories", .target, true)
          ]
        parts.append(
          figure(
            charts, legend: legend,
            caption: """
              Left: the best corner is the upper left; \(report.hasSeeds ? "a point per run" : "a bar is one standard error"). \
              Right: a method without popularity bias reaches the level marks of the histories.
              """))
      }
      if lists == .topK { parts.append(differences) }
      let all = rows.flatMap(\.metrics).map(\.name).unique
      parts.append(
        "<details><summary>All metrics</summary>\(transposed(rows, metrics: all))</details>")
    }
    return parts.joined(separator: "\n")
  }

  /// What the tables of next items show.
  private var explanation: String {
    let errors =
      report.hasSeeds
      ? "Numbers are means over a method's runs, ± the standard error of that mean; where there is one run, accuracy"
        + " (HR, NDCG) has the standard error over examples"
      : "Accuracy (HR, NDCG) with standard errors"
    return " \(errors). DGU and MGU say how far the popularity groups are from their share in the histories. The best"
      + " trained model is underlined; grey lines are references."
  }

  /// Paired differences from the first method.
  private var differences: String {
    let comparisons = report.differences
    guard let first = comparisons.first else { return "" }
    let metrics = ["ndcg@10", "hr@10", "dgu@10", "coverage@10"]
    let rows = comparisons.map { comparison in
      let cells = metrics.map { metric -> String in
        guard let difference = comparison[metric] else { return "<td>–</td>" }
        let shown =
          difference.interval.excludesZero
          ? "<strong>\(difference.number)</strong>" : difference.number
        return "<td>\(shown)\(difference.range.map { "<small>\($0)</small>" } ?? "")</td>"
      }
      return "<tr><td>\(HTML.escape(comparison.first))</td>\(cells.joined())</tr>"
    }
    return """
      <h3>Difference from \(HTML.escape(first.second))</h3>
      <p class="lead">Example by example, with 95 % intervals for other users\(report.hasSeeds ? " and seeds" : "") \
      of NDCG and HR\(report.hasSeeds ? ", and for other seeds of the rest" : ""). Strong where zero is outside.</p>
      \(table(["method"] + metrics.map { "Δ " + Metric.title($0) }, rows))
      """
  }

  private var distribution: String {
    let audits = report.audits
    guard !audits.isEmpty else { return "" }
    let rows = audits.map { entry in
      EvaluationReport(
        name: entry.method.name, lists: .topK, examples: 0, metrics: entry.method.audit)
    }
    let names = rows.flatMap(\.metrics).map(\.name).unique
    let targets = Set(
      audits.map { NumberText.short($0.audit.metrics.effectiveTargetItems, digits: 4) })
    let goal =
      targets.count == 1
      ? " A perfect fit has the target's \(targets.first ?? "") effective items." : ""
    let legend: [(String, Chart.Style, Bool)] =
      audits.map { ($0.method.name, report.style(of: $0.method), false) } + [
        ("target", .target, true)
      ]
    return """
      <h2>Fitted distribution</h2>
      <p class="lead">The probability of every item, computed exactly, against the target that was trained for. \
      Divergences in nats.\(goal)</p>
      \(comparison(rows, metrics: names))
      \(figure(figures.fits, legend: legend, caption: fitCaption))
      \(audits.map { deviations(of: $0.method.name, $0.audit) }.joined(separator: "\n"))
      """
  }

  private var fitCaption: String {
    let most = report.audits.map(\.audit.titles.count).max() ?? 0
    let thinned =
      most > ReportFigures.mostItems
      ? " Of \(NumberText.grouped(Double(most))) items the head and an even selection of the tail are shown."
      : ""
    return
      "Each point is an item; on the line it is generated exactly as often as it should be, above it too often, "
      + "below it too seldom. Points on the floor are at or below it.\(thinned)"
      + (report.hasSeeds ? " Of each method's first run." : "")
  }

  /// What validation said of all settings of a sweep.
  private var sweeps: String {
    report.sweeps.compactMap { sweep -> String? in
      guard let block = sweep.table.blocks(lists: [.topK]).first
      else { return nil }
      let rows = block.rows.map { row in
        let cells = row.cells.map { cell in
          let value = cell.isBest ? "<b>\(HTML.escape(cell.value))</b>" : HTML.escape(cell.value)
          return "<td>\(value)\(cell.error.map { "<small>± \(HTML.escape($0))</small>" } ?? "")</td>"
        }
        let mark = row.isSelected ? " <small>selected</small>" : ""
        return
          "<tr\(row.isReference ? " class=\"ref\"" : "")><td>\(HTML.escape(row.name))\(mark)</td>\(cells.joined())</tr>"
      }
      let notes = sweep.table.notes(mark: "“selected”").map {
        "<p class=\"lead\">\(HTML.escape($0))</p>"
      }
      return """
        <h2>Sweep \(HTML.escape(sweep.name)): \(HTML.escape(block.title))</h2>
        \(notes.joined(separator: "\n"))
        \(table(["setting"] + block.header, rows))
        """
    }.joined(separator: "\n")
  }

  private var training: String {
    let trained = report.runs.filter { !$0.steps.isEmpty }
    guard !trained.isEmpty else { return "" }
    let rows = trained.map { run in
      "<tr>" + report.costs(of: run).map { "<td>\(HTML.escape($0))</td>" }.joined() + "</tr>"
    }
    let blocks = [
      (RunRecord.Task.nextItem, "Next items"), (.distribution, "Distribution"),
      (.unknown, "Not evaluated"),
    ].compactMap { task, title -> String? in
      let methods = report.methods.filter { $0.task == task && !$0.first.steps.isEmpty }
      let charts = figures.training(of: methods)
      guard !charts.isEmpty else { return nil }
      let which = report.hasSeeds ? " Of each method's first run." : ""
      return figure(
        charts, legend: methods.map { ($0.name, report.style(of: $0), true) },
        caption:
          "\(title): loss by training step, smoothed, with every step's value behind.\(which)")
    }
    let costs = table(Report.costHeader, rows)
    return """
      <h2>Training</h2>
      \(report.hasSeeds ? "<details><summary>What each run took</summary>\(costs)</details>" : costs)
      \(blocks.joined(separator: "\n"))
      """
  }

  /// The recipe of each method's first run with where it ran.
  private var recipes: String {
    let methods = report.methods.filter { $0.first.recipe != nil }
    guard !methods.isEmpty else { return "" }
    let lines = methods.map {
      ($0.first.recipe ?? "").split(whereSeparator: \.isNewline).map(String.init)
    }
    let blocks = zip(methods, lines).enumerated().map { index, entry -> String in
      let others = lines.indices.filter { $0 != index }.map { Set(lines[$0]) }
      let text = entry.1.map { line -> String in
        let differs = others.contains { !$0.contains(line) }
        return differs ? "<mark>\(HTML.escape(line))</mark>" : HTML.escape(line)
      }
      let environment = entry.0.first.environment.map {
        "<p class=\"note\">\(HTML.escape(EnvironmentText.line($0)))</p>"
      }
      return """
        <details><summary>Recipe of \(HTML.escape(entry.0.name))</summary>\(environment ?? "")\
        <pre>\(text.joined(separator: "\n"))</pre></details>
        """
    }
    let hint =
      methods.count > 1
      ? "<p class=\"lead\">Lines that another method does not have are marked.</p>" : ""
    return "<h2>Recipes and environment</h2>\n\(hint)\n\(blocks.joined(separator: "\n"))"
  }

  private var footer: String {
    let lines = report.runs.flatMap { run in run.missing.map { "\(run.name): \($0)" } }
    return lines.isEmpty
      ? ""
      : "<footer>\n\(lines.map { "<p>\(HTML.escape($0))</p>" }.joined(separator: "\n"))\n</footer>"
  }
}

extension Report {
  /// The whole page of `report.html`.
  public var html: String { ReportPage(self).html }
}
