/// Two methods of a table side by side: differences with paired 95 % intervals.
public struct MethodComparison: Sendable {
  /// The difference in one metric.
  public struct Difference: Sendable {
    public let metric: String
    public let interval: MeanInterval
    /// Users whose examples are compared; `nil` where lists are judged as a whole and only seeds are paired.
    public let users: Int?
  }

  public let first: String
  public let second: String
  public let split: Dataset.Split
  public let seeds: Int
  public let differences: [Difference]

  static let metrics = ["ndcg@10", "hr@10", "dgu@10", "mgu@10", "entropy@10", "ttr@10", "coverage@10"]

  /// The lists of a method by seed, or of a reference, which has no seed.
  private enum Method {
    case trained([UInt64: EvaluationReport])
    case reference(EvaluationReport)

    func report(_ seed: UInt64?) -> EvaluationReport? {
      switch self {
      case .trained(let bySeed): seed.flatMap { bySeed[$0] }
      case .reference(let report): report
      }
    }

    var seeds: Set<UInt64>? {
      if case .trained(let bySeed) = self { return Set(bySeed.keys) }
      return nil
    }
  }

  /// What `first` has over `second`, on the test split if both have it, else on the validation split.
  ///
  /// Accuracy is compared example by example, with intervals for other users and seeds (``PairedDifference``); what is
  /// judged of all lists together is compared seed by seed. Only seeds that both have count.
  ///
  /// - Throws: `FlowerError` for names that the table lacks, or methods measured on different examples.
  public init(_ table: ResultTable, _ first: String, _ second: String) throws {
    let splits = [Dataset.Split.test, .valid]
    let methods = try splits.map { split in
      try [first, second].map { try Self.method($0, table, split) }
    }
    guard let index = splits.indices.first(where: { !methods[$0].contains { $0 == nil } }),
      let a = methods[index][0], let b = methods[index][1]
    else { throw FlowerError(.data, "\(first) and \(second): expected methods that were measured on the same split") }
    (self.first, self.second, split) = (first, second, splits[index])

    let common = a.seeds.map { seeds in b.seeds.map { seeds.intersection($0) } ?? seeds } ?? b.seeds
    let seeds: [UInt64?] = common.map { $0.sorted() } ?? [nil]
    guard !seeds.isEmpty else {
      throw FlowerError(.data, "\(first) and \(second): expected at least one seed that both were trained with")
    }
    let pairs = seeds.compactMap { seed in a.report(seed).flatMap { x in b.report(seed).map { (x, $0) } } }
    self.seeds = pairs.count
    differences = try Self.metrics.compactMap { metric in
      if let gains = try Self.gains(pairs, metric, "\(first) and \(second)") {
        let paired = PairedDifference(gains.differences, users: gains.users)
        return Difference(metric: metric, interval: paired.interval, users: paired.users)
      }
      let values = pairs.compactMap { x, y in x[metric].flatMap { x in y[metric].map { x.value - $0.value } } }
      guard values.count == pairs.count else { return nil }
      return Difference(metric: metric, interval: MeanInterval(values), users: nil)
    }
  }

  private static func method(_ name: String, _ table: ResultTable, _ split: Dataset.Split) throws -> Method? {
    if let group = table.groups.first(where: { $0.name == name || $0.setting.text == name }) {
      let reports = group.rows.compactMap { row in row[split]?.model(.topK).map { (row.seed, $0) } }
      guard !reports.isEmpty else { return nil }
      return .trained(Dictionary(reports) { first, _ in first })
    }
    if let reference = table.references(split, .topK).first(where: { $0.name == name }) { return .reference(reference) }
    let references = [Dataset.Split.valid, .test].flatMap { table.references($0, .topK).map(\.name) }
    let names = table.groups.map(\.name) + references
    if references.contains(name) { return nil }
    let near = nearestKey(to: name, among: names).map { "; did you mean \($0.quoted)?" } ?? ""
    throw FlowerError(.usage, "\(name.quoted): expected the name of a method in the table\(near)")
  }

  /// Differences of what each example adds, by seed; `nil` if the metric is no mean over examples or a report lacks
  /// the ranks.
  private static func gains(
    _ pairs: [(EvaluationReport, EvaluationReport)], _ metric: String, _ names: String
  ) throws -> (differences: [[Double]], users: [Int])? {
    var differences: [[Double]] = []
    var users: [Int] = []
    for (x, y) in pairs {
      guard let x = x.targets, let y = y.targets, let xGains = x.gains(metric), let yGains = y.gains(metric) else {
        return nil
      }
      guard x.users == y.users, users.isEmpty || users == x.users, !x.ranks.isEmpty else {
        throw FlowerError(.data, "\(names): expected methods that were measured on the same examples")
      }
      users = x.users
      differences.append(zip(xGains, yGains).map { $0 - $1 })
    }
    return (differences, users)
  }
}

// MARK: - Text

extension MethodComparison {
  /// The differences for the terminal, at most 80 columns.
  public var text: String {
    let rows = differences.map { difference -> [String] in
      let over = (difference.users.map { "\(NumberText.grouped(Double($0))) users × " } ?? "") + "\(seeds) seeds"
      return [Metric.title(difference.metric)] + Self.cells(difference) + [over]
    }
    let table = TextTable(header: ["metric", "difference", "95 % interval", "over"], rows: rows)
    let heading = "\(TextTable.printable(first)) minus \(TextTable.printable(second)), \(split.rawValue) split"
    return "\(heading)\n\n\(table.lines.joined(separator: "\n"))\n"
  }

  /// Difference and interval; with a star where zero is outside.
  static func cells(_ difference: Difference) -> [String] {
    let decimals = ["coverage": 1, "entropy": 3][difference.metric.prefix { $0 != "@" }] ?? 4
    let signed = { (value: Double) in (value > 0 ? "+" : "") + NumberText.fixed(value, decimals: decimals) }
    let (mean, half) = (difference.interval.mean, difference.interval.halfWidth)
    let star = difference.interval.excludesZero ? "*" : " "
    return [signed(mean) + star, half.map { "[\(signed(mean - $0)), \(signed(mean + $0))]" } ?? "–"]
  }
}

extension ResultTable {
  /// Each method's differences from the first, in accuracy and fairness, for the terminal; empty without two methods.
  public func differencesFromFirst() throws -> String {
    guard !isDistribution, groups.count > 1, let first = groups.first else { return "" }
    let comparisons = try groups.dropFirst().compactMap { group -> MethodComparison? in
      if group.rows.isEmpty || first.rows.isEmpty { return nil }
      return try MethodComparison(self, group.name, first.name)
    }
    let shown = ["ndcg@10", "dgu@10"]
    let rows = comparisons.map { comparison -> [String] in
      let cells = shown.flatMap { metric in
        comparison.differences.first { $0.metric == metric }.map(MethodComparison.cells) ?? ["–", "–"]
      }
      return [comparison.first, comparison.split.rawValue] + cells
    }
    guard !rows.isEmpty else { return "" }
    let header = ["method", "split"] + shown.flatMap { ["Δ \(Metric.title($0))", "95 %"] }
    let table = TextTable(header: header, rows: rows, width: 110)
    return "Difference from \(TextTable.printable(first.name)) (* if zero is outside)\n\n"
      + table.lines.joined(separator: "\n") + "\n"
  }
}
