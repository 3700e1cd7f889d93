import Foundation

/// How much a user may like each item: p(u, i) ≥ 0 by item, summing to one.
public protocol PreferenceScore: Sendable {
  /// - Parameters:
  ///   - history: item ids, oldest first; may be empty.
  ///   - target: the next item of a training example, whose own (history → target) pairs are left out; `nil` elsewhere.
  ///   - scores: one per item, all written.
  func scores(
    history: [Int32], leavingOut target: Int32?, into scores: UnsafeMutableBufferPointer<Double>)
}

extension CooccurrenceScore: PreferenceScore {}

/// The leaf weights of a recipe: the same for everybody, or personal.
public struct RewardModel: Sendable {
  public let tree: CatalogueTree
  /// Occurrences of each leaf's items in training histories, without smoothing.
  public let counts: [Double]
  /// Counts plus smoothing.
  public let smoothed: [Double]
  /// `smoothed`, summing to one.
  public let popularity: [Double]
  private let recipe: Recipe.Reward
  private let score: (any PreferenceScore)?
  private let shared: TokenRewards
  /// Items that have a score.
  private let scoredItems: Int

  /// - Parameters:
  ///   - counts: training count by item; items that are new since the training come last and have none.
  ///   - score: needed for personal weights only.
  public init(_ recipe: Recipe.Reward, tree: CatalogueTree, counts: [Double], score: (any PreferenceScore)?) throws {
    self.recipe = recipe
    self.tree = tree
    self.score = recipe.weight.isPersonal ? score : nil
    scoredItems = counts.count
    self.counts = tree.leafSums(counts)
    smoothed = self.counts.map { $0 + recipe.smoothing }
    let total = smoothed.reduce(0, +)
    if total <= 0 {
      throw FlowerError(.data, "no title of the catalogue has a weight above zero: set reward.smoothing above 0")
    }
    popularity = smoothed.map { $0 / total }
    shared = TokenRewards(tree, weights: recipe.sharedWeights(smoothed))
  }

  public var isPersonal: Bool { score != nil }

  /// The preference score by leaf: the sum over its items, at least 1e-6 of the leaf's popularity; popularity itself
  /// where the history is empty or there is no score.
  public func preference(history: [Int32], leavingOut target: Int32?, score: any PreferenceScore) -> [Double] {
    if history.isEmpty { return popularity }
    let items = [Double](unsafeUninitializedCapacity: scoredItems) { buffer, count in
      count = scoredItems
      score.scores(history: history, leavingOut: target, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
    }
    return Recipe.Reward.floored(tree.leafSums(items), popularity: popularity)
  }

  /// The rewards that hold for an example: of its personal leaf weights, or of those that are the same for everybody.
  ///
  /// - Parameter target: the item that a training example must not learn from itself.
  public func rewards(history: [Int32], leavingOut target: Int32?) -> TokenRewards {
    guard let score else { return shared }
    let preference = preference(history: history, leavingOut: target, score: score)
    return TokenRewards(tree, weights: recipe.personalWeights(preference: preference, popularity: popularity))
  }
}

extension Recipe.Reward {
  /// Leaf weights that are the same for everybody, from counts (smoothed) by leaf.
  func sharedWeights(_ counts: [Double]) -> [Double] {
    weight == .uniform ? counts.map { $0 > 0 ? 1 : 0 } : counts
  }

  /// Leaf weights of a user in units of the largest; `weight` is a personal one.
  ///
  /// With w the popularity and p the preference:
  /// - `power`: p^β · w^-γ
  /// - `divide`: w^(1/p̂) with p̂ = (p − mean p) / (max p − min p) + 1, as published
  /// - `add_log`: w · p'^c with p' = (p − min p) / (max p − min p) + 1e-20, as published
  ///
  /// Who prefers nothing (max p = min p) gets popularity: p̂ = p' = 1.
  ///
  /// - Parameters:
  ///   - preference: at least 0 by leaf, above 0 for `power`.
  ///   - popularity: by leaf, summing to one; where it is 0 so is the weight.
  func personalWeights(preference: [Double], popularity: [Double]) -> [Double] {
    let (low, high) = (preference.min()!, preference.max()!)
    let mean = preference.reduce(0, +) / Double(preference.count)
    func scaled(_ p: Double, from origin: Double, plus offset: Double) -> Double {
      high > low ? (p - origin) / (high - low) + offset : 1
    }
    let logWeights = zip(preference, popularity).map { p, w -> Double in
      guard w > 0 else { return -.infinity }
      switch weight {
      case .power: return beta * log(p) - gamma * log(w)
      case .divide: return log(w) / scaled(p, from: mean, plus: 1)
      case .addLog: return log(w) + c * log(scaled(p, from: low, plus: 1e-20))
      case .popularity, .uniform: preconditionFailure("\(weight) is not personal")
      }
    }
    // Relative to the largest, so that no exponents make all of them zero, or one infinite.
    let largest = logWeights.max()!
    // A weight that underflows would make a title unreachable, which w > 0 promises that it is not.
    return logWeights.map { $0 == -.infinity ? 0 : max(exp($0 - largest), 1e-300) }
  }

  /// The preference by leaf where a score is given: at least 1e-6 of the leaf's popularity.
  static func floored(_ preference: [Double], popularity: [Double]) -> [Double] {
    zip(preference, popularity).map { max($0, 1e-6 * $1) }
  }
}
