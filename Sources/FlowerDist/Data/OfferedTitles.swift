/// The titles that can be recommended, where they are not those of the training data: without what was removed since
/// then, and with what was added. A model needs no training for them: it is the tree that says what can be written.
public struct OfferedTitles: Sendable {
  private var titles = Numbering()

  /// Reads a file with a title on each line, in the form of `items.jsonl` or `title_counts.jsonl`; ids and counts are not
  /// looked at.
  ///
  /// - Throws: `FlowerError` of kind `data` with file and line.
  public init(contentsOf path: String) throws {
    for title in try Dataset.titles(path) { _ = titles.number(of: title) }
  }

  /// Whether the title is offered, told by its bytes.
  public func contains(_ title: String) -> Bool { titles.known(title) != nil }

  /// The titles that are not among the known ones, each once.
  public func added(to known: [String]) -> [String] {
    var numbers = Numbering()
    for title in known { _ = numbers.number(of: title) }
    return titles.names.filter { numbers.known($0) == nil }
  }

  /// How it differs from the known titles, in words.
  func comparison(with known: [String]) -> String {
    let added = added(to: known).count
    let removed = Set(known.lazy.map { Array($0.utf8) }).count - (titles.names.count - added)
    return "\(titles.names.count) titles, of which \(added) are new; \(removed) of the data's are left out"
  }
}
