/// A user's history and the item that followed it.
public struct Interaction: Equatable, Sendable {
  /// Item ids, oldest first; may be empty.
  public var history: [Int32]
  /// Item id of the target.
  public var item: Int32

  public init(history: [Int32], item: Int32) {
    self.history = history
    self.item = item
  }
}

/// A catalogue of titles with examples of what followed what, or with bare weights (no histories).
public struct Dataset: Sendable {
  public enum Split: String, CaseIterable, Sendable { case train, valid, test }

  public var name: String
  /// Titles by item id.
  public var titles: [String]
  /// How often each item occurs in the histories of training examples; a sliding window counts each time.
  public var counts: [Double]
  public var train: [Interaction]
  public var valid: [Interaction]
  public var test: [Interaction]
  /// Item ids in the order in which they first occur in training histories (breaks ties between popularity groups).
  public var firstAppearance: [Int32]

  /// Whether there are titles and weights only: the task of fitting a distribution.
  public var isDistribution: Bool { train.isEmpty }

  public init(
    name: String, titles: [String], counts: [Double], train: [Interaction], valid: [Interaction], test: [Interaction],
    firstAppearance: [Int32]
  ) {
    self.name = name
    self.titles = titles
    self.counts = counts
    self.train = train
    self.valid = valid
    self.test = test
    self.firstAppearance = firstAppearance
  }
}
