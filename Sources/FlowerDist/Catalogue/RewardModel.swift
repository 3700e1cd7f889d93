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

  /// - Parameters:
  ///   - counts: training count by item.
  ///   - score: needed for `power` only.
  public init(_ recipe: Recipe.Reward, tree: CatalogueTree, counts: [Double], score: (any PreferenceScore)?) throws {
    self.recipe = recipe
    self.tree = tree
    self.score = recipe.weight == .power ? score : nil
    var byLeaf = [Double](repeating: 0, count: tree.leafCount)
    for (item, count) in counts.enumerated() { byLeaf[Int(tree.leafOfItem[item])] += count }
    self.counts = byLeaf
    smoothed = byLeaf.map { $0 + recipe.smoothing }
    let total = smoothed.reduce(0, +)
    if total <= 0 {
      throw FlowerError(.data, "no title of the catalogue has a weight above zero: set reward.smoothing above 0")
    }
    popularity = smoothed.map { $0 / total }
    shared = TokenRewards(tree, weights: recipe.weight == .uniform ? smoothed.map { $0 > 0 ? 1 : 0 } : smoothed)
  }

  public var isPersonal: Bool { score != nil }

  /// The preference score by leaf: the sum over its items, at least 1e-6 of the leaf's popularity; popularity itself
  /// where the history is empty or there is no score.
  public func preference(history: [Int32], leavingOut target: Int32?, score: any PreferenceScore) -> [Double] {
    if history.isEmpty { return popularity }
    let items = [Double](unsafeUninitializedCapacity: tree.leafOfItem.count) { buffer, count in
      count = tree.leafOfItem.count
      score.scores(history: history, leavingOut: target, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
    }
    var byLeaf = [Double](repeating: 0, count: tree.leafCount)
    for (item, value) in items.enumerated() { byLeaf[Int(tree.leafOfItem[item])] += value }
    for leaf in byLeaf.indices { byLeaf[leaf] = max(byLeaf[leaf], 1e-6 * popularity[leaf]) }
    return byLeaf
  }

  /// The rewards that hold for an example: w_u = p(u)^β · w^-γ with w as popularity (`power`), in units of the
  /// largest, or the shared weights.
  ///
  /// - Parameter target: the item that a training example must not learn from itself.
  public func rewards(history: [Int32], leavingOut target: Int32?) -> TokenRewards {
    guard let score else { return shared }
    let preference = preference(history: history, leavingOut: target, score: score)
    let logWeights = zip(preference, popularity).map { p, w in
      w > 0 ? recipe.beta * log(p) - recipe.gamma * log(w) : -.infinity
    }
    // Relative to the largest, so that no exponents make all of them zero, or one infinite.
    let largest = logWeights.max()!
    // A weight that underflows would make a title unreachable, which w > 0 promises that it is not.
    return TokenRewards(
      tree, weights: logWeights.map { $0 == -.infinity ? 0 : max(exp($0 - largest), 1e-300) })
  }
}
