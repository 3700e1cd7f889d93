/// The metrics of one method's recommendation lists: a row of the comparison, and of `evaluation.json`.
public struct EvaluationReport: Equatable, Sendable {
  /// How the lists came about; fairness and diversity are never compared across kinds.
  public enum Lists: String, CaseIterable, Sendable {
    /// The K most probable items.
    case topK = "top-k"
    /// K items sampled from the policy.
    case sampled

    /// In headings.
    var title: String { self == .topK ? "top-K" : "sampled" }
  }

  /// Shares of the popularity groups within the first K entries.
  public struct GroupShares: Equatable, Sendable {
    public var cutoff: Int
    /// Shape [groups].
    public var recommended: [Double]
    /// Shape [groups].
    public var training: [Double]

    public init(cutoff: Int, recommended: [Double], training: [Double]) {
      self.cutoff = cutoff
      self.recommended = recommended
      self.training = training
    }
  }

  /// Who recommends: the run, or a reference such as `popularity`.
  public var name: String
  /// Whether this is a line to compare with, not a trained model.
  public var isReference: Bool
  public var lists: Lists
  /// Number of examples (lists).
  public var examples: Int
  /// In the order in which they are shown; names are unique.
  public var metrics: [Metric]
  public var groupShares: [GroupShares]
  /// Of the best lists: what paired comparisons need.
  public var targets: TargetRanks?

  public init(
    name: String, isReference: Bool = false, lists: Lists, examples: Int, metrics: [Metric],
    groupShares: [GroupShares] = []
  ) {
    self.name = name
    self.isReference = isReference
    self.lists = lists
    self.examples = examples
    self.metrics = metrics
    self.groupShares = groupShares
  }

  /// All ranking metrics: accuracy at every cutoff; fairness and diversity at 5 and 10 (where those are cutoffs).
  public init(name: String, isReference: Bool = false, lists: Lists, ranking: RankingMetrics) {
    let fairness = ranking.atCutoffs.filter { [5, 10].contains($0.cutoff) }
    var metrics: [Metric] = []
    for at in ranking.atCutoffs {
      metrics.append(Metric("hr@\(at.cutoff)", at.hitRate.value, standardError: at.hitRate.standardError))
    }
    for at in ranking.atCutoffs {
      metrics.append(Metric("ndcg@\(at.cutoff)", at.ndcg.value, standardError: at.ndcg.standardError))
    }
    metrics += fairness.map { Metric("dgu@\($0.cutoff)", $0.dgu) }
    metrics += fairness.map { Metric("mgu@\($0.cutoff)", $0.mgu) }
    metrics += fairness.map { Metric("entropy@\($0.cutoff)", $0.wordEntropy) }
    metrics += fairness.map { Metric("ttr@\($0.cutoff)", $0.typeTokenRatio) }
    metrics += fairness.map { Metric("coverage@\($0.cutoff)", Double($0.coverage)) }
    metrics += fairness.map { Metric("gini@\($0.cutoff)", $0.gini) }
    metrics.append(Metric("invalid", Double(ranking.invalid)))
    if ranking.missingTargets > 0 { metrics.append(Metric("missing_targets", Double(ranking.missingTargets))) }
    self.init(
      name: name, isReference: isReference, lists: lists, examples: ranking.examples, metrics: metrics,
      groupShares: fairness.map {
        GroupShares(cutoff: $0.cutoff, recommended: $0.groupShares, training: ranking.trainingShares)
      })
  }

  public subscript(metric: String) -> Metric? { metrics.first { $0.name == metric } }
}

// MARK: - JSON

extension EvaluationReport {
  public var json: JSON {
    [
      "name": JSON(name),
      "reference": JSON(isReference),
      "lists": JSON(lists.rawValue),
      "examples": JSON(examples),
      "metrics": .array(metrics.map(\.json)),
      "group_shares": .array(
        groupShares.map { shares in
          [
            "cutoff": JSON(shares.cutoff),
            "recommended": .array(shares.recommended.map { JSON($0) }),
            "training": .array(shares.training.map { JSON($0) }),
          ]
        }),
      "targets": targets?.json ?? .null,
    ]
  }

  /// - Parameter place: what errors call this value, such as `evaluation.json: row 2`.
  /// - Throws: `FlowerError` naming the place and the field.
  public init(json: JSON, place: String) throws {
    let record = try JSONRecord(json, place: place)
    name = try record.string("name")
    isReference = try record.optional("reference", "true or false", \.bool) ?? false
    let kinds = Lists.allCases.map { "'\($0.rawValue)'" }.joined(separator: " or ")
    lists = try record.required("lists", kinds) { $0.string.flatMap(Lists.init(rawValue:)) }
    examples = try record.count("examples")
    metrics = try Metric.list(record.array("metrics"), place: place, name: "metric")
    let shares = try record.optional("group_shares", "an array", \.array) ?? []
    groupShares = try shares.enumerated().map { index, json in
      let place = "\(place): group_shares \(index + 1)"
      let record = try JSONRecord(json, place: place)
      let shares = GroupShares(
        cutoff: try record.count("cutoff"), recommended: try record.doubles("recommended"),
        training: try record.doubles("training"))
      guard shares.recommended.count == shares.training.count, shares.training.count <= PopularityGroups.limit else {
        throw FlowerError(
          .data,
          "\(place): expected as many recommended as training shares, and at most \(PopularityGroups.limit) of them")
      }
      return shares
    }
    targets = try record.optional("targets", "an object") { try TargetRanks(json: $0, place: "\(place): targets") }
    if let targets, targets.ranks.count != examples {
      throw FlowerError(.data, "\(place): targets: expected \(examples) examples, found \(targets.ranks.count)")
    }
  }

