/// Scores the lists that any recommender has written, one example a line, the best title first:
/// `{"target":"title","predictions":["title",…]}`.
///
/// A leaf is a distinct title here, since no tokenizer is known. Titles are told apart by their bytes, line breaks being
/// spaces as in a dataset. Titles that the catalogue does not have take their place in a list and count as invalid.
public enum PredictionsFile {
  /// The rows of the table: the lists, then popularity on the same examples.
  ///
  /// - Parameters:
  ///   - name: of the recommender.
  ///   - dataset: its training counts make the popularity groups.
  ///   - offered: what can be recommended, if it is not what the dataset has.
  /// - Throws: `FlowerError` of kind `data` with file and line.
  public static func evaluate(
    _ path: String, name: String, dataset: Dataset, offered: OfferedTitles? = nil
  ) throws -> [EvaluationReport] {
    let leaves = TitleLeaves(dataset, offered: offered)
    let cutoffs = RankingMetrics.standardCutoffs
    var lists = RankingTally(leaves: leaves.titles.count, cutoffs: cutoffs)
    var popularity = lists
    let popular = Evaluator.top(leaves.counts, count: cutoffs.last!).map(\.leaf)
    try Dataset.eachLine(of: path) { json, lines in
      guard let title = json["target"]?.string else { throw lines.error("expected a title as \"target\"") }
      guard let predictions = json["predictions"]?.array else {
        throw lines.error("expected an array of titles as \"predictions\"")
      }
      let target = leaves.leaf(of: title)
      let list = try predictions.map { json in
        guard let title = json.string else {
          throw lines.error("expected titles in \"predictions\", found \(json.kind)")
        }
        return leaves.leaf(of: title)
      }
      lists.add(list, target: target)
      popularity.add(popular, target: target)
    }
    return [(name, false, lists), ("popularity", true, popularity)].map { name, isReference, tally in
      EvaluationReport(
        name: name, isReference: isReference, lists: .topK,
        ranking: RankingMetrics(tally: tally, titles: leaves.titles, groups: leaves.groups))
    }
  }
}

/// The distinct titles of a dataset as leaves.
private struct TitleLeaves {
  private var numbers = Numbering()
  /// Occurrences in training histories; shape [leaves].
  private(set) var counts: [Double]
  private let firstAppearance: [Int32]

  init(_ dataset: Dataset, offered: OfferedTitles?) {
    var numbers = Numbering()
    for title in dataset.titles where offered?.contains(title) ?? true { _ = numbers.number(of: title) }
    for title in offered?.added(to: dataset.titles) ?? [] { _ = numbers.number(of: title) }
    counts = [Double](repeating: 0, count: numbers.names.count)
    for (title, count) in zip(dataset.titles, dataset.counts) {
      if let leaf = numbers.known(title) { counts[Int(leaf)] += count }
    }
    firstAppearance = dataset.firstAppearance.compactMap { numbers.known(dataset.titles[Int($0)]) }
    self.numbers = numbers
  }

  var titles: [String] { numbers.names }
  var groups: PopularityGroups { PopularityGroups(counts: counts, firstAppearance: firstAppearance) }

  /// The leaf of a title, or -1.
  func leaf(of title: String) -> Int32 { numbers.known(title.onOneLine) ?? -1 }
}
