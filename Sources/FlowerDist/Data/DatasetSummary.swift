/// A dataset in words: sizes, use of the catalogue, problems. Lines have at most 80 characters.
public struct DatasetSummary: CustomStringConvertible, Sendable {
  private static let width = 80

  public var description: String

  /// - Parameter problems: What was noticed when it was made, or can be seen in it (`Dataset.problems`).
  public init(_ dataset: Dataset, problems: [DatasetProblem]) {
    var lines = [dataset.name] + Self.table(Self.rows(of: dataset))
    lines.append(problems.isEmpty ? "No problems noticed." : "Noticed:")
    for problem in problems {
      lines.append("  \(problem.kind.explanation): \(Self.grouped(problem.count))")
      lines += problem.examples.map { "      \($0)" }
    }
    description = lines.map(Self.cut).joined(separator: "\n")
  }

  private static func rows(of dataset: Dataset) -> [(String, String)] {
    let seen = dataset.counts.count { $0 > 0 }
    let total = dataset.counts.reduce(0, +)
    let top = dataset.counts.sorted(by: >).prefix(10).reduce(0, +)
    let length = dataset.titles.reduce(0) { $0 + $1.count }
    var rows = [
      ("items", "\(grouped(dataset.titles.count)), with \(grouped(dataset.distinctTitles)) distinct titles"),
      ("title length", "\(decimal(Double(length) / Double(max(1, dataset.titles.count)))) characters on average"),
    ]
    if dataset.isDistribution {
      rows.append(("weighted items", "\(grouped(seen)), no histories"))
    } else {
      if let users = dataset.users { rows.append(("users", grouped(users))) }
      rows += Dataset.Split.allCases.map { ("\($0.rawValue) examples", grouped(dataset[$0].count)) }
      rows.append(("history length", "\(decimal(total / Double(dataset.train.count))) items on average"))
      rows.append(("seen in training", "\(grouped(seen)) items"))
    }
    rows.append(("ten most popular", "\(decimal(100 * top / max(total, .leastNonzeroMagnitude))) % of the weight"))
    rows.append(("digest", String(dataset.digest.prefix(16))))
    return rows
  }

  private static func table(_ rows: [(String, String)]) -> [String] {
    let column = rows.map(\.0.count).max() ?? 0
    return rows.map { "  \($0)\(String(repeating: " ", count: column - $0.count))  \($1)" }
  }

  private static func cut(_ line: String) -> String {
    TextTable.cut(TextTable.printable(line), to: width)
  }

  /// With a comma between groups of three digits.
  private static func grouped(_ number: Int) -> String {
    let digits = Array(String(number.magnitude))
    let groups = stride(from: digits.count, to: 0, by: -3).map { String(digits[max(0, $0 - 3)..<$0]) }
    return (number < 0 ? "-" : "") + groups.reversed().joined(separator: ",")
  }

  /// With one decimal.
  private static func decimal(_ number: Double) -> String { String((number * 10).rounded() / 10) }
}

extension Dataset {
  /// Number of titles that differ in their bytes.
  public var distinctTitles: Int { Set(titles.map { Array($0.utf8) }).count }

  /// Number of users, where the examples name them.
  public var users: Int? {
    let users = Set(Split.allCases.lazy.flatMap { self[$0] }.compactMap(\.user))
    return users.isEmpty ? nil : users.count
  }
}
