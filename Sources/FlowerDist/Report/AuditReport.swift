/// The exact item distribution of a model beside the target of its training: the content of `audit.json`.
public struct AuditReport: Equatable, Sendable {
  /// The model's distribution (the mean over prompts, where there are several) against the target.
  public var metrics: DistributionMetrics
  /// The title of each leaf; shape [leaves].
  public var titles: [String]
  /// Occurrences of each leaf in the training histories, without smoothing; shape [leaves].
  public var counts: [Double]
  /// With histories, the means over prompts of the divergence to the personal target; otherwise empty.
  public var perPrompt: [Metric]
  /// `nil` in files of older versions.
  public var groups: GroupMass?

  /// How probability is spread over the popularity groups, the most popular first; each of shape [groups].
  public struct GroupMass: Equatable, Sendable {
    /// Shares of the model's distribution.
    public var policy: [Double]
    /// Shares of the target.
    public var target: [Double]
    /// Shares of the training histories.
    public var training: [Double]
    /// Where rewards are personal, shares of the mean over prompts of the personal target.
    public var personal: [Double]?

    public init(policy: [Double], target: [Double], training: [Double], personal: [Double]? = nil) {
      self.policy = policy
      self.target = target
      self.training = training
      self.personal = personal
    }
  }

  /// - Parameters:
  ///   - policy: the probability of each leaf; shape [leaves].
  ///   - target: the target weight of each leaf, in any unit; shape [leaves].
  public init(
    policy: [Double], target: [Double], titles: [String], counts: [Double], perPrompt: [Metric] = [],
    groups: GroupMass? = nil
  ) {
    precondition(titles.count == policy.count && counts.count == policy.count, "one title and count per leaf")
    metrics = DistributionMetrics(policy: policy, target: target)
    self.titles = titles
    self.counts = counts
    self.perPrompt = perPrompt
    self.groups = groups
  }

  /// The numbers that are compared, by name.
  public var summary: [Metric] {
    [
      Metric("kl", metrics.kl), Metric("reverse_kl", metrics.reverseKL), Metric("js", metrics.js),
      Metric("total_variation", metrics.totalVariation), Metric("effective_items", metrics.effectiveItems),
    ]
  }

  /// The divergences are there for other readers; `init(json:)` computes them anew from the distributions.
  public var json: JSON {
    var members = summary.map { JSON.Member($0.name, JSON($0.value)) }
    if !perPrompt.isEmpty { members.append(JSON.Member("per_prompt", .array(perPrompt.map(\.json)))) }
    if let groups { members.append(JSON.Member("group_mass", groups.json)) }
    members += [
      JSON.Member("policy", .array(metrics.policy.map { JSON($0) })),
      JSON.Member("target", .array(metrics.target.map { JSON($0) })),
      JSON.Member("titles", .array(titles.map { JSON($0) })),
      JSON.Member("counts", .array(counts.map { JSON($0) })),
    ]
    return .object(members)
  }

  /// - Throws: `FlowerError` naming the file and the field.
  public init(json: JSON, file: String) throws {
    let record = try JSONRecord(json, place: file)
    let (policy, target) = (try record.doubles("policy"), try record.doubles("target"))
    let counts = try record.doubles("counts")
    let titles = try record.array("titles").enumerated().map { index, json in
      guard let title = json.string else {
        throw FlowerError(.data, "\(file): title \(index + 1): expected a string, found \(json.kind)")
      }
      return title
    }
    for (key, length) in [("target", target.count), ("titles", titles.count), ("counts", counts.count)]
    where length != policy.count {
      throw FlowerError(
        .data, "\(file): '\(key)': expected \(policy.count) entries as in 'policy', found \(length)")
    }
    for (key, weights) in [("policy", policy), ("target", target)] {
      let sum = weights.reduce(0, +)
      guard weights.allSatisfy({ $0 >= 0 }), sum > 0, sum.isFinite else {
        throw FlowerError(.data, "\(file): '\(key)': expected numbers that are not negative and not all zero")
      }
    }
    let perPrompt = try record.optional("per_prompt", "an array", \.array) ?? []
    self.init(
      policy: policy, target: target, titles: titles, counts: counts,
      perPrompt: try Metric.list(perPrompt, place: file, name: "per_prompt"),
      groups: try record.optional("group_mass", "an object") { try GroupMass(json: $0, place: "\(file): group_mass") })
  }
}

extension AuditReport.GroupMass {
  fileprivate var json: JSON {
    var members = [("policy", policy), ("target", target), ("training", training)]
    if let personal { members.append(("personal", personal)) }
    return .object(members.map { name, shares in JSON.Member(name, .array(shares.map { JSON($0) })) })
  }

  fileprivate init(json: JSON, place: String) throws {
    let record = try JSONRecord(json, place: place)
    self.init(
      policy: try record.doubles("policy"), target: try record.doubles("target"),
      training: try record.doubles("training"), personal: record.has("personal") ? try record.doubles("personal") : nil)
    guard policy.count <= PopularityGroups.limit,
      ([target, training] + (personal.map { [$0] } ?? [])).allSatisfy({ $0.count == policy.count })
    else {
      throw FlowerError(.data, "\(place): expected as many groups everywhere, and at most \(PopularityGroups.limit)")
    }
  }

  /// A row for each group, in percent.
  fileprivate var lines: [String] {
    func percent(_ share: Double) -> String { NumberText.fixed(100 * share, decimals: 2) }
    let rows = policy.indices.map { group in
      let place = group == 0 ? " (most popular)" : group + 1 == policy.count ? " (least popular)" : ""
      return ["\(group + 1)\(place)", percent(policy[group]), percent(target[group])]
        + (personal.map { [percent($0[group])] } ?? []) + [percent(training[group])]
    }
    let header = ["popularity group", "fitted %", "target %"] + (personal == nil ? [] : ["personal target %"])
    return TextTable(header: header + ["histories %"], rows: rows).lines
  }
}

extension AuditReport {
  /// The divergences, the popularity groups, and the titles whose probability is furthest from the target; at most 80
  /// columns.
  public var table: String {
    let divergences =
      summary.map { [Metric.title($0.name), $0.text] }
      + perPrompt.map { ["\(Metric.title($0.name)), mean over prompts", $0.text] }
    var lines = TextTable(header: ["measure", "value"], rows: divergences).lines
    if let groups { lines += [""] + groups.lines }
    for (heading, deviations) in [
      ("most over-served", metrics.overserved(limit: 5)), ("most under-served", metrics.underserved(limit: 5)),
    ] {
      lines += [
        "",
        TextTable(
          header: ["\(heading)", "fitted %", "target %"],
          rows: deviations.map {
            [
              TextTable.cut(titles[$0.leaf], to: 50), NumberText.fixed(100 * $0.policy, decimals: 3),
              NumberText.fixed(100 * $0.target, decimals: 3),
            ]
          }
        ).lines.joined(separator: "\n"),
      ]
    }
    return lines.joined(separator: "\n")
  }
}
