/// Reads Amazon's reviews and the titles of their products, in the forms in which McAuley's group spreads them: files
/// of one object a line, packed by gzip or not.
///
/// | edition | a review | a product |
/// | --- | --- | --- |
/// | 2014, 2018 | `reviewerID`, `asin`, `unixReviewTime` (seconds) | `asin`, `title` |
/// | 2023 | `user_id`, `parent_asin` (else `asin`), `timestamp` (milliseconds) | `parent_asin`, `title` |
///
/// Lines are JSON; products of 2014 are Python dictionaries.
public enum AmazonReviews {
  /// Interactions by the published rules (`InteractionLog.dataset`), of products with a usable title (`ProductTitle`) in
  /// the time window of `options`.
  ///
  /// Memory grows with the reviews in the window, by 16 bytes each, their users and their products; nothing else is kept
  /// of a line.
  ///
  /// - Parameters:
  ///   - reviews: path of the reviews.
  ///   - products: path of the metadata.
  ///   - name: Of the dataset.
  /// - Throws: `FlowerError` of kind `data` with file and line, or `usage` for one file given twice.
  public static func prepare(
    reviews: String, products: String, name: String, options: Preparation.Options
  ) throws -> Preparation {
    guard reviews != products else {
      throw FlowerError(.usage, "\(reviews): expected two files, the reviews and then the metadata")
    }
    var log = ProblemLog(damagedLimit: options.damagedLimit)
    var users = Numbering()
    var items = Numbering()
    let events = try events(reviews, options, &users, &items, &log)
    let titles = try titles(products, of: items, options, &log)
    var interactions = InteractionLog(events: [], users: users.names, titles: titles.map { $0 ?? "" })
    interactions.events = events.filter { titles[Int($0.item)] != nil }
    let dataset = try interactions.dataset(name: name, options: options, path: reviews, &log)
    var members = [
      JSON.Member("history_length", JSON(options.historyLength)), JSON.Member("core", JSON(options.core)),
      JSON.Member("title_words", JSON(options.titleWords)),
    ]
    if let from = options.from { members.append(JSON.Member("from", JSON(from.description))) }
    if let until = options.until { members.append(JSON.Member("until", JSON(until.description))) }
    return try Preparation(dataset, format: "amazon", options: members, files: [reviews, products], log: log)
  }

  // MARK: Reviews

  private static func events(
    _ path: String, _ options: Preparation.Options, _ users: inout Numbering, _ items: inout Numbering,
    _ log: inout ProblemLog
  ) throws -> [InteractionEvent] {
    let start = options.from?.secondsSince1970 ?? -.infinity
    let end = options.until?.secondsSince1970 ?? .infinity
    var events: [InteractionEvent] = []
    try eachObject(of: path, &log) { json, place, log in
      guard let review = Review(json) else {
        return try log.skip(
          place, "expected reviewerID, asin and unixReviewTime, or user_id, parent_asin and timestamp")
      }
      guard start <= review.time, review.time < end else {
        return log.note(.outsideWindow, "\(review.item.quoted) at \(review.time) seconds since 1970")
      }
      events.append(
        InteractionEvent(
          user: users.number(of: review.user), item: items.number(of: review.item), time: review.time))
    }
    return events
  }

  private struct Review {
    var user: String
    var item: String
    /// In seconds since 1970.
    var time: Double

    init?(_ json: JSON) {
      if let user = json["reviewerID"]?.string {
        guard let item = json["asin"]?.string, let seconds = json["unixReviewTime"]?.int else { return nil }
        self.init(user, item, time: Double(seconds))
      } else {
        guard let user = json["user_id"]?.string, let item = (json["parent_asin"] ?? json["asin"])?.string,
          let milliseconds = json["timestamp"]?.int
        else { return nil }
        self.init(user, item, time: Double(milliseconds) / 1000)
      }
    }

    private init?(_ user: String, _ item: String, time: Double) {
      guard !user.isEmpty, !item.isEmpty else { return nil }
      (self.user, self.item, self.time) = (user, item, time)
    }
  }

  // MARK: Products

  /// The title of each item that has a usable one. The first line of an item counts.
  private static func titles(
    _ path: String, of items: Numbering, _ options: Preparation.Options, _ log: inout ProblemLog
  ) throws -> [String?] {
    var titles = [String?](repeating: nil, count: items.names.count)
    var isKnown = [Bool](repeating: false, count: items.names.count)
    try eachObject(of: path, &log) { json, place, log in
      guard let id = (json["parent_asin"] ?? json["asin"])?.string else {
        return try log.skip(place, "expected asin or parent_asin")
      }
      guard let item = items.known(id).map(Int.init), !isKnown[item] else { return }
      isKnown[item] = true
      guard let text = json["title"]?.string, let title = ProductTitle.cleaned(text) else {
        return log.note(.untitledItems, id.quoted)
      }
      guard ProductTitle.wordCount(title) <= options.titleWords else { return log.note(.longTitles, title.quoted) }
      titles[item] = log.oneLine(title)
    }
    for (item, id) in items.names.enumerated() where !isKnown[item] { log.note(.untitledItems, id.quoted) }
    return titles
  }

  // MARK: Lines

  /// Calls `body` for every line that is an object; the others are skipped as damaged.
  private static func eachObject(
    of path: String, _ log: inout ProblemLog, _ body: (JSON, LinePlace, inout ProblemLog) throws -> Void
  ) throws {
    let lines = try LineReader(path, unpacked: true)
    while let line = try lines.next() {
      guard !line.isEmpty else { continue }
      let json: JSON
      do {
        json = try object(line, lines.place)
      } catch {
        try log.skip(lines.place, lines.place.reason(of: error))
        continue
      }
      try body(json, lines.place, &log)
    }
    guard lines.number > 0 else { throw FlowerError(.data, "\(path): is empty") }
  }

  private static func object(_ line: [UInt8], _ place: LinePlace) throws(FlowerError) -> JSON {
    do {
      // A Python dictionary shows in the quotes of its first key.
      let isPython = line.drop { $0 == UInt8(ascii: " ") }.starts(with: Array("{'".utf8))
      let json =
        isPython
        ? try JSON(parsingPython: line, place: place)
        : try JSON(parsing: line, file: place.path, line: place.number)
      guard json.object != nil else { throw place.error("expected an object, found \(json.kind)") }
      return json
    } catch { throw error as? FlowerError ?? place.error("\(error)") }
  }
}