  /// Rows of a file, at most. References are compared with each other.
  private static let rowLimit = 64

  /// Reads an array of rows, as in `evaluation.json`.
  public static func rows(json: JSON, file: String) throws -> [EvaluationReport] {
    guard let rows = json.array else {
      throw FlowerError(.data, "\(file): expected an array of evaluation rows, found \(json.kind)")
    }
    guard rows.count <= rowLimit else {
      throw FlowerError(.data, "\(file): expected at most \(rowLimit) evaluation rows, found \(rows.count)")
    }
    return try rows.enumerated().map { try EvaluationReport(json: $0.element, place: "\(file): row \($0.offset + 1)") }
  }
}

// MARK: - Text

extension EvaluationReport {
  /// All metrics of one row for the terminal: a line per metric, a column per cutoff, at most 80 columns.
  public var table: String {
    var names: [String] = []
    var cells: [String: [String: Metric]] = [:]
    var cutoffs: [String] = []
    for metric in metrics {
      let parts = metric.name.split(separator: "@", maxSplits: 1).map(String.init)
      let (name, cutoff) = (parts.first ?? metric.name, parts.count == 2 ? parts[1] : "")
      if !names.contains(name) { names.append(name) }
      if !cutoffs.contains(cutoff) { cutoffs.append(cutoff) }
      cells[name, default: [:]][cutoff] = metric
    }
    cutoffs.sort { (Int($0) ?? .max) < (Int($1) ?? .max) }
    let rows = names.map { name in
      [Metric.title(name)]
        + cutoffs.map { cutoff in
          guard let metric = cells[name]?[cutoff] else { return "" }
          return metric.text + (metric.standardError.map { "±" + NumberText.fixed($0, decimals: 3) } ?? "")
        }
    }
    let header = ["metric"] + cutoffs.map { $0.isEmpty ? "total" : "@\($0)" }
    let heading = "\(TextTable.printable(name)) · \(lists.title) lists · \(examples) examples"
    return ([TextTable.cut(heading, to: 80)] + TextTable(header: header, rows: rows).lines).joined(separator: "\n")
  }

  /// The comparison of each kind of lists under a heading, for rows of one evaluation.
  public static func comparisons(_ rows: [EvaluationReport]) -> String {
    Lists.allCases.compactMap { lists in
      let rows = rows.filter { $0.lists == lists }
      guard let first = rows.first else { return nil }
      let missing = first["missing_targets"].map { "; \($0.text) targets are not in the catalogue and count as misses" }
      return "\(lists.title) lists of \(first.examples) examples\(missing ?? "")\n\n\(comparison(rows))"
    }.joined(separator: "\n\n")
  }

  /// Rows of one kind of lists against the main metrics, for the terminal; at most 80 columns. The best value of the
  /// trained models is marked `*` where there are several.
  public static func comparison(_ rows: [EvaluationReport]) -> String {
    let names = ["hr@10", "ndcg@10", "dgu@10", "mgu@10", "entropy@10", "coverage@10"]
    let shown = names.filter { name in rows.contains { $0[name] != nil } }
    let best = Dictionary(uniqueKeysWithValues: shown.map { ($0, bestValue(of: $0, in: rows)) })
    let body = rows.map { row in
      [row.name]
        + shown.map { name in
          guard let metric = row[name] else { return "–" }
          let error = name.hasPrefix("hr") ? metric.standardError : nil
          return metric.text + (error.map { "±" + NumberText.fixed($0, decimals: 3) } ?? "")
            + (!row.isReference && best[name] == metric.text ? "*" : " ")
        }
    }
    return TextTable(header: ["method"] + shown.map { Metric.title($0) + " " }, rows: body).lines.joined(
      separator: "\n")
  }

  /// The best value of a metric among the trained models, as it is printed, so that what looks equal is equal; `nil`
  /// if there are no two different ones or it has no good end.
  static func bestValue(of name: String, in rows: [EvaluationReport]) -> String? {
    let candidates = rows.filter { !$0.isReference }.compactMap { $0[name] }
    guard Set(candidates.map(\.text)).count > 1, let better = Metric.better(name) else { return nil }
    let best = candidates.max { better == .higher ? $0.value < $1.value : $0.value > $1.value }
    return best?.text
  }
}
