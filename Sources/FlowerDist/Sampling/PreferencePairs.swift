/// Draws the titles that preference losses compare: one chosen, some rejected.
///
/// - With histories the chosen title is the next item, and the rejected ones are drawn uniformly over all others, or by
///   popularity (smoothed, `rose_po`).
/// - Without, as published: the chosen one uniformly over all but the least popular, the rejected uniformly over
///   what is less popular than it.
///
/// Rejected titles are drawn independently and with replacement.
struct PreferencePairs {
  private let rejected: Int
  private let byPopularity: Bool
  /// Counts plus smoothing, by leaf.
  private let weights: [Double]
  /// Leaves from the least to the most popular; for data without histories.
  private let rising: [Int]
  /// How many of `rising`, by position, are less popular.
  private let below: [Int]

  /// - Throws: `FlowerError` of kind `data` where there is no pair.
  init(_ recipe: Recipe.Objective, _ catalogue: Catalogue) throws {
    rejected = recipe.rejectedCount
    byPopularity = recipe.name == .rosePO
    let weights = catalogue.rewards.smoothed
    self.weights = weights
    rising = catalogue.dataset.isDistribution ? weights.indices.sorted { (weights[$0], $0) < (weights[$1], $1) } : []
    var below: [Int] = []
    for (position, leaf) in rising.enumerated() {
      let ties = position > 0 && weights[leaf] == weights[rising[position - 1]]
      below.append(ties ? below[position - 1] : position)
    }
    self.below = below
    func nothing(_ problem: String) -> FlowerError {
      FlowerError(
        .data, "\(catalogue.dataset.name): \(problem), so objective.name \(recipe.name.rawValue) has no pairs")
    }
    if weights.count < 2 { throw nothing("has one title only") }
    if let last = below.last, last == 0 { throw nothing("all titles are equally popular") }
    if byPopularity, weights.count(where: { $0 > 0 }) < 2 { throw nothing("one title alone has a weight above 0") }
  }

  /// The leaves of a prompt, the chosen one first.
  /// - Parameter target: the leaf of the next item; `nil` without histories.
  func draw(target: Int?, _ random: CounterRandom) -> [Int] {
    guard let target else {
      let first = below.firstIndex { $0 > 0 }!
      let chosen = first + random.integer(0, below: rising.count - first)
      return [rising[chosen]] + (1...rejected).map { rising[random.integer(UInt64($0), below: below[chosen])] }
    }
    if byPopularity {
      var others = weights
      others[target] = 0
      let draws = LeafDraws(others)
      return [target] + (1...rejected).map { draws.leaf(random.uniform(UInt64($0))) }
    }
    return [target]
      + (1...rejected).map { k in
        let leaf = random.integer(UInt64(k), below: weights.count - 1)
        return leaf < target ? leaf : leaf + 1
      }
  }
}

extension Recipe.Objective {
  /// Rejected titles per prompt.
  var rejectedCount: Int { rejected ?? ([.sDPO, .dmpo].contains(name) ? 3 : 1) }
}

extension Recipe {
  /// Titles per prompt that the term beside SFT is about.
  var titlesPerPrompt: Int { objective.name.isPreference ? 1 + objective.rejectedCount : trajectories.count }
}
