/// Rows of several seeds put together: means with 95 % intervals over seeds, and the settings that validation selects.
public struct ResultTable: Sendable {
  /// The rows of one setting.
  public struct Group: Sendable {
    public let setting: ResultRow.Setting
    /// Unlike those of every other group.
    public fileprivate(set) var name: String
    /// One per seed, without those that diverged.
    public fileprivate(set) var rows: [ResultRow] = []
    public fileprivate(set) var diverged: [ResultRow] = []

    /// A metric of the best lists on a split (or, without histories, of the exact distribution) over the seeds; `nil` if
    /// a row lacks it.
    public func mean(
      _ metric: String, _ split: Dataset.Split, _ lists: EvaluationReport.Lists = .topK
    )
      -> MeanInterval?
    {
      let values = rows.map { row in
        row.audit.first { $0.name == metric }?.value ?? row[split]?.model(lists)?[metric]?.value
      }
      guard !values.isEmpty, !values.contains(nil) else { return nil }
      return MeanInterval(values.compactMap { $0 })
    }

    /// What a training took, on average.
    var seconds: Double? {
      rows.isEmpty ? nil : rows.reduce(0) { $0 + $1.seconds } / Double(rows.count)
    }
  }

  /// In the order of the rows.
  public let groups: [Group]
  /// The metric that selects.
  public let select: String

  public init(_ rows: [ResultRow], select: String? = nil) {
    var groups: [Group] = []
    let recipes = Set(rows.map(\.setting.recipe))
    for row in rows {
      let index =
        groups.firstIndex { $0.setting == row.setting }
        ?? {
          let isShort = recipes.count == 1 && !row.setting.values.isEmpty
          groups.append(
            Group(setting: row.setting, name: isShort ? row.setting.valueText : row.setting.text))
          return groups.count - 1
        }()
      if row.status == .diverged {
        groups[index].diverged.append(row)
      } else {
        groups[index].rows.append(row)
      }
    }
    self.groups = groups
    self.select = select ?? (rows.contains { !$0.audit.isEmpty } ? "total_variation" : "ndcg@10")
  }

  /// Whether the rows are of data without histories.
  var isDistribution: Bool { groups.contains { $0.rows.contains { !$0.audit.isEmpty } } }

  /// The best setting of each recipe by the metric's mean on the validation split; settings with a diverged run, and
  /// recipes with one setting, are not chosen between.
  public var selected: Set<ResultRow.Setting> {
    let higher = Metric.better(select) == .higher
    var best: [String: (setting: ResultRow.Setting, value: Double)] = [:]
    for group in groups where group.diverged.isEmpty {
      guard let value = group.mean(select, .valid)?.mean, !value.isNaN else { continue }
      let recipe = group.setting.recipe
      if let other = best[recipe], higher ? value <= other.value : value >= other.value { continue }
      best[recipe] = (group.setting, value)
    }
    return Set(best.values.map(\.setting))
  }

  /// Whether there was something to select.
  private var selects: Bool { Set(groups.map(\.setting.recipe)).count < groups.count }
}

// MARK: - Parts of the tables

extension ResultTable {
  /// A table of one split and kind of lists.
  struct Block {
    var title: String
    var header: [String]
    var rows: [Row]

    struct Row {
      var name: String
      var cells: [Cell]
      var isReference = false
      var isSelected = false
    }

    struct Cell {
      var value: String
      /// Half the width of its interval.
      var error: String? = nil
      var isBest = false

      var text: String { error.map { "\(value) ± \($0)" } ?? value }
    }
  }

  private static let columns = [
    "hr@5", "hr@10", "ndcg@10", "dgu@10", "mgu@10", "entropy@10", "ttr@10", "coverage@10",
  ]
  /// Those that the terminal has room for.
  private static let mainColumns = ["ndcg@10", "hr@10", "dgu@10", "coverage@10"]
  private static let auditColumns = ["total_variation", "js", "kl", "reverse_kl", "effective_items"]
  private static let mainAuditColumns = ["total_variation", "js", "kl"]

  /// The tables that there are numbers for: validation, then test, best lists, then samples; or the exact distribution.
  ///
  /// - Parameter isShort: for the terminal, which has no room for more.
  func blocks(isShort: Bool = false, lists kinds: [EvaluationReport.Lists]) -> [Block] {
    if isDistribution {
      return [block("Exact distribution", isShort ? Self.mainAuditColumns : Self.auditColumns, .valid, .topK)]
    }
    let columns = isShort ? Self.mainColumns : Self.columns
    return [Dataset.Split.valid, .test].flatMap { split in
      kinds.compactMap { lists in
        guard let first = groups.lazy.flatMap(\.rows).compactMap({ $0[split]?.model(lists) }).first
        else { return nil }
        let name = split == .valid ? "Validation" : "Test"
        let title =
          "\(name), \(lists.title) lists of \(NumberText.grouped(Double(first.examples))) examples"
        return block(title, columns, split, lists)
      }
    }
  }

