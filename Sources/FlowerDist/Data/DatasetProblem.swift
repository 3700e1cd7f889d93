/// Something about a dataset that its user should know: how often it occurs, with a few examples.
public struct DatasetProblem: Equatable, Sendable {
  public enum Kind: String, CaseIterable, Sendable {
    case damagedLines = "damaged_lines"
    case outsideWindow = "interactions_outside_window"
    case untitledItems = "untitled_items"
    case longTitles = "long_titles"
    case itemsOutsideCore = "items_outside_core"
    case usersOutsideCore = "users_outside_core"
    case lineBreaks = "line_breaks"
    case duplicateTitles = "duplicate_titles"
    case prefixTitles = "prefix_titles"
    case unreachableTargets = "unreachable_targets"

    /// What is counted, in words.
    public var explanation: String {
      switch self {
      case .damagedLines: "Damaged lines, skipped"
      case .outsideWindow: "Interactions outside of the time window, left out"
      case .untitledItems: "Items without a title, left out with their interactions"
      case .longTitles: "Items with a title of too many words, left out with their interactions"
      case .itemsOutsideCore: "Items with too few interactions, left out"
      case .usersOutsideCore: "Users with too few interactions, left out"
      case .lineBreaks: "Titles with line breaks, which became spaces"
      case .duplicateTitles: "Titles that several items share, as one leaf"
      case .prefixTitles: "Titles that are the beginning of another"
      case .unreachableTargets: "Test targets unseen in training histories (need smoothing)"
      }
    }
  }

  /// How many examples are kept.
  public static let exampleLimit = 3

  public var kind: Kind
  public var count: Int
  /// The first few, as text.
  public var examples: [String]

  public init(kind: Kind, count: Int, examples: [String]) {
    self.kind = kind
    self.count = count
    self.examples = Array(examples.prefix(Self.exampleLimit))
  }
}

extension Dataset {
  /// The problems that can be seen in the dataset itself, each at most once and only those that occur.
  public func problems() -> [DatasetProblem] {
    [duplicateTitles(), prefixTitles(), unreachableTargets()].filter { $0.count > 0 }
  }

  private func duplicateTitles() -> DatasetProblem {
    var uses: [[UInt8]: Int] = [:]
    let shared = titles.filter { title in
      uses[Array(title.utf8), default: 0] += 1
      return uses[Array(title.utf8)] == 2
    }
    return DatasetProblem(kind: .duplicateTitles, count: shared.count, examples: shared)
  }

  /// In byte order a title that begins others stands right before one of them.
  private func prefixTitles() -> DatasetProblem {
    let sorted = Set(titles.map { Array($0.utf8) }).sorted { $0.lexicographicallyPrecedes($1) }
    let pairs = zip(sorted, sorted.dropFirst()).filter { $1.starts(with: $0) }
    return DatasetProblem(
      kind: .prefixTitles, count: pairs.count,
      examples: pairs.prefix(DatasetProblem.exampleLimit).map {
        "\(String(decoding: $0, as: UTF8.self)) / \(String(decoding: $1, as: UTF8.self))"
      })
  }

  private func unreachableTargets() -> DatasetProblem {
    let seen = Set(zip(titles, counts).lazy.filter { $0.1 > 0 }.map { Array($0.0.utf8) })
    let unreachable = test.map { titles[Int($0.item)] }.filter { !seen.contains(Array($0.utf8)) }
    var shown = Set<[UInt8]>()
    return DatasetProblem(
      kind: .unreachableTargets, count: unreachable.count,
      examples: unreachable.filter { shown.insert(Array($0.utf8)).inserted })
  }
}
