/// The charts of a report.
struct ReportFigures {
  let report: Report

  // MARK: Ranking

  /// Accuracy against fairness: a point per method and reference; `nil` where a metric is missing.
  func tradeOff(_ lists: EvaluationReport.Lists) -> Chart? {
    let (xName, yName) = ("dgu@10", "hr@10")
    let rows = report.rows(lists).filter { $0[xName] != nil && $0[yName] != nil }
    guard rows.count > 1 else { return nil }
    let styles = styles(of: rows)
    let series = zip(rows, styles).map { row, style in
      let (x, y) = (row[xName]?.value ?? 0, row[yName]?.value ?? 0)
      let error = row[yName]?.standardError
      let deviation = error.map { " ± \(NumberText.fixed($0, decimals: 4))" } ?? ""
      let note =
        "\(row.name)\nHR@10 \(NumberText.fixed(y, decimals: 4))\(deviation)\nDGU@10 \(NumberText.fixed(x, decimals: 4))"
      return Chart.Series(
        mark: .points(radius: 5.5), style: style,
        points: [Chart.Point(x: x, y: y, error: error, note: note, label: row.name)])
    }
    let points = series.flatMap(\.points)
    return Chart(
      title: "Accuracy against fairness",
      x: Chart.Axis(
        label: "DGU@10, \(lists.title) lists", scale: ChartScale(.linear, fitting: points.map(\.x), including: [0]),
        better: .lower),
      y: Chart.Axis(
        label: "HR@10",
        scale: ChartScale(.linear, fitting: points.map { $0.y + ($0.error ?? 0) }, including: [0]), better: .higher),
      series: series)
  }

  /// Shares of the popularity groups in the lists, over their shares in the training histories.
  func groupShares(_ lists: EvaluationReport.Lists) -> Chart? {
    let rows = report.rows(lists)
    let shown = zip(rows, styles(of: rows)).filter { !$0.0.isReference && !$0.0.groupShares.isEmpty }.prefix(6)
    guard let first = shown.first?.0.groupShares.last else { return nil }
    var highest = first.training.max() ?? 0
    let bars = shown.enumerated().compactMap { slot, entry -> Chart.Series? in
      let (row, style) = entry
      guard let shares = row.groupShares.first(where: { $0.cutoff == first.cutoff }) else { return nil }
      highest = max(highest, shares.recommended.max() ?? 0)
      let points = shares.recommended.enumerated().map { group, share in
        let training = group < shares.training.count ? shares.training[group] : 0
        let note =
          "\(row.name), group \(group + 1)\nrecommendations \(Self.percent(share)), histories \(Self.percent(training))"
        return Chart.Point(x: Double(group), y: share, note: note)
      }
      return Chart.Series(mark: .bars(slot: slot, of: shown.count), style: style, points: points)
    }
    let levels = first.training.enumerated().map { group, share in
      Chart.Point(x: Double(group), y: share, note: "training histories, group \(group + 1): \(Self.percent(share))")
    }
    let count = first.training.count
    return Chart(
      title: "Who is recommended",
      x: Chart.Axis(
        label: "popularity group (1: the most popular)", scale: ChartScale(categories: count),
        categories: (0..<count).map { String($0 + 1) }),
      y: Chart.Axis(
        label: "share of the first \(first.cutoff) places, \(lists.title) lists",
        scale: ChartScale(.linear, fitting: [highest], including: [0])),
      series: bars + [Chart.Series(mark: .levels, style: .target, points: levels)])
  }

  /// The styles of rows: a model has its run's, references have shapes of their own.
  func styles(of rows: [EvaluationReport]) -> [Chart.Style] {
    let models = rows.filter { !$0.isReference }.map(\.name)
    var references = 0
    return rows.map { row in
      if row.isReference {
        references += 1
        return .reference(references - 1)
      }
      if let run = report.runs.first(where: { $0.name == row.name }) { return report.style(of: run) }
      return .method(models.firstIndex(of: row.name) ?? 0)
    }
  }

  // MARK: Distribution

  /// Most items that a panel shows; more are thinned out.
  static let mostItems = 2000

  /// A panel per audited run: the target's probability by rank as a line, the model's as points. All panels share
  /// their axes.
  var fits: [Chart] {
    let audits = report.audits
    let targets = audits.flatMap(\.audit.metrics.target).filter { $0 > 0 }
    guard let least = targets.min() else { return [] }
    // Points below a thirtieth of the least target stand on the floor of the panel.
    let values = (targets + audits.flatMap(\.audit.metrics.policy)).filter { $0 >= least / 30 } + [least / 3]
    let yScale = ChartScale(.logarithmic, fitting: values)
    let longest = audits.map(\.audit.titles.count).max() ?? 1
    let xScale = ChartScale(.logarithmic, fitting: [1, Double(longest)])
    return audits.map { run, audit in
      let metrics = audit.metrics
      let order = metrics.target.indices.sorted { (-metrics.target[$0], $0) < (-metrics.target[$1], $1) }
      let ranks = Self.shownRanks(of: order.count)
      let points = ranks.map { rank in
        let leaf = order[rank]
        let (policy, target) = (metrics.policy[leaf], metrics.target[leaf])
        let ratio = target > 0 ? " (\(NumberText.short(policy / target, digits: 3))×)" : ""
        let note =
          "\(audit.titles[leaf])\nrank \(rank + 1), target \(NumberText.short(target)), "
          + "model \(NumberText.short(policy))\(ratio)"
        return Chart.Point(x: Double(rank + 1), y: policy, note: note)
      }
      let line = ranks.filter { metrics.target[order[$0]] > 0 }.map { rank in
        Chart.Point(x: Double(rank + 1), y: metrics.target[order[rank]])
      }
      return Chart(
        title: "\(run.name): total variation \(NumberText.short(metrics.totalVariation))",
        x: Chart.Axis(label: "rank of the item in the target", scale: xScale),
        y: Chart.Axis(label: "probability", scale: yScale),
        series: [
          Chart.Series(mark: .points(radius: 2.1), style: report.style(of: run), points: points),
          Chart.Series(mark: .line(faint: false), style: .target, points: line),
        ])
    }
  }

