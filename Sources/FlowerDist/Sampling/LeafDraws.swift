/// Draws leaves in proportion to weights by inverting the cumulative sum. O(leaves) to make, O(log leaves) per draw.
struct LeafDraws {
  private let cumulative: [Double]

  /// `weights` are at least 0 and not all 0.
  init(_ weights: [Double]) {
    var sum = 0.0
    cumulative = weights.map { weight in
      sum += weight
      return sum
    }
    precondition(sum > 0, "no leaf has a weight")
  }

  /// The leaf at `uniform` in [0, 1); never one of weight zero.
  func leaf(_ uniform: Double) -> Int {
    // The first leaf whose cumulative weight exceeds the point; rounding may put the point on the total.
    let point = min(uniform * cumulative.last!, cumulative.last!.nextDown)
    var (low, high) = (0, cumulative.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if cumulative[middle] > point { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

extension Recipe.Trajectories {
  /// The leaves of the K trajectories of an example, drawn independently and with replacement; not for `policy`.
  ///
  /// `random(k)` is the stream of trajectory k; position 0 draws the leaf, position 1 tosses the coin.
  func draw(_ rewards: TokenRewards, random: (Int) -> CounterRandom) -> [Int] {
    let byWeight = LeafDraws(rewards.weights)
    // Uniformly over the leaves that can be drawn at all: a leaf of zero flow never is.
    let alive = source == .weight ? [] : rewards.weights.indices.filter { rewards.weights[$0] > 0 }
    return (0..<count).map { k in
      let stream = random(k)
      switch source {
      case .weight: return byWeight.leaf(stream.uniform(0))
      case .uniform: return alive[stream.integer(0, below: alive.count)]
      case .coin:
        return stream.uniform(1) < 0.5 ? byWeight.leaf(stream.uniform(0)) : alive[stream.integer(0, below: alive.count)]
      case .policy: preconditionFailure("trajectories of the policy are sampled from the model")
      }
    }
  }
}
