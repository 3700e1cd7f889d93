import Foundation

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
  /// Of the leaf weights that are the same for everybody.
  let shared: TokenRewards
  /// Items that have a score.
  private let scoredItems: Int

  /// - Parameters:
  ///   - counts: training count by item; items that are new since the training come last and have none.
  ///   - fileWeights: weight by item, for `file`.
  ///   - score: needed for personal weights only.
  public init(
    _ recipe: Recipe.Reward, tree: CatalogueTree, counts: [Double], fileWeights: [Double]? = nil,
    score: (any PreferenceScore)?
  ) throws {
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
    let weights = fileWeights.map { tree.leafSums($0).map { $0 + recipe.smoothing } } ?? smoothed
    shared = TokenRewards(tree, weights: recipe.sharedWeights(weights))
  }

  public var isPersonal: Bool { score != nil }

  /// The preference score by leaf: the sum over its items, at least 1e-6 of the leaf's popularity; popularity itself
  /// where the history is empty or there is no score. Items that are new since the training say nothing.
  public func preference(
    history: [Int32], leavingOut target: Int32?, at place: ExamplePlace?, score: any PreferenceScore
  ) -> [Double] {
    let history = history.filter { $0 < scoredItems }
    if history.isEmpty { return popularity }
    let context = PreferenceContext(history: history, leavingOut: target, at: place)
    let items = score.scores(for: context, items: scoredItems)
    return Recipe.Reward.floored(tree.leafSums(items), popularity: popularity)
  }

  /// The rewards that hold for an example: of its personal leaf weights, or of those that are the same for everybody.
  ///
  /// - Parameters:
  ///   - target: the item that a training example must not learn from itself.
  ///   - place: which example of the dataset it is.
  public func rewards(history: [Int32], leavingOut target: Int32?, at place: ExamplePlace? = nil) -> TokenRewards {
    guard let score else { return shared }
    let preference = preference(history: history, leavingOut: target, at: place, score: score)
    return TokenRewards(tree, recipe.personalRewards(preference: preference, popularity: popularity))
  }
}

extension Recipe.Reward {
  /// Leaf weights that are the same for everybody, from counts or a file's weights (smoothed) by leaf.
  func sharedWeights(_ counts: [Double]) -> [Double] {
    weight == .uniform ? counts.map { $0 > 0 ? 1 : 0 } : counts
  }

  /// What leaves are worth to a user; `weight` is a personal one.
  ///
  /// With w the popularity and p the preference, flow rule `tree` sums up the tree, in units of the largest,
  /// - `power`: p^β · w^-γ
  /// - `divide`: w^(1/p̂) with p̂ = (p − mean p) / (max p − min p) + 1, as published
  /// - `add_log`: w · p'^c with p' = (p − min p) / (max p − min p) + 1e-20, as published
  ///
  /// Flow rule `published` sums w, and then divides every log r of a trajectory by the p̂ of its leaf, or adds c · log p'
  /// to it.
  ///
  /// Who prefers nothing (max p = min p) gets popularity: p̂ = p' = 1.
  ///
  /// - Parameters:
  ///   - preference: at least 0 by leaf, above 0 for `power`.
  ///   - popularity: by leaf, summing to one; where it is 0 so is the weight.
  func personalRewards(preference: [Double], popularity: [Double]) -> LeafRewards {
    let (low, high) = (preference.min()!, preference.max()!)
    let mean = preference.reduce(0, +) / Double(preference.count)
    func scaled(_ p: Double, from origin: Double, plus offset: Double) -> Double {
      high > low ? (p - origin) / (high - low) + offset : 1
    }
    /// log w' = factor · log w + offset.
    func terms(_ p: Double, _ w: Double) -> (factor: Double, offset: Double) {
      switch weight {
      case .power: return (-gamma, beta * log(p))
      case .divide: return (1 / scaled(p, from: mean, plus: 1), 0)
      case .addLog: return (1, c * log(scaled(p, from: low, plus: 1e-20)))
      case .popularity, .uniform, .file: preconditionFailure("\(weight) is not personal")
      }
    }
    let all = zip(preference, popularity).map { $1 > 0 ? terms($0, $1) : (1, 0) }
    if flowRule == .published {
      return LeafRewards(weights: popularity, terms: .init(factors: all.map(\.0), offsets: all.map(\.1)))
    }
    let logWeights = zip(all, popularity).map { terms, w in
      w > 0 ? terms.0 * log(w) + terms.1 : -.infinity
    }
    return LeafRewards(weights: TokenRewards.weights(logWeights))
  }

  /// The preference by leaf where a score is given: at least 1e-6 of the leaf's popularity.
  static func floored(_ preference: [Double], popularity: [Double]) -> [Double] {
    zip(preference, popularity).map { max($0, 1e-6 * $1) }
  }
}
