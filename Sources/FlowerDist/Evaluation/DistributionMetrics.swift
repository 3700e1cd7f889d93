import Foundation

/// How far the distribution of a policy over the leaves is from the one it was trained towards.
///
/// Both are divided by their sums first, so weights may be given as well as probabilities. Logarithms are natural.
/// Conventions at zero: a term `p log(p/q)` is 0 where `p = 0`, and infinite where `p > 0 = q`; so a KL divergence is
/// infinite if its first distribution has mass where the second has none. JS and total variation are always finite.
public struct DistributionMetrics: Equatable, Sendable {
  /// An item whose probability differs from its target.
  public struct Deviation: Equatable, Sendable {
    public var leaf: Int
    public var policy: Double
    public var target: Double
  }

  /// `KL(target ‖ policy)` in nats: what maximum likelihood minimises.
  public let kl: Double
  /// `KL(policy ‖ target)` in nats.
  public let reverseKL: Double
  /// Jensen-Shannon divergence in nats, at most log 2.
  public let js: Double
  /// Half the sum of absolute differences, between 0 and 1.
  public let totalVariation: Double
  /// Shannon entropy of the policy in nats.
  public let entropy: Double
  /// Shannon entropy of the target in nats.
  public let targetEntropy: Double
  /// Probabilities of the policy; shape [leaves].
  public let policy: [Double]
  /// Probabilities of the target; shape [leaves].
  public let target: [Double]

  /// Number of equally likely items with the policy's entropy, `exp(entropy)`.
  public var effectiveItems: Double { exp(entropy) }
  /// Number of equally likely items with the target's entropy.
  public var effectiveTargetItems: Double { exp(targetEntropy) }

  /// - Parameters:
  ///   - policy: the policy's probability of each leaf; finite, not negative, not all zero; shape [leaves].
  ///   - target: the target weight of each leaf; the same conditions; shape [leaves].
  public init(policy: [Double], target: [Double]) {
    precondition(policy.count == target.count, "one target per leaf")
    let p = Self.normalized(policy)
    let q = Self.normalized(target)
    let middle = zip(p, q).map { ($0 + $1) / 2 }
    kl = Self.divergence(q, p)
    reverseKL = Self.divergence(p, q)
    js = (Self.divergence(p, middle) + Self.divergence(q, middle)) / 2
    totalVariation = zip(p, q).reduce(0) { $0 + abs($1.0 - $1.1) } / 2
    entropy = Self.entropy(p)
    targetEntropy = Self.entropy(q)
    self.policy = p
    self.target = q
  }

  /// The items with the largest surplus of probability, the largest first; at most `limit`.
  public func overserved(limit: Int) -> [Deviation] { deviations(limit: limit) { $0.policy - $0.target } }

  /// The items with the largest deficit of probability, the largest first; at most `limit`.
  public func underserved(limit: Int) -> [Deviation] { deviations(limit: limit) { $0.target - $0.policy } }

  private func deviations(limit: Int, by excess: (Deviation) -> Double) -> [Deviation] {
    let all = policy.indices.map { Deviation(leaf: $0, policy: policy[$0], target: target[$0]) }
    return Array(
      all.filter { excess($0) > 0 }.sorted { (-excess($0), $0.leaf) < (-excess($1), $1.leaf) }.prefix(limit))
  }

  private static func normalized(_ weights: [Double]) -> [Double] {
    let sum = weights.reduce(0, +)
    precondition(
      sum > 0 && sum.isFinite && weights.allSatisfy { $0 >= 0 }, "weights that no distribution follows from")
    return weights.map { $0 / sum }
  }

  /// `Σ p log(p/q)`.
  private static func divergence(_ p: [Double], _ q: [Double]) -> Double {
    let sum = zip(p, q).reduce(0.0) { sum, pair in pair.0 > 0 ? sum + pair.0 * log(pair.0 / pair.1) : sum }
    // Equal distributions can sum to a rounding error below zero.
    return max(sum, 0)
  }

  private static func entropy(_ p: [Double]) -> Double {
    max(p.reduce(0.0) { $1 > 0 ? $0 - $1 * log($1) : $0 }, 0)
  }
}
