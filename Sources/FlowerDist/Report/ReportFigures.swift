/// The charts of a report.
struct ReportFigures {
  let report: Report

  // MARK: Ranking

  /// Accuracy against fairness: a point per run and reference, the first of a method with its name; `nil` where there
  /// are not two.
  func tradeOff(_ lists: EvaluationReport.Lists) -> Chart? {
    let (xName, yName) = ("dgu@10", "hr@10")
    func point(_ row: EvaluationReport, name: String, label: String?, bar: Bool) -> Chart.Point? {
      guard let x = row[xName]?.value, let y = row[yName]?.value else { return nil }
      let error = row[yName]?.standardError
      let deviation = error.map { " ± \(NumberText.fixed($0, decimals: 4))" } ?? ""
      let note =
        "\(name)\nHR@10 \(NumberText.fixed(y, decimals: 4))\(deviation)\nDGU@10 \(NumberText.fixed(x, decimals: 4))"
      return Chart.Point(x: x, y: y, error: bar ? error : nil, note: note, label: label)
    }
    var series = report.methods.map { method in
      let rows = method.runs.flatMap { run in
        run.evaluation.filter { !$0.isReference && $0.lists == lists }.map { (run.name, $0) }
      }
      // Several runs show their spread themselves.
      let points = rows.enumerated().compactMap { index, row in
        point(row.1, name: row.0, label: index == 0 ? method.name : nil, bar: rows.count == 1)
      }
      return Chart.Series(mark: .points(radius: 5.5), style: report.style(of: method), points: points)
    }
    let references = report.rows(lists).filter(\.isReference)
    series += zip(references, styles(of: references)).map { row, style in
      Chart.Series(
        mark: .points(radius: 5.5), style: style,
        points: [point(row, name: row.name, label: row.name, bar: true)].compactMap { $0 })
    }
    let points = series.flatMap(\.points)
    guard points.count > 1 else { return nil }
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

  /// The styles of rows: a model has its method's, references have shapes of their own.
  func styles(of rows: [EvaluationReport]) -> [Chart.Style] {
    let models = rows.filter { !$0.isReference }.map(\.name)
    var references = 0
    return rows.map { row in
      if row.isReference {
        references += 1
        return .reference(references - 1)
      }
      if let method = report.methods.first(where: { $0.name == row.name }) { return report.style(of: method) }
      return .method(models.firstIndex(of: row.name) ?? 0)
    }
  }

  // MARK: Distribution

  /// Most items that a panel shows; more are thinned out.
  static let mostItems = 2000

  /// A panel per audited method: the target's probability by rank as a line, the model's as points. All panels share
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
    return audits.map { method, audit in
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
        title: "\(method.name): total variation \(NumberText.short(metrics.totalVariation))",
        x: Chart.Axis(label: "rank of the item in the target", scale: xScale),
        y: Chart.Axis(label: "probability", scale: yScale),
        series: [
          Chart.Series(mark: .points(radius: 2.1), style: report.style(of: method), points: points),
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

  /// Curves of the first run of some methods: a panel per part of the loss, one for the residual, and one for each
  /// metric that was validated.
  func training(of methods: [RunMethod]) -> [Chart] {
    let steps = methods.flatMap { $0.first.steps.prefix(1) }
    let hasParts = steps.contains { $0.sftLoss != nil || $0.flowLoss != nil }
    let parts: [Curve] =
      hasParts
      ? [
        Curve(title: "SFT loss") { $0.sftLoss }, Curve(title: "Flow loss") { $0.flowLoss },
      ] : [Curve(title: "Training loss") { $0.loss }]
    // A balance loss is a mean of squared residuals.
    let residual = Curve(title: "Flow residual, root mean square (nats)") { $0.flowLoss.map { $0.squareRoot() } }
    let balanced = hasParts ? methods.filter(\.first.isBalanced) : []
    return (parts.map { lossPanel($0, of: methods) } + [lossPanel(residual, of: balanced)]).compactMap { $0 }
      + validationPanels(of: methods)
  }

  private struct Curve {
    var title: String
    var read: (StepLine) -> Double?
  }

  private func lossPanel(_ curve: Curve, of methods: [RunMethod]) -> Chart? {
    var (raw, smooth, hover): ([Chart.Series], [Chart.Series], [Chart.Series]) = ([], [], [])
    for method in methods {
      let lines = method.first.steps.compactMap { line in
        curve.read(line).flatMap { $0.isFinite ? (line, $0) : nil }
      }
      guard lines.count > 1 else { continue }
      let (values, average) = (lines.map(\.1), Smoothing.windowMean(lines.map(\.1)))
      let style = report.style(of: method)
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
              "\(method.name), step \(lines[index].0.step)\n\(NumberText.short(values[index], digits: 4)), "
              + "smoothed \(NumberText.short(average[index], digits: 4))"
            return mark
          }))
    }
    guard !raw.isEmpty else { return nil }
    return panel(curve.title, lines: raw + smooth + hover, scaledTo: raw.flatMap(\.points).map(\.y))
  }

  private func validationPanels(of methods: [RunMethod]) -> [Chart] {
    // A run validates by a few metrics; a file may speak of any number.
    let names = methods.flatMap(\.first.validations).flatMap(\.metrics).map(\.name).unique.prefix(Metric.limit)
    return names.compactMap { name in
      let series = methods.flatMap { method -> [Chart.Series] in
        let points = method.first.validations.compactMap { line in
          line.metrics.first { $0.name == name && $0.value.isFinite }.map { metric in
            Chart.Point(
              x: Double(line.step), y: metric.value, note: "\(method.name), step \(line.step)\n\(metric.text)")
          }
        }
        guard !points.isEmpty else { return [] }
        let style = report.style(of: method)
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

extension RunRecord {
  /// Whether its flow loss is made of squared residuals, as far as its recipe can be read.
  fileprivate var isBalanced: Bool {
    guard let text = recipe, let recipe = try? Recipe.read(yaml: text, file: "config.yaml") else { return false }
    return [.subtb, .tb, .db, .vargrad].contains(recipe.objective.name)
  }
}
