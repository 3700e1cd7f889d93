import Foundation
import Testing

@testable import FlowerDist

/// A directory of its own for each test, deleted with it.
final class TemporaryDirectory {
  let path = NSTemporaryDirectory() + "flower-\(UUID().uuidString)"

  init() throws { try Directory.create(path) }
  deinit { try? Directory.remove(path) }

  @discardableResult
  func write(_ file: String, _ text: String) throws -> String {
    try write(file, Array(text.utf8))
  }

  @discardableResult
  func write(_ file: String, _ bytes: [UInt8]) throws -> String {
    let path = "\(path)/\(file)"
    try File(writing: path).write(bytes)
    return path
  }
}

@Suite struct DatasetTests {
  let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    try directory.write("items.jsonl", #"{"id":0,"title":"A"}\#n{"id":1,"title":"B \"b\""}\#n{"id":2,"title":"é"}\#n"#)
    try directory.write("train.jsonl", #"{"history":[1,2,1],"item":0}\#n{"history":[],"item":2,"user":7}"#)
    try directory.write("valid.jsonl", #"{"history":[0],"item":1,"timestamp":1.5}\#r\#n"#)
    try directory.write("test.jsonl", #"{"item":1,"history":[0,2]}\#n"#)
  }

  private func error(_ read: () throws -> Void) throws -> String {
    let error = try #require(#expect(throws: FlowerError.self) { try read() })
    #expect(error.kind == .data)
    return error.description.replacingOccurrences(of: directory.path + "/", with: "")
  }

  @Test func readsADirectory() throws {
    let data = try Dataset(directory: directory.path)
    #expect(data.name == Dataset.lastComponent(of: directory.path))
    #expect(data.titles == ["A", "B \"b\"", "é"])
    #expect(data.train == [Interaction(history: [1, 2, 1], item: 0), Interaction(history: [], item: 2, user: 7)])
    #expect(data.valid == [Interaction(history: [0], item: 1, timestamp: 1.5)])
    #expect(data.test == [Interaction(history: [0, 2], item: 1)])
    #expect(data.counts == [0, 2, 1])
    #expect(data.firstAppearance == [1, 2])
    #expect(!data.isDistribution)
    #expect(data.users == 1)
  }

  @Test(arguments: [
    ("items.jsonl", #"{"id":0,"title":"A"}\#n{"id":2,"title":"B"}"#, "items.jsonl:2: expected the id 1"),
    ("items.jsonl", #"{"id":0.0,"title":"A"}"#, "items.jsonl:1: expected a whole number"),
    ("items.jsonl", #"{"id":0,"title":" "}"#, "items.jsonl:1: the title is empty"),
    ("items.jsonl", #"{"id":0,"title":"a\nb"}"#, "items.jsonl:1: the title has a line break"),
    ("items.jsonl", #"{"id":0}"#, "items.jsonl:1: expected a string"),
    ("items.jsonl", "", "items.jsonl: is empty"),
    ("train.jsonl", "", "train.jsonl: is empty"),
    ("train.jsonl", #"{"history":[0],"item":1}\#n{"history":[3],"item":1}"#, "train.jsonl:2: no item has the id 3"),
    ("train.jsonl", #"{"history":[0],"item":-1}"#, "train.jsonl:1: no item has the id -1"),
    ("train.jsonl", #"{"history":[0],"item":99999999999}"#, "train.jsonl:1: no item has the id 99999999999"),
    ("train.jsonl", #"{"history":[0],"item":99999999999999999999}"#, "train.jsonl:1: expected an item id as \"item\""),
    ("train.jsonl", #"{"history":["0"],"item":1}"#, "train.jsonl:1: expected an item id in \"history\""),
    ("train.jsonl", #"{"item":1}"#, "train.jsonl:1: expected an array"),
    ("test.jsonl", #"{"history":[0],"item":1}\#n\#n"#, "test.jsonl:2:1: expected a value"),
    ("test.jsonl", #"{"history":[0],"item":1}\#n[0]"#, "test.jsonl:2: expected an object, found an array"),
    ("test.jsonl", #"{"history":[0],"item":1,}"#, "test.jsonl:1:25:"),
  ])
  func namesFileAndLine(file: String, content: String, expected: String) throws {
    try directory.write(file, content)
    #expect(try error { _ = try Dataset(directory: directory.path) }.hasPrefix(expected))
  }

  @Test(arguments: ["items.jsonl", "train.jsonl", "valid.jsonl", "test.jsonl"])
  func namesAMissingFile(file: String) throws {
    try Directory.remove("\(directory.path)/\(file)")
    #expect(try error { _ = try Dataset(directory: directory.path) }.hasPrefix("\(file): missing"))
  }

  @Test func readsWeightsWithoutHistories() throws {
    let other = try TemporaryDirectory()
    try other.write(
      "title_counts.jsonl", #"{"title":"A","count":3}\#n{"title":"B","count":0}\#n{"title":"C","count":.5}"#)
    #expect(throws: FlowerError.self) { try Dataset(directory: other.path) }
    try other.write(
      "title_counts.jsonl", #"{"title":"A","count":3}\#n{"title":"B","count":0}\#n{"title":"C","count":0.5}"#)
    let data = try Dataset(directory: other.path)
    #expect(data.isDistribution)
    #expect(data.titles == ["A", "B", "C"])
    #expect(data.counts == [3, 0, 0.5])
    #expect(data.firstAppearance == [0, 2])
    let line = #"{"title":"A","count":0}\#n"#
    try other.write("title_counts.jsonl", line + line)
    let error = #expect(throws: FlowerError.self) { try Dataset(directory: other.path) }
    #expect(error?.description.contains("expected a finite sum of counts above 0") == true)
    for count in ["-1", "1e13", "1e999", "null"] {
      try other.write("title_counts.jsonl", #"{"title":"A","count":1}\#n{"title":"B","count":\#(count)}"#)
      let error = #expect(throws: FlowerError.self) { try Dataset(directory: other.path) }
      #expect(error?.description.contains("title_counts.jsonl:2:") == true)
    }
  }

  @Test func writtenIsReadBack() throws {
    let data = try Dataset(directory: directory.path)
    let output = directory.path + "/out"
    let problems = [DatasetProblem(kind: .lineBreaks, count: 4, examples: ["a", "b", "c", "d"])]
    try data.write(to: output + "/", source: ["format": "test"], problems: problems, force: false)
    let read = try Dataset(directory: output)
    #expect(read.name == data.name)
    #expect(read.titles == data.titles)
    for split in Dataset.Split.allCases { #expect(read[split] == data[split]) }
    #expect(read.digest == data.digest)
    let manifest = try #require(try DatasetManifest(directory: output))
    #expect(manifest.source["format"]?.string == "test")
    #expect(manifest.problems == problems)
    #expect(manifest.problems[0].examples == ["a", "b", "c"])
    #expect(try Directory.names(in: directory.path).filter { $0.hasPrefix("out") } == ["out"])
  }

  @Test func aChangedFileIsNoticed() throws {
    let output = directory.path + "/out"
    try Dataset(directory: directory.path).write(to: output, source: [:], problems: [], force: false)
    try directory.write("out/test.jsonl", #"{"history":[0],"item":0}\#n"#)
    #expect(try error { _ = try Dataset(directory: output) }.hasPrefix("out/test.jsonl: its SHA-256"))
    try Directory.remove(output + "/test.jsonl")
    #expect(try error { _ = try Dataset(directory: output) }.contains("out/test.jsonl"))
    try directory.write("out/dataset.json", #"{"name":"x","source":{},"problems":{},"digests":{"../train.jsonl":""}}"#)
    #expect(try error { _ = try Dataset(directory: output) }.contains("not a file beside it"))
    try directory.write("out/dataset.json", #"{"name":"x","source":{},"problems":{"odd":1},"digests":{}}"#)
    #expect(try error { _ = try Dataset(directory: output) }.hasPrefix("out/dataset.json: expected an object"))
  }

  @Test func onlyADatasetIsReplacedAndOnlyByForce() throws {
    var data = try Dataset(directory: directory.path)
    let output = directory.path + "/out"
    try data.write(to: output, source: [:], problems: [], force: true)
    data.name = "second"
    #expect(throws: FlowerError.self) { try data.write(to: output, source: [:], problems: [], force: false) }
    try data.write(to: output, source: [:], problems: [], force: true)
    #expect(try Dataset(directory: output).name == "second")
    // This one was not written by us: nothing in it is touched.
    let error = #expect(throws: FlowerError.self) {
      try data.write(to: directory.path, source: [:], problems: [], force: true)
    }
    #expect(error?.kind == .usage)
    #expect(
      try Directory.names(in: directory.path) == ["items.jsonl", "out", "test.jsonl", "train.jsonl", "valid.jsonl"])
    let gap = Dataset(name: "gap", titles: data.titles, train: data.train, valid: [], test: data.test)
    #expect(throws: FlowerError.self) { try gap.write(to: output, source: [:], problems: [], force: true) }
    #expect(try Dataset(directory: output).name == "second")
  }

  @Test func theDigestIsOfTheContent() throws {
    struct Content {
      var titles: [String]
      var counts: [Double]
      var train: [Interaction]
      var valid: [Interaction]
      var test: [Interaction]

      func digest() -> String {
        Dataset(
          name: "other", titles: titles, counts: counts, train: train, valid: valid, test: test, firstAppearance: []
        ).digest
      }
    }
    let data = try Dataset(directory: directory.path)
    let content = Content(
      titles: data.titles, counts: data.counts, train: data.train, valid: data.valid, test: data.test)
    #expect(content.digest() == data.digest)
    let changes: [(inout Content) -> Void] = [
      { $0.titles[0] = "Å" }, { $0.titles[2] = "e\u{301}" }, { $0.counts[0] = 1 }, { $0.train[0].history[0] = 0 },
      { $0.train[0].item = 1 }, { swap(&$0.valid, &$0.test) },
      {
        $0.titles[0] = "AB"
        $0.titles[1].removeFirst()
      },
    ]
    var digests = Set([data.digest])
    for change in changes {
      var changed = content
      change(&changed)
      #expect(digests.insert(changed.digest()).inserted)
    }
  }

  @Test func problemsAreFound() {
    let data = Dataset(
      name: "", titles: ["Ab", "A", "B", "A", "Abc", "C", "é", "e\u{301}"],
      train: [Interaction(history: [1, 2], item: 5)], valid: [],
      test: [3, 5, 0, 5].map { Interaction(history: [], item: $0) })
    let problems = data.problems()
    // Item 3 has the title of item 1, which was seen; the targets 5, 0 and 5 have titles that no history has.
    #expect(
      problems == [
        DatasetProblem(kind: .duplicateTitles, count: 1, examples: ["A"]),
        DatasetProblem(kind: .prefixTitles, count: 2, examples: ["A / Ab", "Ab / Abc"]),
        DatasetProblem(kind: .unreachableTargets, count: 3, examples: ["C", "Ab"]),
      ])
    let summary = DatasetSummary(data, problems: problems)
    #expect(summary.description.split(separator: "\n").allSatisfy { $0.count <= 80 })
    #expect(summary.description.contains("Titles that are the beginning of another: 2"))
  }

  @Test func linesAreCutAcrossBuffers() throws {
    let texts = [0, 1, 65_535, 65_536, 65_537, 200_000, 0, 3].map { String(repeating: "x", count: $0) }
    for ending in ["\n", "\r\n"] {
      for last in ["", ending] {
        let path = try directory.write("lines", texts.joined(separator: ending) + last)
        let lines = try LineReader(path)
        for (index, text) in texts.enumerated() {
          #expect(try lines.next() == Array(text.utf8))
          #expect(lines.number == index + 1)
        }
        #expect(try lines.next() == nil)
      }
    }
  }
}
