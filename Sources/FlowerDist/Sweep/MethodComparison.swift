/// Two methods side by side: differences with paired 95 % intervals.
public struct MethodComparison: Sendable {
  /// The difference in one metric.
  public struct Difference: Sendable {
    public let metric: String
    public let interval: MeanInterval
    /// Users whose examples are compared; `nil` where lists are judged as a whole and only seeds are paired.
    public let users: Int?
  }

  /// The best lists of a method.
  struct Method {
    var name: String
    var lists: Lists

    enum Lists {
      case bySeed([UInt64: EvaluationReport])
      /// Of a reference, which has no seed.
      case fixed(EvaluationReport)
    }

    /// SHA-256 of the datasets that the lists are of, by seed (made-up data has one for each); none if it is not known.
    var data: [UInt64: String] = [:]

    func report(_ seed: UInt64?) -> EvaluationReport? {
      switch lists {
      case .bySeed(let reports): seed.flatMap { reports[$0] }
      case .fixed(let report): report
      }
    }

    var seeds: Set<UInt64>? {
      if case .bySeed(let reports) = lists { return Set(reports.keys) }
      return nil
    }
  }

  public let first: String
  public let second: String
  public let split: Dataset.Split
  public let seeds: Int
  public let differences: [Difference]

  static let metrics = [
    "ndcg@10", "hr@10", "dgu@10", "mgu@10", "entropy@10", "ttr@10", "coverage@10",
  ]

  public subscript(metric: String) -> Difference? { differences.first { $0.metric == metric } }

  /// What `first` has over `second` on a split.
  ///
  /// Accuracy is compared example by example, with intervals for other users and seeds (``PairedDifference``); what is
  /// judged of all lists together is compared seed by seed. Only seeds that both have count.
  ///
  /// - Throws: `FlowerError` of kind `data` for methods without a common seed, or measured on different examples.
  init(_ first: Method, _ second: Method, _ split: Dataset.Split) throws {
    (self.first, self.second, self.split) = (first.name, second.name, split)
    let names = "\(first.name) and \(second.name)"
    let common =
      first.seeds.map { seeds in second.seeds.map { seeds.intersection($0) } ?? seeds }
      ?? second.seeds
    let seeds: [UInt64?] = common.map { $0.sorted() } ?? [nil]
    let pairs = seeds.compactMap { seed in
      first.report(seed).flatMap { a in second.report(seed).map { b in (a, b) } }
    }
    guard !pairs.isEmpty else {
      throw FlowerError(.data, "\(names): expected at least one seed that both were trained with")
    }
    for case let seed? in seeds {
      if let a = first.data[seed], let b = second.data[seed], a != b {
        throw FlowerError(.data, "\(names): expected methods that were measured on the same data")
      }
    }
    self.seeds = pairs.count
    differences = try Self.metrics.compactMap { metric in
      if let gains = try Self.gains(pairs, metric, names) {
        let paired = PairedDifference(gains.differences, users: gains.users)
        return Difference(metric: metric, interval: paired.interval, users: paired.users)
      }
      let values = pairs.compactMap { a, b in
        a[metric].flatMap { a in b[metric].map { a.value - $0.value } }
      }
      guard values.count == pairs.count else { return nil }
      return Difference(metric: metric, interval: MeanInterval(values), users: nil)
    }
  }

  /// Differences of what each example adds, by seed; `nil` if the metric is no mean over examples or a report lacks
  /// the ranks.
  private static func gains(
    _ pairs: [(EvaluationReport, EvaluationReport)], _ metric: String, _ names: String
  ) throws -> (differences: [[Double]], users: [Int])? {
    var differences: [[Double]] = []
    var users: [Int] = []
    for (a, b) in pairs {
      guard let a = a.targets, let b = b.targets, let gains = a.gains(metric),
        let others = b.gains(metric)
      else {
        return nil
      }
      guard a.users == b.users, users.isEmpty || users == a.users, !a.ranks.isEmpty else {
        throw FlowerError(
          .data, "\(names): expected methods that were measured on the same examples")
      }
      users = a.users
      differences.append(zip(gains, others).map { $0 - $1 })
    }
    return (differences, users)
  }
}

// MARK: - Methods of a table

