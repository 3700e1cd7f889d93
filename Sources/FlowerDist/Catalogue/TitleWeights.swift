/// Titles with weights from a file (`reward.file`), one of each title, in the form of `title_counts.jsonl`.
public struct TitleWeights: Equatable, Sendable {
  /// Its name beside the weights of a model that was trained with it.
  static let fileName = "title_weights.jsonl"

  private let titles: [String]
  private let weights: [Double]

  /// - Throws: `FlowerError` of kind `data` with file and line, also where a title is there twice.
  public init(contentsOf path: String) throws {
    (titles, weights) = try Dataset.titleCounts(path)
    var lines: [[UInt8]: Int] = [:]
    for (index, title) in titles.enumerated() {
      if let first = lines.updateValue(index + 1, forKey: Array(title.utf8)) {
        throw FlowerError(.data, "\(path):\(index + 1): the title \(title.quoted) is there already, in line \(first)")
      }
    }
  }

  /// Weight by item. Of items with the same title the first has it, so that their leaf has it once; an item whose title
  /// has none weighs 0.
  func byItem(_ titles: [String]) -> [Double] {
    let items = Self.items(titles)
    var result = [Double](repeating: 0, count: titles.count)
    for (title, weight) in zip(self.titles, weights) {
      if let item = items[Array(title.utf8)] { result[item] = weight }
    }
    return result
  }

  /// Refuses titles that the catalogue does not have. `path` is the file that they are from.
  func requireTitles(of dataset: Dataset, path: String) throws {
    let items = Self.items(dataset.titles)
    for (index, title) in titles.enumerated() where items[Array(title.utf8)] == nil {
      throw FlowerError(.data, "\(path):\(index + 1): \(dataset.name) has no title \(title.quoted)")
    }
  }

  /// The first item of each title. Titles are told apart by their bytes, as their tokens are.
  private static func items(_ titles: [String]) -> [[UInt8]: Int] {
    Dictionary(titles.enumerated().map { (Array($1.utf8), $0) }) { first, _ in first }
  }

  /// SHA-256 of titles and weights, however the file writes them.
  var digest: String { SHA256.hex(of: text) }

  func write(to path: String) throws {
    try AtomicFile.write(text, to: path)
  }

  private var text: [UInt8] {
    zip(titles, weights).flatMap { title, weight in
      (["title": JSON(title), "count": JSON(weight)] as JSON).serialized() + [0x0A]
    }
  }
}
