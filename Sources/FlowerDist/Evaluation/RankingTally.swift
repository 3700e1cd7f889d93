/// What ranking metrics need to know of a set of recommendation lists, as whole numbers: exact, in any order of the lists.
public struct RankingTally: Equatable, Sendable {
  /// The list lengths K that metrics are reported for, rising.
  public let cutoffs: [Int]
  /// Number of leaves of the catalogue.
  public let leaves: Int
  /// Number of lists.
  public private(set) var examples = 0
  /// In how many lists the target stands first at each rank; entry 0 is the top. Shape [largest cutoff].
  public private(set) var hits: [Int]
  /// How often each leaf is recommended within each cutoff; row-major, shape [cutoffs, leaves].
  public private(set) var recommended: [Int]
  /// Entries within the largest cutoff that are no leaf of the catalogue.
  public private(set) var invalid = 0
  /// Targets that are no leaf of the catalogue, so that no list can have them.
  public private(set) var missingTargets = 0

  /// - Parameter cutoffs: list lengths K, rising and positive.
  public init(leaves: Int, cutoffs: [Int]) {
    precondition(cutoffs.allSatisfy { $0 > 0 } && zip(cutoffs, cutoffs.dropFirst()).allSatisfy { $0 < $1 })
    self.cutoffs = cutoffs
    self.leaves = leaves
    self.hits = Array(repeating: 0, count: cutoffs.last ?? 0)
    self.recommended = Array(repeating: 0, count: cutoffs.count * leaves)
  }

  /// Counts one list.
  ///
  /// - Parameters:
  ///   - list: leaves, the best first (or in the order drawn; repetitions are allowed). May be shorter than a cutoff.
  ///     An entry that is no leaf takes its place and counts as invalid.
  ///   - target: the leaf that followed. One that is not in the catalogue can not be hit.
  public mutating func add(_ list: [Int32], target: Int32) {
    examples += 1
    let isLeaf = 0..<leaves
    if !isLeaf.contains(Int(target)) {
      missingTargets += 1
    } else if let rank = list.prefix(hits.count).firstIndex(of: target) {
      hits[rank] += 1
    }
    for (rank, entry) in list.prefix(hits.count).enumerated() {
      guard isLeaf.contains(Int(entry)) else {
        invalid += 1
        continue
      }
      for (row, cutoff) in cutoffs.enumerated() where rank < cutoff { recommended[row * leaves + Int(entry)] += 1 }
    }
  }

  /// How often each leaf is recommended within the cutoff; shape [leaves].
  public func recommendations(within cutoff: Int) -> [Int] {
    guard let row = cutoffs.firstIndex(of: cutoff) else { preconditionFailure("no tally for cutoff \(cutoff)") }
    return Array(recommended[row * leaves..<(row + 1) * leaves])
  }
}