  /// All ranks, or the head and evenly spaced ratios of the tail.
  static func shownRanks(of count: Int) -> [Int] {
    guard count > mostItems else { return Array(0..<count) }
    var ranks: [Int] = []
    let growth = 1 + 6 / Double(mostItems)
    var next = 0.0
    while Int(next) < count - 1 {
      ranks.append(Int(next))
      next = max(next + 1, next * growth)
    }
    return ranks + [count - 1]
  }

  // MARK: Training

  /// Loss curves of some runs, a panel per part of the loss, and one for each metric that was validated.
  func training(of runs: [RunRecord]) -> [Chart] {
    let hasParts = runs.contains { $0.steps.contains { $0.sftLoss != nil || $0.flowLoss != nil } }
    let parts: [(title: String, read: (StepLine) -> Double?)] =
      hasParts
      ? [("SFT loss", { $0.sftLoss }), ("Flow loss", { $0.flowLoss })] : [("Training loss", { $0.loss })]
    return parts.compactMap { lossPanel($0.title, of: runs, read: $0.read) } + validationPanels(of: runs)
  }

  private func lossPanel(_ title: String, of runs: [RunRecord], read: (StepLine) -> Double?) -> Chart? {
    var (raw, smooth, hover): ([Chart.Series], [Chart.Series], [Chart.Series]) = ([], [], [])
    for run in runs {
      let lines = run.steps.compactMap { line in read(line).flatMap { $0.isFinite ? (line, $0) : nil } }
      guard lines.count > 1 else { continue }
      let (values, average) = (lines.map(\.1), Smoothing.windowMean(lines.map(\.1)))
      let style = report.style(of: run)
      let point = { (index: Int, values: [Double]) in
        Chart.Point(x: Double(lines[index].0.step), y: values[index])
      }
      raw.append(
        Chart.Series(
          mark: .line(faint: true), style: style,
          points: Smoothing.outline(values, buckets: 300).map { point($0, values) }))
      smooth.append(
        Chart.Series(
          mark: .line(faint: false), style: style,
          points: Smoothing.sample(lines.count, count: 200).map { point($0, average) }))
      hover.append(
        Chart.Series(
          mark: .hover, style: style,
          points: Smoothing.sample(lines.count, count: 40).map { index in
            var mark = point(index, average)
            mark.note =
              "\(run.name), step \(lines[index].0.step)\n\(NumberText.short(values[index], digits: 4)), "
              + "smoothed \(NumberText.short(average[index], digits: 4))"
            return mark
          }))
    }
    guard !raw.isEmpty else { return nil }
    return panel(title, lines: raw + smooth + hover, scaledTo: raw.flatMap(\.points).map(\.y))
  }

  private func validationPanels(of runs: [RunRecord]) -> [Chart] {
    var names: [String] = []
    for name in runs.flatMap(\.validations).flatMap(\.metrics).map(\.name) where !names.contains(name) {
      names.append(name)
    }
    return names.compactMap { name in
      let series = runs.flatMap { run -> [Chart.Series] in
        let points = run.validations.compactMap { line in
          line.metrics.first { $0.name == name && $0.value.isFinite }.map { metric in
            Chart.Point(
              x: Double(line.step), y: metric.value, note: "\(run.name), step \(line.step)\n\(metric.text)")
          }
        }
        guard !points.isEmpty else { return [] }
        let style = report.style(of: run)
        return [
          Chart.Series(mark: .line(faint: false), style: style, points: points),
          Chart.Series(mark: .points(radius: 3.2), style: style, points: points),
        ]
      }
      guard !series.isEmpty else { return nil }
      return panel("Validation: \(Metric.title(name))", lines: series, scaledTo: series.flatMap(\.points).map(\.y))
    }
  }

  /// A panel over training steps; logarithmic where positive values span more than a decade.
  private func panel(_ title: String, lines: [Chart.Series], scaledTo values: [Double]) -> Chart {
    let (low, high) = (values.min() ?? 0, values.max() ?? 1)
    let kind: ChartScale.Kind = low > 0 && high / low > 12 ? .logarithmic : .linear
    return Chart(
      title: title,
      x: Chart.Axis(
        label: "step", scale: ChartScale(.linear, fitting: lines.flatMap(\.points).map(\.x), including: [0])),
      y: Chart.Axis(
        label: kind == .logarithmic ? "log scale" : "value", scale: ChartScale(kind, fitting: values)),
      series: lines)
  }

  private static func percent(_ share: Double) -> String { NumberText.fixed(share * 100, decimals: 1) + " %" }
}
