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
