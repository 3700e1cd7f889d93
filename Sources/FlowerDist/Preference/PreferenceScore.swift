/// Whose preferences are asked for.
public struct PreferenceContext: Sendable {
  /// Item ids, oldest first; may be empty.
  public var history: [Int32]
  /// The next item of a training example, which must not be learned from the example itself; `nil` elsewhere.
  public var target: Int32?
  /// Which example of the dataset this is; `nil` for a history from elsewhere.
  public var place: ExamplePlace?

  public init(history: [Int32], leavingOut target: Int32? = nil, at place: ExamplePlace? = nil) {
    self.history = history
    self.target = target
    self.place = place
  }
}

/// How much a user may like each item: p(u, i) ≥ 0 by item, summing to one.
///
/// The same context gives the same bits on every rank, whatever was asked before.
public protocol PreferenceScore: Sendable {
  /// What it is, for the start table.
  var summary: String { get }
  /// SHA-256 of what the scores come from besides the dataset; `nil` where that is all they come from.
  var digest: String? { get }
  /// Bytes that it takes at most, where that is worth counting.
  var bytes: Int { get }
  /// Whether it has scores for the examples of a split.
  func covers(_ split: Dataset.Split) -> Bool
  /// - Parameter scores: room for one number per item; all are written.
  func scores(for context: PreferenceContext, into scores: UnsafeMutableBufferPointer<Double>)
}

extension PreferenceScore {
  public var digest: String? { nil }
  public var bytes: Int { 0 }
  public func covers(_ split: Dataset.Split) -> Bool { true }

  /// - Throws: `FlowerError` of kind `data` if there are none.
  func requireScores(of split: Dataset.Split) throws {
    guard covers(split) else {
      throw FlowerError(.data, "reward.score_path: \(summary): has no scores of the \(split.rawValue) split")
    }
  }

  /// p(u, i) of every item i.
  func scores(for context: PreferenceContext, items: Int) -> [Double] {
    [Double](unsafeUninitializedCapacity: items) { buffer, count in
      count = items
      scores(for: context, into: UnsafeMutableBufferPointer(rebasing: buffer[..<items]))
    }
  }
}

extension Recipe.Reward {
  /// The preference score that the recipe names.
  ///
  /// - Throws: `FlowerError` of kind `data` if its model or file cannot be read or does not fit the dataset.
  func preferenceScore(_ dataset: Dataset) throws -> any PreferenceScore {
    switch (score, scorePath) {
    case (.model, let path?): try ModelScore(path, dataset: dataset)
    case (.file, let path?): try ScoreFile(path, dataset: dataset, values: scoreValues)
    case (.popularity, _): PopularityScore(dataset: dataset)
    case (.cooccurrence, _): CooccurrenceScore(dataset: dataset)
    case (.model, nil), (.file, nil):
      throw FlowerError(.data, "reward.score \(score.rawValue) needs reward.score_path, which is not set")
    }
  }
}
