extension Dataset {
  static let itemsFile = "items.jsonl"
  static let titleCountsFile = "title_counts.jsonl"
  static func file(of split: Split) -> String { "\(split.rawValue).jsonl" }

  /// Reads a dataset directory: `items.jsonl`, `train.jsonl`, `valid.jsonl`, `test.jsonl` and, if it is there,
  /// `dataset.json` with the digests of the others; or, in a directory without `train.jsonl`, `title_counts.jsonl`.
  ///
  /// - Throws: `FlowerError` of kind `data` with file and line.
  public init(directory: String) throws {
    let manifest = try DatasetManifest(directory: directory)
    try manifest?.check(directory: directory)
    let name = manifest?.name ?? Self.lastComponent(of: directory)
    let titleCounts = "\(directory)/\(Self.titleCountsFile)"
    if !File.exists("\(directory)/\(Self.file(of: .train))"), File.exists(titleCounts) {
      let (titles, weights) = try Self.titleCounts(titleCounts)
      self.init(name: name, titles: titles, weights: weights)
      return
    }
    for file in [Self.itemsFile] + Split.allCases.map(Self.file) where !File.exists("\(directory)/\(file)") {
      throw FlowerError(
        .data,
        "\(directory)/\(file): missing; a dataset directory is made by `flower-worker prepare`,"
          + " or has a \(Self.titleCountsFile)")
    }
    let titles = try Self.items("\(directory)/\(Self.itemsFile)")
    func examples(_ split: Split) throws -> [Interaction] {
      try Self.examples("\(directory)/\(Self.file(of: split))", items: titles.count)
    }
    try self.init(
      name: name, titles: titles, train: examples(.train), valid: examples(.valid), test: examples(.test))
  }

  /// The last part of a path, which names what it leads to.
  static func lastComponent(of path: String) -> String {
    path.utf8.split(separator: UInt8(ascii: "/")).last.flatMap { String($0) } ?? path
  }

  /// Titles of `items.jsonl`, in which a line's number from 0 is its item's id. `repair` may change a title before it
  /// is checked.
  static func items(_ path: String, repair: (String) -> String = { $0 }) throws -> [String] {
    var titles: [String] = []
    try eachLine(of: path) { json, lines in
      guard let id = json["id"]?.int else { throw lines.error("expected a whole number as \"id\"") }
      guard id == titles.count else {
        throw lines.error("expected the id \(titles.count), the line's number from 0; found \(id)")
      }
      titles.append(try title(json, lines, repair: repair))
    }
    guard titles.count <= Int(Int32.max) else { throw FlowerError(.data, "\(path): has more than \(Int32.max) items") }
    return titles
  }

  /// The titles of `items.jsonl`, `title_counts.jsonl` or another file of one object a line that has a `title`.
  static func titles(_ path: String) throws -> [String] {
    var titles: [String] = []
    try eachLine(of: path) { json, lines in titles.append(try title(json, lines)) }
    return titles
  }

  /// Titles and counts of a file in the form of `title_counts.jsonl`, by line.
  static func titleCounts(_ path: String) throws -> (titles: [String], weights: [Double]) {
    var titles: [String] = []
    var weights: [Double] = []
    try eachLine(of: path) { json, lines in
      titles.append(try title(json, lines))
      guard let count = json["count"]?.double, 0...1e12 ~= count else {
        throw lines.error("expected a number from 0 to 1e12 as \"count\"")
      }
      weights.append(count)
    }
    let total = weights.reduce(0, +)
    guard total > 0, total.isFinite else {
      throw FlowerError(.data, "\(path): expected a finite sum of counts above 0, found \(total)")
    }
    return (titles, weights)
  }

  private static func examples(_ path: String, items: Int) throws -> [Interaction] {
    var examples: [Interaction] = []
    try eachLine(of: path) { json, lines in
      func item(_ value: JSON?, _ place: String) throws -> Int32 {
        guard let id = value?.int else { throw lines.error("expected an item id \(place)") }
        guard (0..<items).contains(id) else {
          throw lines.error("no item has the id \(id) \(place): \(itemsFile) has \(items), from 0")
        }
        return Int32(id)
      }
      guard let history = json["history"]?.array else { throw lines.error("expected an array as \"history\"") }
      examples.append(
        Interaction(
          history: try history.map { try item($0, "in \"history\"") },
          item: try item(json["item"], "as \"item\""),
          user: json["user"]?.int.flatMap(Int32.init(exactly:)),
          timestamp: json["timestamp"]?.double))
    }
    return examples
  }

  private static func title(
    _ json: JSON, _ lines: LineReader, repair: (String) -> String = { $0 }
  ) throws -> String {
    guard let text = json["title"]?.string else { throw lines.error("expected a string as \"title\"") }
    let title = repair(text)
    guard !title.allSatisfy(\.isWhitespace) else { throw lines.error("the title is empty") }
    guard !title.contains(where: \.isNewline) else { throw lines.error("the title has a line break") }
    return title
  }

  /// Calls `body` for every line, each of which is a JSON object.
  static func eachLine(of path: String, _ body: (JSON, LineReader) throws -> Void) throws {
    let lines = try LineReader(path)
    while let line = try lines.next() {
      let json = try JSON(parsing: line, file: path, line: lines.number)
      guard json.object != nil else { throw lines.error("expected an object, found \(json.kind)") }
      try body(json, lines)
    }
    guard lines.number > 0 else { throw FlowerError(.data, "\(path): is empty") }
  }
}
