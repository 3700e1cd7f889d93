/// Recommends titles for a history of titles.
public struct Recommender {
  public struct Entry: Equatable, Sendable {
    public var title: String
    /// Under the catalogue policy, renormalised if titles were left out.
    public var probability: Double
  }

  private let catalogue: Catalogue
  private let evaluator: Evaluator

  public init(_ catalogue: Catalogue, _ language: LanguageModel) {
    self.catalogue = catalogue
    evaluator = Evaluator(catalogue, language)
  }

  /// The best titles by their exact probability, or samples in proportion to it in the order drawn.
  ///
  /// - Throws: `FlowerError` of kind `usage` for a title that the catalogue does not have, naming the nearest, for a
  ///   history that the model does not read, or if no title is left.
  public func recommend(
    history: [String], count: Int, sampled: Bool, excludingHistory: Bool, seed: UInt64
  ) throws -> [Entry] {
    try catalogue.checkHistory(history)
    let items = try history.map { try catalogue.item(titled: $0, option: "--history") }
    let excluded = excludingHistory ? catalogue.tree.leaves(of: items) : []
    let logProbabilities = try evaluator.exact([catalogue.prompt(history: items).tokens])[0]
    guard let probabilities = Evaluator.renormalized(logProbabilities, excluding: excluded) else {
      throw FlowerError(.usage, "--exclude-history leaves no title of the catalogue")
    }
    let leaves: [Int]
    if sampled {
      let draws = LeafDraws(probabilities)
      leaves = (0..<count).map {
        draws.leaf(CounterRandom(seed: seed, purpose: .evaluation, sample: UInt32($0)).uniform(0))
      }
    } else {
      leaves = Evaluator.top(logProbabilities, count: count, excluding: excluded).map { Int($0.leaf) }
    }
    let titles = catalogue.leafTitles
    return leaves.map { Entry(title: titles[$0], probability: probabilities[$0]) }
  }
}
