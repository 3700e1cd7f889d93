import Foundation
import Testing

@testable import FlowerDist

/// Titles that were added or removed after the training.
@Suite struct OfferedTitlesTests {
  let directory: TemporaryDirectory
  private static let titles = ["Fargo", "Far and Away", "Heat", "Heat"]
  private static let train = [Interaction(history: [0, 1, 2], item: 3), Interaction(history: [0, 3], item: 1)]
  private static let test = [Interaction(history: [0, 1], item: 2), Interaction(history: [2], item: 1)]
  private static let dataset = Dataset(name: "", titles: titles, train: train, valid: test, test: test)

  init() throws { directory = try TemporaryDirectory() }

  /// Without "Far and Away", with "Heathers" and "Up".
  private func offered() throws -> OfferedTitles {
    try OfferedTitles(
      contentsOf: directory.write(
        "items.jsonl",
        #"{"id":7,"title":"Heathers"}\#n{"title":"Fargo","count":9}\#n{"title":"Heat"}\#n{"title":"Up"}\#n{"title":"Up"}"#
      ))
  }

  @Test func theTreeIsMadeOfTheFile() throws {
    let served = try ServedCatalogue(Self.dataset, offered: offered())
    let catalogue = served.catalogue
    catalogue.tree.checkInvariants()
    #expect(catalogue.titles == Self.titles + ["Heathers", "Up"])
    #expect(Set(catalogue.leafTitles) == ["Fargo", "Heat", "Heathers", "Up"])
    #expect(catalogue.tree.leafOfItem[1] == -1 && catalogue.tree.leafOfItem[2] == catalogue.tree.leafOfItem[3])
    // Training counts, and for what is new the smoothing of one alone.
    let weights = Dictionary(uniqueKeysWithValues: zip(catalogue.leafTitles, catalogue.rewards.smoothed))
    #expect(weights == ["Fargo": 3, "Heat": 3, "Heathers": 1, "Up": 1])
    #expect(catalogue.leavesByFirstAppearance.count == 2)
    #expect(catalogue.groups.groupOfLeaf[Int(catalogue.tree.leafOfItem[5])] == 7)
    #expect(catalogue.rewards.rewards(history: [1, 2], leavingOut: nil).target.allSatisfy { $0 > 0 })
    // A title that was removed is still read in a history.
    let exact = try served.exact(Self.test[0])
    #expect(abs(exact.reduce(0) { $0 + exp($1) } - 1) < 1e-6)
  }

  @Test func targetsOutsideAreMisses() throws {
    let served = try ServedCatalogue(Self.dataset, offered: offered())
    let run = try served.run { $0.excludeHistory = true }
    let rows = try run.run(name: "model")
    for row in rows {
      #expect(row["missing_targets"]?.value == 1)
      #expect(row["hr@20"].map { $0.value <= 0.5 } ?? true)
    }
    let whole = try ServedCatalogue(Self.dataset).run().run(name: "model")
    #expect(whole[0]["missing_targets"] == nil && whole[0]["hr@20"]?.value == 1)
    #expect(EvaluationReport.comparisons(rows).contains("; 1 targets are not in the catalogue and count as misses"))
  }

  @Test func recommendsWhatIsNew() throws {
    let served = try ServedCatalogue(Self.dataset, offered: offered())
    let entries = try Recommender(served.catalogue, served.language).recommend(
      history: ["Far and Away", "Up"], count: 10, sampled: false, excludingHistory: true, seed: 1)
    #expect(Set(entries.map(\.title)) == ["Fargo", "Heat", "Heathers"])
    let explanation = flowerError {
      _ = try Explanation(served.catalogue, served.language, title: "Far and Away", history: [])
    }
    #expect(explanation?.kind == .usage && explanation?.description.contains("leaves out") == true)
    #expect(try Explanation(served.catalogue, served.language, title: "Up", history: ["Far and Away"]).target > 0)
  }

  @Test func saysHowItDiffers() throws {
    #expect(try offered().comparison(with: Self.titles) == "4 titles, of which 2 are new; 1 of the data's are left out")
  }

