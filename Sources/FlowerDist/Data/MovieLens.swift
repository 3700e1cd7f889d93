/// Reads MovieLens in the forms in which it is spread, and other data in RecBole's form.
public enum MovieLens {
  /// The two files of one form.
  private struct Files {
    /// Path, and the columns user, item, time.
    var interactions: (path: String, layout: TableLayout)
    /// Path, and the columns item, title.
    var items: (path: String, layout: TableLayout)
  }

  /// What stands where MovieLens 100K has no title (in RecBole's spelling, too).
  private static let placeholders = ["unknown", "unkonwn"]

  /// Interactions by the published rules (`InteractionLog.dataset`). Items without a title are left out before the core.
  ///
  /// - Parameters:
  ///   - source: RecBole's atomic files (a `.inter` file with its `.item` beside it, or a directory with one), or a
  ///     directory of MovieLens with `u.data`, `ratings.dat` or `ratings.csv`.
  ///   - name: Of the dataset.
  /// - Throws: `FlowerError` of kind `data` with file and line.
  public static func prepare(_ source: String, name: String, options: Preparation.Options) throws -> Preparation {
    let files = try files(of: source)
    var log = ProblemLog(damagedLimit: options.damagedLimit)
    var catalogue = try Catalogue(files.items.path, files.items.layout, &log)
    let (events, users) = try events(files.interactions.path, files.interactions.layout, &catalogue, &log)
    let interactions = InteractionLog(events: events, users: users, titles: catalogue.titles)
    let dataset = try interactions.dataset(name: name, options: options, path: files.interactions.path, &log)
    return try Preparation(
      dataset, format: "movielens",
      options: [
        JSON.Member("history_length", JSON(options.historyLength)), JSON.Member("core", JSON(options.core)),
      ],
      files: [files.interactions.path, files.items.path], log: log)
  }

  private static func files(of source: String) throws -> Files {
    let userItemTime = TableLayout.Columns.at([0, 1, 3])
    let itemTitle = TableLayout.Columns.at([0, 1])
    func recBole(_ path: String) -> Files {
      Files(
        interactions: (
          path, TableLayout(separator: "\t", columns: .named([["user_id"], ["item_id"], ["timestamp"]]))
        ),
        items: (
          String(path.dropLast(".inter".count)) + ".item",
          TableLayout(separator: "\t", columns: .named([["item_id"], ["movie_title", "title", "item_name"]]))
        ))
    }
    if source.hasSuffix(".inter") { return recBole(source) }
    let names = try Directory.names(in: source)
    let atomic = names.filter { $0.hasSuffix(".inter") }
    if atomic.count == 1 { return recBole("\(source)/\(atomic[0])") }
    if names.contains("u.data") {
      return Files(
        interactions: ("\(source)/u.data", TableLayout(separator: "\t", columns: userItemTime)),
        items: ("\(source)/u.item", TableLayout(separator: "|", columns: itemTitle)))
    }
    if names.contains("ratings.dat") {
      return Files(
        interactions: ("\(source)/ratings.dat", TableLayout(separator: "::", columns: userItemTime)),
        items: ("\(source)/movies.dat", TableLayout(separator: "::", columns: itemTitle)))
    }
    if names.contains("ratings.csv") {
      func layout(_ columns: String...) -> TableLayout {
        TableLayout(separator: ",", quoted: true, columns: .named(columns.map { [$0] }))
      }
      return Files(
        interactions: ("\(source)/ratings.csv", layout("userId", "movieId", "timestamp")),
        items: ("\(source)/movies.csv", layout("movieId", "title")))
    }
    throw FlowerError(
      .data,
      "\(source): expected one .inter file (RecBole) or u.data, ratings.dat or ratings.csv (MovieLens); found "
        + (atomic.isEmpty ? "none" : atomic.joined(separator: ", ") + ": name one"))
  }

  private static func events(
    _ path: String, _ layout: TableLayout, _ catalogue: inout Catalogue, _ log: inout ProblemLog
  ) throws -> (events: [InteractionEvent], users: [String]) {
    var events: [InteractionEvent] = []
    var users = Numbering()
    let table = try TableReader(path, layout)
    while let row = try table.next(&log) {
      guard !row[0].isEmpty, !row[1].isEmpty else {
        try log.skip(table.place, "no user or no item")
        continue
      }
      guard let time = Double(row[2]), time.isFinite else {
        try log.skip(table.place, "expected a number as time, found \(row[2].quoted)")
        continue
      }
      guard let item = catalogue.item(row[1], &log) else { continue }
      events.append(InteractionEvent(user: users.number(of: row[0]), item: item, time: time))
    }
    return (events, users.names)
  }

  /// The items of the source that have a title, in its order.
  private struct Catalogue {
    private(set) var titles: [String] = []
    private var items = Numbering()
    /// The source's ids of items that occur in interactions but have no title, each noted once.
    private var untitled = Set<String>()

    init(_ path: String, _ layout: TableLayout, _ log: inout ProblemLog) throws {
      let table = try TableReader(path, layout)
      while let row = try table.next(&log) {
        guard !row[0].isEmpty else {
          try log.skip(table.place, "no item")
          continue
        }
        guard items.known(row[0]) == nil else {
          try log.skip(table.place, "the item \(row[0].quoted) occurs twice")
          continue
        }
        let title = log.oneLine(row[1])
        guard !title.allSatisfy(\.isWhitespace), !placeholders.contains(title) else { continue }
        _ = items.number(of: row[0])
        titles.append(title)
      }
    }

    /// The number of an item of the source, or `nil` if it has no title.
    mutating func item(_ id: String, _ log: inout ProblemLog) -> Int32? {
      if let number = items.known(id) { return number }
      if untitled.insert(id).inserted { log.note(.untitledItems, id) }
      return nil
    }
  }
}

/// Numbers names in the order of their first appearance, telling them apart by their bytes.
struct Numbering {
  private(set) var names: [String] = []
  private var numbers: [[UInt8]: Int32] = [:]

  func known(_ name: String) -> Int32? { numbers[Array(name.utf8)] }

  mutating func number(of name: String) -> Int32 {
    if let number = known(name) { return number }
    let number = Int32(names.count)
    numbers[Array(name.utf8)] = number
    names.append(name)
    return number
  }
}
