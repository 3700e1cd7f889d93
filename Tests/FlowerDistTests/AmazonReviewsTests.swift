import Testing

@testable import FlowerDist

@Suite struct AmazonReviewsTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Six users who each take the products P0 to P2 a day apart; user 0 also takes P3, once, and P4, which has no title.
  private static let events: [(user: Int, item: Int, time: Int)] =
    (0..<6).flatMap { user in (0..<3).map { (user, $0, 86_400 * (10 * user + $0)) } } + [
      (0, 3, 900_000), (1, 4, 900_000),
    ]

  private static let reviews2018 = events.map {
    #"{"overall": 5.0, "reviewerID": "U\#($0.user)", "asin": "P\#($0.item)", "reviewText": "a\nb", "#
      + #""unixReviewTime": \#($0.time)}"#
  }
  private static let reviews2023 = events.map {
    #"{"rating": 5.0, "asin": "variant", "parent_asin": "P\#($0.item)", "user_id": "U\#($0.user)", "#
      + #""timestamp": \#($0.time * 1000)}"#
  }
  private static let products = [
    #"{"asin": "P9", "title": "Not reviewed"}"#,
    #"{"asin": "P1", "title": " \"Tom &amp; Jerry &quot;2&quot;\" "}"#,
    #"{"asin": "P0", "title": "Caf\u00e9\r\nRoyal", "price": null}"#,
    #"{"asin": "P2", "title": "Assassin&#39;s Creed"}"#,
    #"{"asin": "P2", "title": "A second line of it"}"#,
    #"{"asin": "P3", "title": "Rare"}"#,
  ]

  private func prepare(
    _ reviews: [String], _ products: [String], packed: Bool = false,
    _ set: (inout Preparation.Options) -> Void = { _ in }
  ) throws -> Preparation {
    func bytes(_ lines: [String]) -> [UInt8] {
      let text = Array(lines.joined(separator: "\n").utf8)
      return packed ? gzipped(text) : text
    }
    var options = Preparation.Options(core: 2)
    set(&options)
    return try AmazonReviews.prepare(
      reviews: directory.write("reviews", bytes(reviews)), products: directory.write("meta", bytes(products)),
      name: "x", options: options)
  }

  private func problem(_ kind: DatasetProblem.Kind, _ preparation: Preparation) -> DatasetProblem? {
    preparation.problems.first { $0.kind == kind }
  }

  @Test(arguments: [2014, 2018, 2023], [false, true])
  func readsAllEditions(year: Int, packed: Bool) throws {
    var products = Self.products
    if year == 2014 {
      // As Python wrote them.
      products = [
        #"{'asin': 'P9', 'title': "Not reviewed"}"#,
        #"{'asin': 'P1', 'title': ' "Tom &amp; Jerry &quot;2&quot;" ', 'related': {'also_bought': ['P2']}, 'x': True}"#,
        #"{'asin': 'P0', 'title': 'Caf\xe9\r\nRoyal', 'price': 3.17}"#,
        #"{'asin': 'P2', 'title': "Assassin&#39;s Creed"}"#, #"{'title': 'Rare', 'asin': 'P3'}"#,
      ]
    }
    if year == 2023 { products = products.map { $0.replacing("\"asin\"", with: "\"parent_asin\"") } }
    let prepared = try prepare(year == 2023 ? Self.reviews2023 : Self.reviews2018, products, packed: packed)
    let data = prepared.dataset
    #expect(data.titles == ["Café Royal", "Tom & Jerry \"2", "Assassin&#39;s Creed"])
    #expect([data.train.count, data.valid.count, data.test.count] == [9, 1, 2])
    #expect(data.train[0] == Interaction(history: [0], item: 1, user: 0, timestamp: 86_400))
    #expect(data.train[1] == Interaction(history: [0, 1], item: 2, user: 0, timestamp: 2 * 86_400))
    #expect(problem(.untitledItems, prepared) == DatasetProblem(kind: .untitledItems, count: 1, examples: ["\"P4\""]))
    #expect(problem(.itemsOutsideCore, prepared)?.examples == ["Rare"])
    #expect(problem(.lineBreaks, prepared)?.count == 1)
    let output = directory.path + "/out"
    try prepared.write(to: output)
    #expect(try Dataset(directory: output).digest == data.digest)
  }

  @Test func theWindowIsHalfOpen() throws {
    let prepared = try prepare(Self.reviews2018, Self.products) {
      $0.from = CalendarDay("1970-01-11")
      $0.until = CalendarDay("1970-02-11")
    }
    // Days 10 to 40: of user 4 only the first, which the core drops; of user 0 only what is outside of it anyway.
    #expect(prepared.dataset.train.count + prepared.dataset.valid.count + prepared.dataset.test.count == 6)
    #expect(problem(.outsideWindow, prepared)?.count == 8)
    #expect(prepared.source["from"]?.string == "1970-01-11")
  }

  @Test func titlesThatAreNone() throws {
    func title(_ text: String) -> String? { ProductTitle.cleaned(text) }
    #expect(title("  \"\"A b\"  ") == "A b")
    #expect(title("&amp;quot;") == "&quot;")
    #expect(title("<span id=\"x\">") == nil)
    for text in ["", "A", "  A ", "\"\"", "   ", "\n\n"] { #expect(title(text) == nil) }
    let words = (0..<21).map { _ in "w" }.joined(separator: " ")
    var products = Self.products
    products[2] = #"{"asin": "P0", "title": "\#(words)"}"#
    let prepared = try prepare(Self.reviews2018, products)
    #expect(problem(.longTitles, prepared)?.examples == ["\"\(words)\""])
    #expect(prepared.dataset.titles.count == 2)
    #expect(try prepare(Self.reviews2018, products) { $0.titleWords = 21 }.dataset.titles.count == 3)
  }

  @Test func damagedLinesAreCountedUpToALimit() throws {
    let damage = [
      "{\"reviewerID\": \"U0\", \"asin\": \"P0\"", "[]", "{\"reviewerID\": \"U0\", \"asin\": 3, \"unixReviewTime\": 1}",
      "{\"user_id\": \"\", \"asin\": \"P0\", \"timestamp\": 1}", "{'reviewerID': __import__('os')}", "\u{1}",
      "nonsense",
      #"{"reviewerID": "U0", "asin": "P0", "unixReviewTime": 1e3}"#,
      #"{"reviewerID": "U0", "asin": "P0", "unixReviewTime": 99999999999999999999}"#,
    ]
    let reviews = damage + [""] + Self.reviews2018
    let prepared = try prepare(reviews, Self.products) { $0.damagedLimit = damage.count }
    let damaged = try #require(problem(.damagedLines, prepared))
    #expect(damaged.count == damage.count)
    #expect(damaged.examples[0] == "reviews:1: expected , or } in an object (byte 33, the end)")
    #expect(damaged.examples[1] == "reviews:2: expected an object, found an array")
    #expect(prepared.dataset.train.count == 9)
    let error = flowerError { _ = try prepare(reviews, Self.products) { $0.damagedLimit = damage.count - 1 } }
    #expect(error?.kind == .data)
    #expect(error?.description.contains("/reviews:9: expected reviewerID") == true)
    #expect(error?.description.contains("(and 8 damaged lines before it") == true)
  }

  @Test func nothingLeft() throws {
    #expect(flowerError { _ = try prepare([], Self.products) }?.description.hasSuffix("reviews: is empty") == true)
    let untitled = flowerError { _ = try prepare(Self.reviews2018, [#"{"asin": "P0"}"#]) }
    #expect(untitled?.description.contains("--core") == true)
    let path = try directory.write("one", Self.reviews2018[0])
    let twice = flowerError {
      _ = try AmazonReviews.prepare(reviews: path, products: path, name: "x", options: .init())
    }
    #expect(twice?.kind == .usage)
  }
}

@Suite struct CalendarDayTests {
  /// `date -u -d … +%s` of GNU coreutils.
  @Test(arguments: [
    ("1970-01-01", 0), ("2018-11-01", 1_541_030_400), ("2000-02-29", 951_782_400), ("1900-03-01", -2_203_891_200),
    ("2100-12-31", 4_133_894_400), ("1969-12-31", -86_400),
  ])
  func secondsOfADay(text: String, seconds: Int) throws {
    let day = try #require(CalendarDay(text))
    #expect(day.secondsSince1970 == Double(seconds))
    #expect(day.description == text)
  }

  @Test(arguments: [
    "", "2018", "2018-13-01", "2018-00-01", "2018-02-29", "1900-02-29", "2018-11-31", "2018-1-01", "+018-11-01",
    "2018/11/01",
    "2018-11-01 ", "٢٠١٨-11-01", "0999-01-01", "2018-11-00", "2018--1-01",
  ])
  func refuses(text: String) { #expect(CalendarDay(text) == nil) }
}
