/// The form in which BIGRec, D3 and Flower share their data: a CSV file for each split, a row for each example, its
/// history as text of Python lists.
///
/// Columns: `history_item_title` (`['A', 'B']`, oldest first) and `item_title`; with `history_item_id` and `item_id` items
/// are told apart by these ids, else by their titles; `user_id` and `timestamp` are read if they are there, others not.
/// Quoted fields may go over several lines. The lists are parsed, never evaluated.
public enum FlowerCSV {
  /// - Parameters:
  ///   - sources: three files, or a directory with one for each split, either of these names (`train.csv`,
  ///     `games_valid.csv`, …) or in directories of these names. Three files whose names (or directories) do not tell are
  ///     train, valid and test in this order.
  ///   - name: Of the dataset.
  ///   - options: `core` is not used: the rows are taken as they are.
  /// - Throws: `FlowerError` of kind `data` with file and line, or `usage` for files that are not three splits.
  public static func prepare(_ sources: [String], name: String, options: Preparation.Options) throws -> Preparation {
    let files = try files(of: sources)
    var log = ProblemLog(damagedLimit: options.damagedLimit)
    var items = Items()
    var users = Numbering()
    var splits: [Dataset.Split: [Interaction]] = [:]
    for (split, path) in files {
      splits[split] = try examples(path, options, &items, &users, &log)
    }
    let numbers = items.order
    func renumbered(_ split: Dataset.Split) -> [Interaction] {
      splits[split]!.map { example in
        Interaction(
          history: example.history.map { numbers[Int($0)] }, item: numbers[Int(example.item)], user: example.user,
          timestamp: example.timestamp)
      }
    }
    var titles = items.titles
    for (item, number) in numbers.enumerated() { titles[Int(number)] = items.titles[item] }
    return try Preparation(
      Dataset(
        name: name, titles: titles, train: renumbered(.train), valid: renumbered(.valid), test: renumbered(.test)),
      format: "flower-csv", options: [JSON.Member("history_length", JSON(options.historyLength))],
      files: files.map(\.path), log: log)
  }

  // MARK: Files

  private static func files(of sources: [String]) throws -> [(split: Dataset.Split, path: String)] {
    var paths = sources
    if sources.count == 1 {
      let names = try Directory.names(in: sources[0])
      paths = names.filter { $0.hasSuffix(".csv") }.map { "\(sources[0])/\($0)" }
      if paths.isEmpty {
        for directory in names where split(named: directory) != nil {
          let inside = try Directory.names(in: "\(sources[0])/\(directory)").filter { $0.hasSuffix(".csv") }
          paths += inside.map { "\(sources[0])/\(directory)/\($0)" }
        }
      }
    }
    let bySplit =
      splits(of: paths, by: { Dataset.lastComponent(of: $0) })
      ?? splits(of: paths, by: { Dataset.lastComponent(of: Directory.parent(of: $0)) })
      ?? (Set(sources).count == 3 ? Array(zip(Dataset.Split.allCases, sources)) : nil)
    guard let bySplit else {
      throw FlowerError(
        .usage,
        "\(sources.joined(separator: ", ")): expected three .csv files, for train, valid and test, or a directory with"
          + " them; found \(paths.count)")
    }
    return bySplit.map { (split: $0.0, path: $0.1) }
  }

  /// The three paths by split, if their names tell.
  private static func splits(of paths: [String], by name: (String) -> String) -> [(Dataset.Split, String)]? {
    let found = paths.map { split(named: name($0)) }
    let sorted = Dataset.Split.allCases.compactMap { split in
      found.firstIndex(of: split).map { (split, paths[$0]) }
    }
    return paths.count == 3 && sorted.count == 3 ? sorted : nil
  }

  private static func split(named name: String) -> Dataset.Split? {
    let name = name.lowercased()
    let matches = Dataset.Split.allCases.filter { name.contains($0 == .valid ? "val" : $0.rawValue) }
    return matches.count == 1 ? matches[0] : nil
  }

  // MARK: Rows

  /// The columns in the order in which they are read; those at the end may be missing.
  private enum Column: String, CaseIterable {
    case historyTitles = "history_item_title"
    case title = "item_title"
    case historyIDs = "history_item_id"
    case id = "item_id"
    case user = "user_id"
    case timestamp

    static let required: [Column] = [.historyTitles, .title]
  }