extension ResultTable {
  /// What `first` has over `second`, on the test split if both have it, else on the validation split.
  ///
  /// - Throws: `FlowerError` for names that the table lacks, and as ``MethodComparison``.
  public func comparison(_ first: String, _ second: String) throws -> MethodComparison {
    for split in [Dataset.Split.test, .valid] {
      if let a = try method(first, split), let b = try method(second, split) {
        return try MethodComparison(a, b, split)
      }
    }
    throw FlowerError(
      .data, "\(first) and \(second): expected methods that were measured on the same split")
  }

  private func method(_ name: String, _ split: Dataset.Split) throws -> MethodComparison.Method? {
    if let group = groups.first(where: { $0.name == name || $0.setting.text == name }) {
      let reports = group.rows.compactMap { row in row[split]?.model(.topK).map { (row.seed, $0) } }
      guard !reports.isEmpty else { return nil }
      return .init(
        name: group.name, lists: .bySeed(Dictionary(reports) { first, _ in first }),
        data: Dictionary(group.rows.map { ($0.seed, $0.dataDigest) }) { first, _ in first })
    }
    if let reference = references(split, .topK).first(where: { $0.name == name }) {
      return .init(name: name, lists: .fixed(reference))
    }
    let known =
      groups.map(\.name)
      + [Dataset.Split.valid, .test].flatMap { references($0, .topK).map(\.name) }
    if known.contains(name) { return nil }
    let near = nearestKey(to: name, among: known).map { "; did you mean \($0.quoted)?" } ?? ""
    throw FlowerError(.usage, "\(name.quoted): expected the name of a method in the table\(near)")
  }

  /// What each trained method has over the first, without those that cannot be paired with it: there is no common seed, or
  /// they were measured on other examples.
  public var differencesFromFirst: [MethodComparison] {
    let groups = isDistribution ? [] : groups.filter { !$0.rows.isEmpty }
    return groups.dropFirst().compactMap { try? comparison($0.name, groups[0].name) }
  }
}

// MARK: - Text

extension MethodComparison {
  /// The differences for the terminal, at most 80 columns.
  public var text: String {
    let rows = differences.map { difference -> [String] in
      let count = "\(seeds) \(seeds == 1 ? "seed" : "seeds")"
      let over =
        (difference.users.map { "\(NumberText.grouped(Double($0))) users × " } ?? "") + count
      return [Metric.title(difference.metric), difference.value, difference.range ?? "–", over]
    }
    let table = TextTable(header: ["metric", "difference ", "95 % interval", "over"], rows: rows)
    let heading =
      "\(TextTable.printable(first)) minus \(TextTable.printable(second)), \(split.rawValue) split"
    return "\(heading)\n\n\(table.lines.joined(separator: "\n"))\n"
  }

  /// A line for each of several comparisons with one method, for the terminal; empty if there are none.
  public static func table(_ comparisons: [MethodComparison]) -> String {
    guard let second = comparisons.first?.second else { return "" }
    let shown = ["ndcg@10", "dgu@10"]
    let rows = comparisons.map { comparison in
      [comparison.first, comparison.split.rawValue]
        + shown.flatMap { metric in
          comparison[metric].map { [$0.value, $0.range ?? "–"] } ?? ["–", "–"]
        }
    }
    let header = ["method", "split"] + shown.flatMap { ["Δ \(Metric.title($0)) ", "95 %"] }
    let table = TextTable(header: header, rows: rows, width: 110)
    return
      "Difference from \(TextTable.printable(second)) (* where zero is outside the interval)\n\n"
      + table.lines.joined(separator: "\n") + "\n"
  }
}

extension MethodComparison.Difference {
  /// The mean with its sign.
  var number: String { signed(interval.mean) }
  /// With a star where zero is outside the interval.
  var value: String { number + (interval.excludesZero ? "*" : " ") }

  /// The interval; `nil` where the data do not tell.
  var range: String? {
    interval.halfWidth.map { "[\(signed(interval.mean - $0)), \(signed(interval.mean + $0))]" }
  }

  private func signed(_ value: Double) -> String {
    let decimals =
      switch metric.prefix(while: { $0 != "@" }) {
      case "coverage": 1
      case "entropy": 3
      default: 4
      }
    return (value > 0 ? "+" : "") + NumberText.fixed(value, decimals: decimals)
  }
}
