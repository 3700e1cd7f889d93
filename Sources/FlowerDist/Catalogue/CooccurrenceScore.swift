import Foundation

/// The built-in preference score: how probable an item is next to a user, judged by what followed the items of the
/// history in the training examples. It needs two passes over the data and no training.
///
/// A *training window* is the history of one training example, of which the last ten items count. The item at distance
/// `d` from the target (1: the most recent) adds `0.85^(d-1)` to `C_ji`, j being that item and i the target: each pair
/// of a place in a history and its target counts once per example, an item that stands in two places twice. With
/// `C_j = Σ_i C_ji` and `pop` the training counts divided by their sum,
///
///     P(i|j) = (C_ji + 2 pop_i) / (C_j + 2)
///     p(u,i) = Σ_a 0.85^a P(i|j_a) / Σ_a 0.85^a
///
/// where `j_0` is the history's last item, `j_1` the one before, and so on for ten items. Without a history p is `pop`.
/// Source: FlowerDist's pilot; the decay and the prior's weight of 2 are its settings.
public struct CooccurrenceScore: PreferenceScore {
  /// Number of most recent items of a history that count.
  public static let window = 10
  /// Weight of popularity against the counts of an item.
  private static let prior = 2.0

  /// `0.85^age` in units of 2^-30. Sums of such numbers are exact in double precision (up to 8 million, beyond any
  /// count here), so that they do not depend on their order and an example can be taken out again without a trace.
  static let decay: [Double] = {
    let unit = Double(1 << 30)
    return (0..<window).map { (pow(0.85, Double($0)) * unit).rounded() / unit }
  }()

  /// Probability of each item by its training count; uniform if there are no counts.
  public let popularity: [Double]

  // Row j holds the targets that followed item j: places rowStarts[j]..<rowStarts[j + 1] of the other two.
  private let rowStarts: [Int]
  private let targets: [Int32]
  private let weights: [Double]
  /// `C_j`.
  private let rowSums: [Double]

  public init(dataset: Dataset) {
    self.init(popularity: PopularityScore(dataset: dataset).popularity, train: dataset.train)
  }

  public var summary: String { "co-occurrence" }

  /// - Parameter popularity: Probability of each item.
  init(popularity: [Double], train: [Interaction]) {
    let items = popularity.count
    self.popularity = popularity

    // Pairs of (target, weight) side by side by row, in the order of the examples.
    var places = [Int](repeating: 0, count: items + 1)
    for item in train.lazy.flatMap({ $0.history.suffix(Self.window) }) { places[Int(item) + 1] += 1 }
    for row in 0..<items { places[row + 1] += places[row] }
    var pairs = [(target: Int32, weight: Double)](repeating: (0, 0), count: places[items])
    var next = places
    for example in train {
      for (age, item) in example.history.suffix(Self.window).reversed().enumerated() {
        pairs[next[Int(item)]] = (example.item, Self.decay[age])
        next[Int(item)] += 1
      }
    }

    // Each row sorted by target, with the weights of one target added up.
    var rowStarts = [0]
    var targets: [Int32] = []
    var weights: [Double] = []
    for row in 0..<items {
      for pair in pairs[places[row]..<places[row + 1]].sorted(by: { $0.target < $1.target }) {
        if targets.count > rowStarts[row], targets.last == pair.target {
          weights[weights.count - 1] += pair.weight
        } else {
          targets.append(pair.target)
          weights.append(pair.weight)
        }
      }
      rowStarts.append(targets.count)
    }
    rowSums = (0..<items).map { weights[rowStarts[$0]..<rowStarts[$0 + 1]].reduce(0, +) }
    self.rowStarts = rowStarts
    self.targets = targets
    self.weights = weights
  }

  /// The scores of a context's history; see ``scores(history:leavingOut:into:)``.
  public func scores(for context: PreferenceContext, into scores: UnsafeMutableBufferPointer<Double>) {
    self.scores(history: context.history, leavingOut: context.target, into: scores)
  }

  /// Writes `p(u,i)` of every item i; they sum to 1.
  ///
  /// Linear in the number of items and in the length of the history's rows.
  ///
  /// - Parameters:
  ///   - history: Item ids, oldest first.
  ///   - target: The target of the training example that has this history: the example's own pairs are left out (from
  ///     the counts, not from `popularity`). `nil` leaves nothing out, as for examples that are not in training.
  ///   - scores: Room for one number per item.
  /// - Precondition: the ids are items, and a `target` is the one of a training example with this history.
  public func scores(
    history: [Int32], leavingOut target: Int32?, into scores: UnsafeMutableBufferPointer<Double>
  ) {
    precondition(scores.count == popularity.count)
    let recent = Array(history.suffix(Self.window).reversed())
    guard !recent.isEmpty else {
      for item in popularity.indices { scores[item] = popularity[item] }
      return
    }
    let total = Self.decay[..<recent.count].reduce(0, +)
    // What this example itself put into the row of each item.
    let own = recent.map { item in
      target == nil ? 0 : zip(recent, Self.decay).reduce(0) { $0 + ($1.0 == item ? $1.1 : 0) }
    }
    let scales = recent.indices.map { age in
      Self.decay[age] / total / (rowSums[Int(recent[age])] - own[age] + Self.prior)
    }
    let priorScale = Self.prior * scales.reduce(0, +)
    popularity.withUnsafeBufferPointer { popularity in
      for item in popularity.indices { scores[item] = priorScale * popularity[item] }
    }
    targets.withUnsafeBufferPointer { targets in
      weights.withUnsafeBufferPointer { weights in
        for (age, row) in recent.enumerated() {
          for place in rowStarts[Int(row)]..<rowStarts[Int(row) + 1] {
            let weight = targets[place] == target ? weights[place] - own[age] : weights[place]
            scores[Int(targets[place])] += scales[age] * weight
          }
        }
      }
    }
  }

  /// `p(u,i)` of every item i; see `scores(history:leavingOut:into:)`.
  public func scores(history: [Int32], leavingOut target: Int32? = nil) -> [Double] {
    [Double](unsafeUninitializedCapacity: popularity.count) { buffer, count in
      count = popularity.count
      scores(history: history, leavingOut: target, into: .init(rebasing: buffer[..<count]))
    }
  }
}