  private static func examples(
    _ path: String, _ options: Preparation.Options, _ items: inout Items, _ users: inout Numbering,
    _ log: inout ProblemLog
  ) throws -> [Interaction] {
    let names = try TableReader.columnNames(of: path, separator: ",", quoted: true)
    let columns = Column.allCases.filter { Column.required.contains($0) || names.contains($0.rawValue) }
    let layout = TableLayout(
      separator: ",", quoted: true, multiline: true, columns: .named(columns.map { [$0.rawValue] }))
    let table = try TableReader(path, layout)
    var examples: [Interaction] = []
    while let fields = try table.next(&log) {
      let row = Row(place: table.place, fields: Dictionary(uniqueKeysWithValues: zip(columns, fields)))
      do {
        let timestamp = try row.timestamp()
        let (history, item) = try row.items()
        let numbers = try items.numbers(of: history + [item], row.place, &log)
        examples.append(
          Interaction(
            history: Array(numbers.dropLast().suffix(options.historyLength)), item: numbers.last!,
            user: row.fields[.user].map { users.number(of: $0) }, timestamp: timestamp))
      } catch let error as FlowerError { try log.skip(row.place, row.place.reason(of: error)) }
    }
    return examples
  }

  private struct Row {
    var place: LinePlace
    var fields: [Column: String]

    /// History and target.
    func items() throws -> (history: [Item], item: Item) {
      let titles = try list(.historyTitles).map { json in
        guard let title = json.string else { throw place.error("expected strings in \(Column.historyTitles.rawValue)") }
        return title
      }
      guard let id = fields[.id], fields[.historyIDs] != nil else {
        return (titles.map { Item(id: nil, title: $0) }, Item(id: nil, title: fields[.title]!))
      }
      let ids = try list(.historyIDs).map { json in
        guard let id = json.int.map(String.init) ?? json.string else {
          throw place.error("expected whole numbers or strings in \(Column.historyIDs.rawValue)")
        }
        return id
      }
      guard ids.count == titles.count else {
        throw place.error(
          "\(titles.count) titles in \(Column.historyTitles.rawValue), \(ids.count) ids in \(Column.historyIDs.rawValue)"
        )
      }
      return (zip(ids, titles).map { Item(id: $0, title: $1) }, Item(id: id, title: fields[.title]!))
    }

    func timestamp() throws -> Double? {
      guard let text = fields[.timestamp] else { return nil }
      guard let time = Double(text), time.isFinite else {
        throw place.error("expected a number as timestamp, found \(text.quoted)")
      }
      return time
    }

    private func list(_ column: Column) throws -> [JSON] {
      guard let list = try JSON(parsingPython: Array(fields[column]!.utf8), place: place).array else {
        throw place.error("expected a list in \(column.rawValue)")
      }
      return list
    }
  }

  // MARK: Items

  private struct Item {
    /// `nil` where the file has titles only.
    var id: String?
    var title: String
  }

  /// The items of all rows, by number in the order of their first appearance.
  private struct Items {
    private var keys = Numbering()
    private(set) var titles: [String] = []

    /// The numbers of the items of a row, if all of them are in order; otherwise none is taken in.
    mutating func numbers(of row: [Item], _ place: LinePlace, _ log: inout ProblemLog) throws -> [Int32] {
      var named: [[UInt8]: String] = [:]
      for item in row {
        let key = item.id ?? item.title
        guard !item.title.allSatisfy(\.isWhitespace), !key.isEmpty else { throw place.error("a title or id is empty") }
        let known = keys.known(key).map { titles[Int($0)] } ?? named[Array(key.utf8)]
        let title = item.title.onOneLine
        guard known.map({ $0.utf8.elementsEqual(title.utf8) }) ?? true else {
          throw place.error("the item \(key.quoted) has two titles, \(known!.quoted) and \(title.quoted)")
        }
        named[Array(key.utf8)] = title
      }
      return row.map { item in
        let number = keys.number(of: item.id ?? item.title)
        if Int(number) == titles.count { titles.append(log.oneLine(item.title)) }
        return number
      }
    }

    /// The id in the dataset by number: in the order of the source's ids where all of them are whole numbers, else of
    /// first appearance.
    var order: [Int32] {
      let ids = keys.names.compactMap { Int($0) }
      let all = Int32(0)..<Int32(titles.count)
      guard ids.count == titles.count else { return Array(all) }
      var order = Array(all)
      for (id, number) in all.sorted(by: { (ids[Int($0)], $0) < (ids[Int($1)], $1) }).enumerated() {
        order[Int(number)] = Int32(id)
      }
      return order
    }
  }
}
