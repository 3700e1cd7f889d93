import Testing

@testable import FlowerDist

@Suite struct PreparationTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func problem(_ kind: DatasetProblem.Kind, of preparation: Preparation) -> DatasetProblem? {
    preparation.problems.first { $0.kind == kind }
  }

  @Test func theCoreIsIterated() {
    // Leaving out item 2 (one event) leaves user 2 with one event, and then item 1 with one.
    let pairs: [(Int32, Int32)] = [(0, 0), (0, 3), (1, 0), (1, 3), (2, 1), (2, 2), (0, 1), (3, 0), (3, 3)]
    let events = pairs.map { InteractionEvent(user: $0, item: $1, time: 0) }
    #expect(events.core(2).map { [$0.user, $0.item] } == [[0, 0], [0, 3], [1, 0], [1, 3], [3, 0], [3, 3]])
    #expect(events.core(1) == events)
    #expect(events.core(4).isEmpty)
  }

  /// A chain, of which each round over all events would take one link from each end.
  @Test(.timeLimit(.minutes(1))) func aLongChainComesApartInOnePass() {
    func event(_ user: Int, _ item: Int) -> InteractionEvent {
      InteractionEvent(user: Int32(user), item: Int32(item), time: 0)
    }
    let links = (0..<400_000).map { event($0 / 2, ($0 + 1) / 2) }
    #expect(links.core(2).isEmpty)
    let ring = links + [event(200_000, 200_000), event(200_000, 0)]
    let whole = ring.core(2) == ring
    #expect(whole)
  }

  /// What stands in raw data reaches neither messages nor the terminal as it is.
  @Test func hostileCellsAreShownAsText() throws {
    let hostile = "\u{1B}[2J" + String(repeating: "x", count: 5000)
    let scratch = try ScratchDirectory()
    try scratch.write(#"{"id":0,"title":"One"}"#, "items.jsonl")
    try scratch.write(
      "user,item,split\n\(hostile),\(hostile),train\nU,0,\(hostile)\n\(hostile),0,train\n", "interactions.csv")
    let made = try InteractionsFile.prepare(scratch.path, name: "x", options: .init(damagedLimit: 2))
    let summary = DatasetSummary(made.dataset, problems: made.problems).description
    #expect(!summary.contains("\u{1B}") && summary.split(separator: "\n").allSatisfy { $0.count <= 80 })
    try scratch.write("0|One|x\n", "u.item")
    try scratch.write("1\t0\t5\t\(hostile)\n", "u.data")
    for read in [
      { _ = try InteractionsFile.prepare(scratch.path, name: "x", options: .init(damagedLimit: 0)) },
      { _ = try MovieLens.prepare(scratch.path, name: "x", options: .init(damagedLimit: 0)) },
    ] {
      let message = flowerError(read)?.description ?? ""
      #expect(message.contains("found") || message.contains("no item"), "\(message)")
      #expect(message.count < 1000 && !message.contains("\u{1B}"))
    }
  }

  @Test func everyEventAfterTheFirstIsAnExample() {
    let events: [InteractionEvent] = [
      InteractionEvent(user: 5, item: 0, time: 4), InteractionEvent(user: 2, item: 7, time: 3),
      InteractionEvent(user: 5, item: 1, time: 1), InteractionEvent(user: 5, item: 2, time: 4),
      InteractionEvent(user: 5, item: 3, time: 5), InteractionEvent(user: 2, item: 8, time: 4),
      InteractionEvent(user: 9, item: 1, time: 0),
    ]
    #expect(
      events.examples(historyLength: 2) == [
        Interaction(history: [1], item: 0, user: 0, timestamp: 4),
        Interaction(history: [1, 0], item: 2, user: 0, timestamp: 4),
        Interaction(history: [7], item: 8, user: 1, timestamp: 4),
        Interaction(history: [0, 2], item: 3, user: 0, timestamp: 5),
      ])
  }

  @Test(arguments: [(10, 8, 1, 1), (61_417, 49_133, 6_142, 6_142), (98_335, 78_668, 9_833, 9_834)])
  func theSplitIsByOrder(examples: Int, train: Int, valid: Int, test: Int) {
    let ordered = (0..<examples).map { Interaction(history: [], item: 0, timestamp: Double($0)) }
    let data = Dataset(name: "", titles: ["A"], ordered: ordered)
    #expect([data.train.count, data.valid.count, data.test.count] == [train, valid, test])
    #expect(data.train + data.valid + data.test == ordered)
  }

  /// Six users who each take the items 1 to 3 in turn, in the four forms; item 4 is taken once, 5 has no title.
  private static let rows =
    (0..<6).flatMap { user in (1...3).map { (user, $0, 10 * user + $0) } } + [(0, 4, 99), (1, 5, 99), (2, 5, 99)]
  private static let titles = ["Café, The", "B \"b\"", "C"]

  private func writeMovieLens(_ form: String) throws -> String {
    func lines(_ header: String, _ rows: [String]) -> String {
      ([header] + rows).filter { !$0.isEmpty }.joined(separator: "\n")
    }
    func ratings(_ separator: String) -> [String] {
      Self.rows.map { ["u\($0.0)", "\($0.1)", "5", "\($0.2)"].joined(separator: separator) }
    }
    func items(_ separator: String, _ title: (String) -> String = { $0 }) -> [String] {
      (Self.titles + ["D", "unknown"]).enumerated().map { "\($0 + 1)\(separator)\(title($1))\(separator)x" }
    }
    switch form {
    case "recbole":
      try directory.write(
        "x.inter", lines("user_id:token\titem_id:token\trating:float\ttimestamp:float", ratings("\t")))
      try directory.write("x.item", lines("item_id:token\tmovie_title:token_seq\tclass:token_seq", items("\t")))
      return directory.path + "/x.inter"
    case "u.data":
      try directory.write("u.data", lines("", ratings("\t")))
      let latin1 = lines("", items("|")).unicodeScalars.map { UInt8($0.value) }
      try directory.write("u.item", latin1)
    case "ratings.dat":
      try directory.write("ratings.dat", lines("", ratings("::")))
      try directory.write("movies.dat", lines("", items("::")))
    default:
      try directory.write("ratings.csv", lines("\u{FEFF}userId,movieId,rating,timestamp", ratings(",")))
      let quoted = items(",") { "\"\($0.replacing("\"", with: "\"\""))\"" }
      try directory.write("movies.csv", lines("movieId,title,genres", quoted))
    }
    return directory.path
  }

  @Test(arguments: ["recbole", "u.data", "ratings.dat", "ratings.csv"])
  func readsMovieLens(form: String) throws {
    let source = try writeMovieLens(form)
    let prepared = try MovieLens.prepare(source, name: "x", options: .init(core: 2))
    let data = prepared.dataset
    #expect(data.titles == Self.titles)
    #expect(data.train.count == 9)
    #expect(data.users == 6)
    #expect(data.train[0] == Interaction(history: [0], item: 1, user: 0, timestamp: 2))
    #expect(data.test.last == Interaction(history: [0, 1], item: 2, user: 5, timestamp: 53))
    #expect(problem(.untitledItems, of: prepared) == DatasetProblem(kind: .untitledItems, count: 1, examples: ["5"]))
    #expect(problem(.itemsOutsideCore, of: prepared)?.examples == ["D"])
    #expect(prepared.source["files"]?.object?.count == 2)
    let output = directory.path + "/out"
    try prepared.write(to: output)
    #expect(try Dataset(directory: output).digest == data.digest)
  }

  @Test func damagedLinesAreCountedUpToALimit() throws {
    let source = try writeMovieLens("u.data")
    let good = String(decoding: try File.contents(of: source + "/u.data"), as: UTF8.self)
    try directory.write("u.data", "1\t2\n" + good + "\nu0\t1\t5\tnan\n\t1\t5\t7\n\n")
    let prepared = try MovieLens.prepare(source, name: "x", options: .init(core: 2, damagedLimit: 3))
    let damaged = try #require(problem(.damagedLines, of: prepared))
    #expect(damaged.count == 3)
    #expect(damaged.examples[0] == "u.data:1: too few columns")
    #expect(damaged.examples[1].hasPrefix("u.data:23: expected a number as time"))
    #expect(prepared.dataset.train.count == 9)
    let error = #expect(throws: FlowerError.self) {
      try MovieLens.prepare(source, name: "x", options: .init(core: 2, damagedLimit: 2))
    }
    #expect(error?.description.contains("u.data:24: no user or no item (and 2 damaged lines before it") == true)
  }

  @Test func saysWhatItExpected() throws {
    let nothing = #expect(throws: FlowerError.self) {
      try MovieLens.prepare(directory.path, name: "x", options: .init())
    }
    #expect(nothing?.description.contains("ratings.csv") == true)
    let source = try writeMovieLens("recbole")
    let tooDeep = #expect(throws: FlowerError.self) {
      try MovieLens.prepare(source, name: "x", options: .init(core: 50))
    }
    #expect(tooDeep?.description.contains("--core") == true)
    try directory.write("x.inter", "user\titem_id:token\ttimestamp:float\n")
    let column = #expect(throws: FlowerError.self) { try MovieLens.prepare(source, name: "x", options: .init()) }
    #expect(column?.description.hasSuffix("x.inter:1: no column user_id; found user, item_id, timestamp") == true)
  }

  @Test func readsInteractions() throws {
    try directory.write("items.jsonl", (0..<4).map { "{\"id\":\($0),\"title\":\"T\($0)\\r\\nx\"}\n" }.joined())
    let path = try directory.write(
      "interactions.csv",
      """
      user,item,split
      a,0,first
      a,1,train
      b,3,train
      a,2,train
      a,3,valid
      a,9,train
      b,0,later
      a,0,first
      b
      b,1,test
      """)
    let prepared = try InteractionsFile.prepare(path, name: "x", options: .init(historyLength: 2))
    let data = prepared.dataset
    #expect(data.titles == ["T0 x", "T1 x", "T2 x", "T3 x"])
    #expect(
      data.train == [
        Interaction(history: [0], item: 1, user: 0), Interaction(history: [], item: 3, user: 1),
        Interaction(history: [0, 1], item: 2, user: 0),
      ])
    #expect(data.valid == [Interaction(history: [1, 2], item: 3, user: 0)])
    #expect(data.test == [Interaction(history: [3], item: 1, user: 1)])
    #expect(data.counts == [2, 1, 0, 0])
    #expect(problem(.lineBreaks, of: prepared)?.count == 4)
    let damaged = try #require(problem(.damagedLines, of: prepared))
    #expect(damaged.count == 4)
    #expect(damaged.examples[0].hasPrefix("interactions.csv:7: no item has the id \"9\""))
  }

  @Test func fieldsAreCutAsQuoted() {
    func fields(_ line: String, _ separator: String = ",", quoted: Bool = true) -> [String]? {
      TableReader.fields(of: Array(line.utf8), Array(separator.utf8), quoted: quoted)?
        .map { String(decoding: $0, as: UTF8.self) }
    }
    #expect(fields("a,,b") == ["a", "", "b"])
    #expect(fields("a,") == ["a", ""])
    #expect(fields("\"a,b\",\"c\"\"d\",\"\"\"\"") == ["a,b", "c\"d", "\""])
    #expect(fields("\"\",x") == ["", "x"])
    #expect(fields("\"a") == nil)
    #expect(fields("\"a\"b,c") == nil)
    #expect(fields("\"a\"::b:c::", "::", quoted: false) == ["\"a\"", "b:c", ""])
  }
}
