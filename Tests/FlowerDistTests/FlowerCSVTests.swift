import Testing

@testable import FlowerDist

@Suite struct FlowerCSVTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let header =
    "user_id,item_asins,item_asin,history_item_id,item_id,history_item_title,item_title,history_rating,rating,"
    + "history_timestamp,timestamp"
  /// What Python's csv.writer writes for rows of these values.
  private static let train = [
    header,
    #"U1,"['a', 'b']",c,"[7, 3]",5,"['Tom & Jerry', ""It's, he said""]","Say ""hi"", now",[5.0],4.0,"[1, 2]",30"#,
    #"U2,['b'],d,[3],9,"[""It's, he said""]","Two"#, #"lines",[5.0],4.0,[1],40"#,
    "U1,[],a,[],7,[],Tom & Jerry,[],4.0,[],50",
  ]
  private static let valid = [header, #"U2,"['a']",b,[7],3,['Tom & Jerry'],"It's, he said",[5.0],4.0,[1],60"#]
  private static let test = [
    header, #"U3,"['d']",a,"[9, 5]",7,"['Two\nlines', 'Say ""hi"", now']",Tom & Jerry,,,,70.5"#,
  ]

  @discardableResult
  private func write(_ name: String, _ lines: [String]) throws -> String {
    if let folder = name.split(separator: "/").dropLast().first {
      try? Directory.create("\(directory.path)/\(folder)")
    }
    return try directory.write(name, lines.joined(separator: "\r\n") + "\r\n")
  }

  private func prepare(_ sources: [String], damagedLimit: Int = 0) throws -> Preparation {
    try FlowerCSV.prepare(sources, name: "x", options: .init(damagedLimit: damagedLimit))
  }

  private func check(_ data: Dataset) {
    // Sorted by the source's ids: 3, 5, 7, 9.
    #expect(data.titles == ["It's, he said", "Say \"hi\", now", "Tom & Jerry", "Two lines"])
    #expect(
      data.train == [
        Interaction(history: [2, 0], item: 1, user: 0, timestamp: 30),
        Interaction(history: [0], item: 3, user: 1, timestamp: 40),
        Interaction(history: [], item: 2, user: 0, timestamp: 50),
      ])
    #expect(data.valid == [Interaction(history: [2], item: 0, user: 1, timestamp: 60)])
    #expect(data.test == [Interaction(history: [3, 1], item: 2, user: 2, timestamp: 70.5)])
  }

  @Test(arguments: [
    ["games_train.csv", "games_valid.csv", "games_test.csv"], ["train/5.csv", "valid/5.csv", "test/5.csv"],
    ["training.csv", "val.csv", "TEST.csv"],
  ])
  func readsADirectory(names: [String]) throws {
    for (name, lines) in zip(names, [Self.train, Self.valid, Self.test]) { try write(name, lines) }
    let prepared = try prepare([directory.path])
    check(prepared.dataset)
    #expect(prepared.problems.contains { $0.kind == .lineBreaks && $0.count == 1 })
    #expect(prepared.source["files"]?.object?.count == 3)
    let output = directory.path + "/out"
    try prepared.write(to: output)
    #expect(try Dataset(directory: output).digest == prepared.dataset.digest)
  }

  @Test func readsThreeFiles() throws {
    let sorted = [
      try write("test.csv", Self.test), try write("train.csv", Self.train), try write("valid.csv", Self.valid),
    ]
    check(try prepare(sorted).dataset)
    let numbered = [try write("0.csv", Self.train), try write("1.csv", Self.valid), try write("2.csv", Self.test)]
    check(try prepare(numbered).dataset)
    #expect(flowerError { _ = try prepare([numbered[0], numbered[0], numbered[2]]) }?.kind == .usage)
    // Five files, of which only the names of three tell.
    #expect(flowerError { _ = try prepare([directory.path]) }?.kind == .usage)
  }

  @Test func titlesAloneAreEnough() throws {
    let header = "history_item_title,item_title"
    let files = [
      try write("train.csv", [header, "\"['B', 'A']\",C"]), try write("valid.csv", [header, "['A'],B"]),
      try write("test.csv", [header, "['C'],D"]),
    ]
    let data = try prepare(files).dataset
    #expect(data.titles == ["B", "A", "C", "D"])
    #expect(data.test == [Interaction(history: [2], item: 3)])
    try write("train.csv", ["history_item_title,title", "['B'],A"])
    #expect(flowerError { _ = try prepare(files) }?.description.contains("train.csv:1: no column item_title") == true)
  }

  @Test func damagedRowsAreCountedUpToALimit() throws {
    let row = { (history: String, ids: String, id: String, title: String, time: String) in
      "U,,,\"\(ids)\",\(id),\"\(history)\",\(title),,,,\(time)"
    }
    let damage = [
      row("['A'", "[1]", "2", "B", "1"), row("['A', 'B']", "[1]", "2", "B", "1"), row("['A']", "[1.0]", "2", "B", "1"),
      row("['A']", "[1]", "2", " ", "1"), row("['Another']", "[7]", "7", "Tom & Jerry", "1"),
      row("[__import__('os').system('x')]", "[1]", "2", "B", "1"), row("'A'", "[1]", "2", "B", "1"),
      row("['A']", "[1]", "2", "B", "soon"), row("[3]", "[1]", "2", "B", "1"), "U,\"x\"y", "U", "U,\"never closed",
    ]
    let files = [
      try write("train.csv", [Self.header] + damage + Self.train.dropFirst()), try write("valid.csv", Self.valid),
      try write("test.csv", Self.test),
    ]
    let prepared = try prepare(files, damagedLimit: damage.count)
    let problem = try #require(prepared.problems.first { $0.kind == .damagedLines })
    #expect(problem.count == damage.count)
    #expect(problem.examples[0].hasPrefix("train.csv:2: expected , or ] (byte 4"))
    #expect(problem.examples[1].hasPrefix("train.csv:3: 2 titles in history_item_title, 1 ids"))
    // Items of damaged rows are not taken in, and an open quote takes nothing along.
    check(prepared.dataset)
    let error = flowerError { _ = try prepare(files, damagedLimit: damage.count - 1) }
    #expect(error?.description.contains("train.csv:13: a quote is not closed") == true)
  }
}
