/// The tables and figures that sections of the page are made of.
extension ReportPage {
  /// Charts beside each other under one legend.
  func figure(_ charts: [Chart], legend: [(name: String, style: Chart.Style, line: Bool)], caption: String)
    -> String
  {
    let keys = legend.map { "<li>\(ChartSVG.key($0.style, line: $0.line))\(HTML.escape($0.name))</li>" }
    return """
      <figure>
      <ul class="legend">\(keys.joined())</ul>
      <div class="panels">
      \(charts.map { ChartSVG($0).text }.joined(separator: "\n"))
      </div>
      <figcaption>\(HTML.escape(caption))</figcaption>
      </figure>
      """
  }

  /// Methods by metrics.
  func comparison(_ rows: [EvaluationReport], metrics: [String]) -> String {
    let best = bestValues(of: metrics, in: rows)
    let body = rows.map { row in
      let values = metrics.map { cell(row, $0, best: best[$0]) }.joined()
      return "<tr\(row.isReference ? " class=\"ref\"" : "")><td>\(HTML.escape(row.name))</td>\(values)</tr>"
    }
    return table(["method"] + metrics.map(Metric.title), body)
  }

  /// Metrics by methods, for many metrics.
  func transposed(_ rows: [EvaluationReport], metrics: [String]) -> String {
    let best = bestValues(of: metrics, in: rows)
    let body = metrics.map { name in
      let values = rows.map { cell($0, name, best: best[name]) }.joined()
      return "<tr><td>\(HTML.escape(Metric.title(name)))</td>\(values)</tr>"
    }
    return table(["metric"] + rows.map(\.name), body)
  }

  /// A table that scrolls by itself where the page is narrow; rows are HTML.
  func table(_ header: [String], _ rows: [String]) -> String {
    """
    <div class="scroll"><table><thead><tr>\(header.map { "<th>\(HTML.escape($0))</th>" }.joined())</tr></thead>
    <tbody>
    \(rows.joined(separator: "\n"))
    </tbody></table></div>
    """
  }

  private func bestValues(of metrics: [String], in rows: [EvaluationReport]) -> [String: String] {
    metrics.reduce(into: [:]) { $0[$1] = EvaluationReport.bestValue(of: $1, in: rows) }
  }

  private func cell(_ row: EvaluationReport, _ name: String, best: String?) -> String {
    guard let metric = row[name] else { return "<td>–</td>" }
    let value = !row.isReference && metric.text == best ? "<b>\(metric.text)</b>" : metric.text
    let error = metric.standardError.map { "<small>± \(Metric(name, $0).text)</small>" } ?? ""
    return "<td>\(value)\(error)</td>"
  }

  /// The items furthest from their target, folded away.
  func deviations(of method: String, _ audit: AuditReport) -> String {
    let row = { (kind: String, item: DistributionMetrics.Deviation) in
      let cells = [kind, NumberText.short(item.target), NumberText.short(item.policy)].map { "<td>\($0)</td>" }
      return "<tr><td class=\"text\">\(HTML.escape(audit.titles[item.leaf]))</td>\(cells.joined())</tr>"
    }
    let rows =
      audit.metrics.overserved(limit: 5).map { row("too often", $0) }
      + audit.metrics.underserved(limit: 5).map { row("too seldom", $0) }
    guard !rows.isEmpty else { return "" }
    return """
      <details><summary>Items furthest from their target: \(HTML.escape(method))</summary>
      \(table(["title", "generated", "target", "model"], rows))</details>
      """
  }
}
