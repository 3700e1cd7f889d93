import Foundation

/// Accuracy, fairness and diversity of recommendation lists; `docs/metrics.md` defines every one.
///
/// Top-K lists and sampled lists are different questions and are reported apart: make one value for each.
public struct RankingMetrics: Equatable, Sendable {
  /// A mean over examples with its standard error, `sqrt(Σ(x - mean)² / (n (n - 1)))`; zero for one example.
  public struct Mean: Equatable, Sendable {
    public var value: Double
    public var standardError: Double
  }

  /// What is measured of the first K entries of all lists.
  public struct AtCutoff: Equatable, Sendable {
    public var cutoff: Int
    /// HR@K: the share of lists that contain the target.
    public var hitRate: Mean
    /// NDCG@K: the mean of `1/log2(rank + 1)` of the target, zero where it is missing.
    public var ndcg: Mean
    /// DGU@K: the largest less the smallest difference between a group's share in the lists and in the histories.
    public var dgu: Double
    /// MGU@K: the mean absolute difference.
    public var mgu: Double
    /// H@K: Shannon entropy, in bits, of the words of all recommended titles.
    public var wordEntropy: Double
    /// TTR@K: distinct words over words.
    public var typeTokenRatio: Double
    /// Number of distinct leaves recommended.
    public var coverage: Int
    /// Inequality of how often the leaves of the catalogue are recommended: 0 all equally often, towards 1 only one.
    public var gini: Double
    /// Share of each popularity group in the recommendations; shape [groups].
    public var groupShares: [Double]
  }

  public static let standardCutoffs = [1, 3, 5, 10, 20]

  public let examples: Int
  /// Entries that are no leaf of the catalogue.
  public let invalid: Int
  /// Targets that are no leaf of the catalogue: misses.
  public let missingTargets: Int
  public let atCutoffs: [AtCutoff]
  /// Share of each popularity group in the training histories; shape [groups].
  public let trainingShares: [Double]

  /// - Parameter titles: the title of each leaf; shape [leaves].
  public init(tally: RankingTally, titles: [String], groups: PopularityGroups) {
    precondition(titles.count == tally.leaves && groups.groupOfLeaf.count == tally.leaves, "one title per leaf")
    let words = TitleWords(titles: titles)
    examples = tally.examples
    invalid = tally.invalid
    missingTargets = tally.missingTargets
    trainingShares = groups.trainingShares
    atCutoffs = tally.cutoffs.map { cutoff in
      let (hitRate, ndcg) = Self.accuracy(tally, within: cutoff)
      let recommended = tally.recommendations(within: cutoff)
      let shares = groups.shares(of: recommended.map(Double.init))
      let differences = zip(shares, groups.trainingShares).map { $0 - $1 }
      let diversity = words.diversity(leafCounts: recommended)
      return AtCutoff(
        cutoff: cutoff,
        hitRate: hitRate,
        ndcg: ndcg,
        dgu: (differences.max() ?? 0) - (differences.min() ?? 0),
        mgu: differences.reduce(0) { $0 + abs($1) } / Double(groups.count),
        wordEntropy: diversity.entropy,
        typeTokenRatio: diversity.typeTokenRatio,
        coverage: recommended.count { $0 > 0 },
        gini: Self.gini(recommended),
        groupShares: shares)
    }
  }

  /// - Parameters:
  ///   - lists: leaves, the best first, for each example; may be shorter than a cutoff.
  ///   - targets: the leaf that followed, for each example.
  ///   - titles: the title of each leaf; shape [leaves].
  public init(
    lists: [[Int32]], targets: [Int32], titles: [String], groups: PopularityGroups,
    cutoffs: [Int] = standardCutoffs
  ) {
    precondition(lists.count == targets.count, "one target per list")
    var tally = RankingTally(leaves: titles.count, cutoffs: cutoffs)
    for (list, target) in zip(lists, targets) { tally.add(list, target: target) }
    self.init(tally: tally, titles: titles, groups: groups)
  }

  /// HR and NDCG of the first `cutoff` entries, which need neither titles nor groups.
  static func accuracy(_ tally: RankingTally, within cutoff: Int) -> (hitRate: Mean, ndcg: Mean) {
    let hits = tally.hits.prefix(cutoff)
    return (
      mean(gains: hits.map { _ in 1 }, counts: hits, of: tally.examples),
      mean(gains: hits.indices.map { 1 / log2(Double($0 + 2)) }, counts: hits, of: tally.examples)
    )
  }

  /// The mean over `n` examples of which `counts[i]` score `gains[i]` and all others zero.
  private static func mean(gains: [Double], counts: ArraySlice<Int>, of n: Int) -> Mean {
    guard n > 0 else { return Mean(value: 0, standardError: 0) }
    let mean = zip(gains, counts).reduce(0) { $0 + $1.0 * Double($1.1) } / Double(n)
    guard n > 1 else { return Mean(value: mean, standardError: 0) }
    let misses = Double(n - counts.reduce(0, +))
    let squares = zip(gains, counts).reduce(misses * mean * mean) {
      $0 + Double($1.1) * ($1.0 - mean) * ($1.0 - mean)
    }
    return Mean(value: mean, standardError: (squares / (Double(n) * Double(n - 1))).squareRoot())
  }

  /// `Σ_i (2i - n - 1) x_i / (n Σ x)` over the counts in rising order, i from 1; zero if nothing is recommended.
  static func gini(_ counts: [Int]) -> Double {
    let total = counts.reduce(0, +)
    guard total > 0 else { return 0 }
    let weighted = counts.sorted().enumerated().reduce(0.0) { sum, entry in
      sum + Double(2 * entry.offset + 1 - counts.count) * Double(entry.element)
    }
    return weighted / (Double(counts.count) * Double(total))
  }
}
