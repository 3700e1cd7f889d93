/// The preference of somebody of whom nothing is known: what everybody likes.
public struct PopularityScore: PreferenceScore {
  /// Probability of each item by its training count; uniform if there are no counts.
  public let popularity: [Double]

  public init(dataset: Dataset) {
    let total = dataset.counts.reduce(0, +)
    let uniform = 1 / Double(max(1, dataset.titles.count))
    popularity = dataset.counts.map { total > 0 ? $0 / total : uniform }
  }

  public var summary: String { "popularity" }

  public func scores(for context: PreferenceContext, into scores: UnsafeMutableBufferPointer<Double>) {
    precondition(scores.count == popularity.count)
    for item in popularity.indices { scores[item] = popularity[item] }
  }
}
