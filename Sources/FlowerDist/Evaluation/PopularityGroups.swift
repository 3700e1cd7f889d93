/// The catalogue cut into groups of equal numbers of titles, from the most to the least popular.
///
/// Leaves with a training count above zero are sorted by count, the largest first; ties keep the order of first
/// appearance in the training histories. Every group gets the same number of them, the remainder goes one each to the
/// first groups. Leaves that never occur belong to the last group. With fewer seen leaves than groups the later
/// groups are empty (but for the unseen leaves in the last).
public struct PopularityGroups: Equatable, Sendable {
  /// Number of groups in all published comparisons.
  public static let standardCount = 8

  /// Most groups that a file may speak of; a chart has bars for each.
  static let limit = 64

  /// Number of groups.
  public let count: Int
  /// The group of each leaf, `0` the most popular; shape [leaves].
  public let groupOfLeaf: [Int]
  /// Each group's share of all occurrences in the training histories; shape [groups]. All zero without occurrences.
  public let trainingShares: [Double]

  /// - Parameters:
  ///   - counts: occurrences of each leaf in the training histories, without smoothing; shape [leaves].
  ///   - firstAppearance: leaves in the order in which they first occur. A leaf that is missing comes after those that
  ///     are present, by its number; numbers that are no leaf are ignored.
  ///   - groups: number of groups.
  public init(
    counts: [Double], firstAppearance: some Sequence<some BinaryInteger>, groups: Int = standardCount
  ) {
    precondition(groups > 0, "at least one popularity group")
    var order = [Int](repeating: .max, count: counts.count)
    for (position, leaf) in firstAppearance.enumerated() {
      guard let leaf = Int(exactly: leaf), counts.indices.contains(leaf) else { continue }
      order[leaf] = min(order[leaf], position)
    }
    let seen = counts.indices.filter { counts[$0] > 0 }.sorted {
      (-counts[$0], order[$0], $0) < (-counts[$1], order[$1], $1)
    }
    let (size, remainder) = seen.count.quotientAndRemainder(dividingBy: groups)
    var groupOfLeaf = [Int](repeating: groups - 1, count: counts.count)
    var start = 0
    for group in 0..<groups {
      let end = start + size + (group < remainder ? 1 : 0)
      for leaf in seen[start..<end] { groupOfLeaf[leaf] = group }
      start = end
    }
    self.count = groups
    self.groupOfLeaf = groupOfLeaf
    self.trainingShares = Self.shares(of: counts.map { max($0, 0) }, groupOfLeaf: groupOfLeaf, groups: groups)
  }

  /// Each group's share of non-negative weights of the leaves; shape [leaves] to [groups]. All zero if the weights are.
  public func shares(of weights: [Double]) -> [Double] {
    Self.shares(of: weights, groupOfLeaf: groupOfLeaf, groups: count)
  }

  private static func shares(of weights: [Double], groupOfLeaf: [Int], groups: Int) -> [Double] {
    precondition(weights.count == groupOfLeaf.count, "one weight per leaf")
    var sums = [Double](repeating: 0, count: groups)
    for (leaf, weight) in weights.enumerated() { sums[groupOfLeaf[leaf]] += weight }
    let total = sums.reduce(0, +)
    return total > 0 ? sums.map { $0 / total } : sums
  }
}
