import Foundation

/// Recommends titles for a history of titles.
public struct Recommender {
  public struct Entry: Equatable, Sendable {
    public var title: String
    /// Under the catalogue policy, renormalised if titles were left out.
    public var probability: Double
  }

  private let catalogue: Catalogue
  private let evaluator: Evaluator

  public init(_ served: ServedModel) {
    catalogue = served.catalogue
    evaluator = Evaluator(catalogue, LanguageModel(served.transformer))
  }

  /// The best titles by their exact probability, or samples in proportion to it in the order drawn.
  ///
  /// - Throws: `FlowerError` of kind `usage` for a title that the catalogue does not have, naming the nearest.
  public func recommend(
    history: [String], count: Int, sampled: Bool, excludingHistory: Bool, seed: UInt64
  ) throws -> [Entry] {
    let items = try history.map { try item(titled: $0) }
    let excluded = excludingHistory ? Set(items.map { catalogue.tree.leafOfItem[Int($0)] }) : []
    let logProbabilities = try evaluator.exact([catalogue.prompt(history: items).tokens])[0]
    let weights = logProbabilities.indices.map { excluded.contains(Int32($0)) ? 0 : exp(logProbabilities[$0]) }
    let total = weights.reduce(0, +)
    guard total > 0 else { throw FlowerError(.usage, "--exclude-history leaves no title of the catalogue") }
    let leaves: [Int]
    if sampled {
      let draws = LeafDraws(weights)
      leaves = (0..<count).map {
        draws.leaf(CounterRandom(seed: seed, purpose: .evaluation, sample: UInt32($0)).uniform(0))
      }
    } else {
      leaves = Evaluator.top(logProbabilities, count: count, excluding: excluded).map { Int($0.leaf) }
    }
    let titles = catalogue.leafTitles
    return leaves.map { Entry(title: titles[$0], probability: weights[$0] / total) }
  }

  private func item(titled title: String) throws -> Int32 {
    let titles = catalogue.dataset.titles
    if let index = titles.firstIndex(where: { $0.utf8.elementsEqual(title.utf8) }) { return Int32(index) }
    let near = nearestKey(to: title, among: titles)
    throw FlowerError(
      .usage,
      "--history: the catalogue has no title \(title.quoted)" + (near.map { "; did you mean \($0.quoted)?" } ?? ""))
  }
}