  private func block(
    _ title: String, _ columns: [String], _ split: Dataset.Split, _ lists: EvaluationReport.Lists
  ) -> Block {
    let selected = selects ? selected : []
    let measured = groups.map { group in
      (group: group, means: columns.map { group.mean($0, split, lists) })
    }
    let best = columns.indices.map { column in
      Self.best(columns[column], of: measured.compactMap { $0.means[column]?.mean })
    }
    var rows = measured.compactMap { group, means -> Block.Row? in
      // Settings that were not selected are not missing from the test split.
      if split == .test, means.allSatisfy({ $0 == nil }) { return nil }
      let cells = columns.indices.map { column -> Block.Cell in
        guard let mean = means[column] else { return Block.Cell(value: "–") }
        let name = columns[column]
        let value = Metric(name, mean.mean).text
        return Block.Cell(
          value: value, error: mean.halfWidth.map { Metric(name, $0).text }, isBest: value == best[column])
      }
      let costs = [Self.count(group), group.seconds.map { NumberText.short($0) } ?? "–"]
      return Block.Row(
        name: group.name, cells: cells + costs.map { Block.Cell(value: $0) },
        isSelected: selected.contains(group.setting))
    }
    rows += references(split, lists).map { reference in
      let cells = columns.map { reference[$0]?.text ?? "–" } + ["", ""]
      return Block.Row(
        name: reference.name, cells: cells.map { Block.Cell(value: $0) }, isReference: true)
    }
    return Block(title: title, header: columns.map(Metric.title) + ["runs", "seconds"], rows: rows)
  }

  /// The best of several values as it is printed, so that what looks equal is equal; `nil` if all look equal or the
  /// metric has no good end.
  private static func best(_ metric: String, of values: [Double]) -> String? {
    guard let better = Metric.better(metric), Set(values.map { Metric(metric, $0).text }).count > 1
    else { return nil }
    return (better == .higher ? values.max() : values.min()).map { Metric(metric, $0).text }
  }

  private static func count(_ group: Group) -> String {
    let lost = group.diverged.count
    return "\(group.rows.count)" + (lost > 0 ? " + \(lost) diverged" : "")
  }

  /// Lines to compare with, each once; those of one name with other numbers name the setting that they belong to.
  func references(_ split: Dataset.Split, _ lists: EvaluationReport.Lists) -> [EvaluationReport] {
    var references: [EvaluationReport] = []
    for group in groups {
      for row in group.rows {
        for var reference in row[split]?.rows ?? []
        where reference.isReference && reference.lists == lists {
          if references.contains(where: { $0.metrics == reference.metrics }) { continue }
          if references.contains(where: { $0.name == reference.name }) {
            reference.name += " (\(group.name))"
          }
          references.append(reference)
        }
      }
    }
    return references
  }
}

// MARK: - Text

extension ResultTable {
  /// The tables for the terminal.
  public var text: String {
    var parts = blocks(isShort: true, lists: [.topK]).map { block in
      let rows = block.rows.map { row in
        [(row.isSelected ? "→ " : "  ") + row.name]
          + row.cells.map { $0.text + ($0.isBest ? "*" : " ") }
      }
      let table = TextTable(
        header: ["  method"] + block.header.map { $0 + " " }, rows: rows, width: 110)
      return "\(block.title)\n\n\(table.lines.joined(separator: "\n"))"
    }
    parts += notes(mark: "→")
    return parts.joined(separator: "\n\n") + "\n"
  }

  /// The tables in Markdown, the best of the trained methods bold, under headings of a level.
  public func markdown(headingLevel: Int = 3) -> String {
    var parts = blocks(lists: EvaluationReport.Lists.allCases).map { block in
      let columns = block.header.indices.filter { column in
        block.rows.contains { !["–", ""].contains($0.cells[column].text) }
      }
      var lines = [
        [""] + columns.map { block.header[$0] },
        Array(repeating: "---", count: columns.count + 1),
      ]
      lines += block.rows.map { row in
        [Self.escaped(row.name) + (row.isSelected ? " (selected)" : "")]
          + columns.map { row.cells[$0].isBest ? "**\(row.cells[$0].text)**" : row.cells[$0].text }
      }
      let body = lines.map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
      return "\(String(repeating: "#", count: headingLevel)) \(block.title)\n\n\(body)"
    }
    parts += notes(mark: "(selected)").map(Self.escaped)
    return parts.joined(separator: "\n\n") + "\n"
  }

  /// What the tables do not say themselves.
  /// - Parameter mark: what selected settings have.
  func notes(mark: String) -> [String] {
    var lines: [String] = []
    if groups.contains(where: { $0.rows.count > 1 }) {
      lines.append("Mean ± half a 95 % interval over the seeds.")
    }
    if selects {
      let place = isDistribution ? "" : " on the validation split"
      lines.append("\(mark) is a recipe's setting with the best mean of \(Metric.title(select))\(place).")
    }
    lines += groups.flatMap(\.diverged).map { "\($0.run) diverged: \($0.message ?? "")" }
    return lines.map(TextTable.printable)
  }

  /// Text that neither ends a cell nor means something in Markdown.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in TextTable.printable(text) {
      if "\\`*_|<>[]#".contains(character) { result.append("\\") }
      result.append(character.isNewline ? " " : character)
    }
    return result
  }
}