  @Test(arguments: ["", "[]", #"{"id":0}"#, #"{"title":" "}"#, "{\"title\":\"a\\nb\"}"])
  func refuses(text: String) throws {
    let path = try directory.write("x.jsonl", text)
    #expect(flowerError { _ = try OfferedTitles(contentsOf: path) }?.kind == .data)
  }
}

@Suite struct PredictionsFileTests {
  let directory: TemporaryDirectory
  private static let train = (0..<4).map { Interaction(history: [Int32]([0, 0, 1, 2, 3].prefix(5 - $0)), item: 4) }
  /// "B" twice; counts A 8, B 3 + 2, C 1, D 0.
  private static let dataset = Dataset(
    name: "x", titles: ["A", "B", "B", "C", "D"], train: train, valid: train, test: train)

  init() throws { directory = try TemporaryDirectory() }

  @Test func countsByHand() throws {
    let path = try directory.write(
      "lists.jsonl",
      #"{"target":"C","predictions":["A","unknown","C"]}\#n{"target":"gone","predictions":["B","B"]}\#n"#
        + #"{"target":"A","predictions":[],"user":3}\#n{"target":"B\nB","predictions":["D","A"]}\#n"#)
    let rows = try PredictionsFile.evaluate(path, name: "lists", dataset: Self.dataset)
    #expect(rows.map(\.name) == ["lists", "popularity"] && rows.map(\.isReference) == [false, true])
    let row = rows[0]
    #expect(row.examples == 4)
    #expect(row["hr@1"]?.value == 0 && row["hr@3"]?.value == 0.25)
    #expect(row["ndcg@3"]?.value == 0.125)
    #expect(row["invalid"]?.value == 1 && row["missing_targets"]?.value == 2)
    // A twice, B twice, C and D once.
    #expect(row["coverage@5"]?.value == 4)
    #expect(row.groupShares[0].recommended == [2, 2, 1, 0, 0, 0, 0, 1].map { $0 / 6 })
    #expect(row.groupShares[0].training == [8, 5, 1, 0, 0, 0, 0, 0].map { $0 / 14 })
    // A, B, C, D for everybody: C third, A first.
    #expect(rows[1]["hr@1"]?.value == 0.25 && rows[1]["hr@3"]?.value == 0.5)
  }

  /// A model's own lists, written out and read again, are worth the same.
  @Test func aModelsListsScoreTheSame() throws {
    let served = try ServedCatalogue()
    let run = try served.run()
    let titles = served.catalogue.leafTitles
    let lists = try run.bestLists(run.examples.indices)
    let lines = zip(run.examples, lists).map { example, list -> String in
      let target = JSON(served.catalogue.dataset.titles[Int(example.item)])
      let line: JSON = ["target": target, "predictions": JSON(list.map { JSON(titles[Int($0)]) })]
      return line.description
    }
    let path = try directory.write("lists.jsonl", lines.joined(separator: "\n"))
    let rows = try PredictionsFile.evaluate(path, name: "model", dataset: served.catalogue.dataset)
    let expected = try run.run(name: "model")
    #expect(rows[0].metrics.map(\.name) == expected[0].metrics.map(\.name))
    for (metric, other) in zip(rows[0].metrics, expected[0].metrics) {
      #expect(abs(metric.value - other.value) < 1e-12, "\(metric.name)")
    }
  }

  @Test func onlyWhatIsOfferedIsValid() throws {
    let offered = try OfferedTitles(contentsOf: directory.write("offered", #"{"title":"A"}\#n{"title":"New"}"#))
    let path = try directory.write("lists.jsonl", #"{"target":"New","predictions":["New","B"]}"#)
    let row = try PredictionsFile.evaluate(path, name: "", dataset: Self.dataset, offered: offered)[0]
    #expect(row["hr@1"]?.value == 1 && row["invalid"]?.value == 1 && row["coverage@5"]?.value == 1)
  }

  @Test(arguments: [
    ("", "is empty"), ("[]", ":1: expected an object"), (#"{"target":"A"}"#, ":1: expected an array"),
    (#"{"target":"A","predictions":[]}\#n{"target":3,"predictions":[]}"#, ":2: expected a title"),
    (#"{"target":"A","predictions":["A",1]}"#, ":1: expected titles in \"predictions\", found a number"),
    (#"{"target":"A","predictions":["A"]"#, ":1:34: expected"),
  ])
  func refuses(text: String, message: String) throws {
    let path = try directory.write("lists.jsonl", text)
    let error = flowerError { _ = try PredictionsFile.evaluate(path, name: "", dataset: Self.dataset) }
    #expect(error?.kind == .data && error?.description.contains(message) == true, "\(error?.description ?? "")")
  }
}
