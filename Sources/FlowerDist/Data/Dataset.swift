/// A user's history and the item that followed it.
public struct Interaction: Equatable, Sendable {
  /// Item ids, oldest first; may be empty.
  public var history: [Int32]
  /// Item id of the target.
  public var item: Int32
  /// Number of the user, where known; says which examples belong together.
  public var user: Int32?
  /// When the target was chosen, where known, in the unit of the source (MovieLens: seconds since 1970).
  public var timestamp: Double?

  public init(history: [Int32], item: Int32, user: Int32? = nil, timestamp: Double? = nil) {
    self.history = history
    self.item = item
    self.user = user
    self.timestamp = timestamp
  }
}

/// A catalogue of titles with examples of what followed what, or with bare weights (no histories).
public struct Dataset: Sendable {
  public enum Split: String, CaseIterable, Sendable { case train, valid, test }

  public var name: String
  /// Titles by item id.
  public let titles: [String]
  /// How often each item occurs in the histories of training examples; a sliding window counts each time.
  public let counts: [Double]
  public let train: [Interaction]
  public let valid: [Interaction]
  public let test: [Interaction]
  /// Item ids in the order in which they first occur in training histories (breaks ties between popularity groups).
  public let firstAppearance: [Int32]
  /// SHA-256 over titles, counts and splits (not the name, users or time stamps): equal for the same data, however it
  /// is stored, so that ranks and resumed runs can check that they use the same.
  public let digest: String

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
    digest = Self.digest(titles: titles, counts: counts, splits: [train, valid, test])
  }

  /// A dataset with histories: counts and first appearances follow from the training histories.
  ///
  /// - Precondition: all item ids are indices of `titles`.
  public init(
    name: String, titles: [String], train: [Interaction], valid: [Interaction], test: [Interaction]
  ) {
    var counts = [Double](repeating: 0, count: titles.count)
    var firstAppearance: [Int32] = []
    for item in train.lazy.flatMap(\.history) {
      if counts[Int(item)] == 0 { firstAppearance.append(item) }
      counts[Int(item)] += 1
    }
    self.init(
      name: name, titles: titles, counts: counts, train: train, valid: valid, test: test,
      firstAppearance: firstAppearance)
  }

  /// A distribution: titles with weights and no histories; their order stands for the order of first appearance.
  public init(name: String, titles: [String], weights: [Double]) {
    self.init(
      name: name, titles: titles, counts: weights, train: [], valid: [], test: [],
      firstAppearance: weights.indices.filter { weights[$0] > 0 }.map(Int32.init))
  }

  public subscript(split: Split) -> [Interaction] {
    switch split {
    case .train: train
    case .valid: valid
    case .test: test
    }
  }
}
