import Foundation
import Testing

@testable import FlowerDist

@Suite struct TitleWeightsTests {
  static let titles = ["Up", "Heat", "Up", "Ran", "e\u{301}"]

  private func weights(_ text: String) throws -> TitleWeights {
    let scratch = try ScratchDirectory()
    return try TitleWeights(contentsOf: scratch.write(text, "w.jsonl"))
  }

  /// Items with one title are one leaf, which has the title's weight once.
  @Test func areTheRewardsOfTheirTitles() throws {
    let text = """
      {"title":"Ran","count":2.5}
      {"title":"Up","count":4}
      """
    let items = try weights(text).byItem(Self.titles)
    #expect(items == [4, 0, 0, 2.5, 0])
    let tree = try CatalogueTree(titles: Self.titles.map { Tokenizer.bytes.encode($0) }, terminator: 10)
    for smoothing in [0, 0.5] {
      let model = try RewardModel(
        RewardModelTests.recipe(.file, smoothing: smoothing), tree: tree, counts: [1, 2, 3, 4, 5], fileWeights: items,
        score: nil)
      let rewards = model.rewards(history: [1], leavingOut: nil)
      let expected = tree.itemsOfLeaf.map { [4, 0, 4, 2.5, 0][Int($0[0])] + smoothing }
      #expect(rewards.weights == expected && !model.isPersonal)
      #expect(model.counts == tree.leafSums([1, 2, 3, 4, 5]), "the groups are still of what was watched")
    }
  }

  @Test(arguments: [
    (
      "{\"title\":\"Up\",\"count\":1}\n{\"title\":\"Up\",\"count\":1}",
      "w.jsonl:2: the title \"Up\" is there already, in line 1"
    ),
    ("{\"title\":\"Up\",\"count\":-1}", "w.jsonl:1: expected a number from 0"),
    ("{\"title\":\"Up\"}", "w.jsonl:1: expected a number from 0"),
    ("{\"title\":\"Up\",\"count\":0}", "sum of counts above 0"),
    ("", "is empty"),
  ])
  func refuses(text: String, message: String) {
    let error = flowerError { _ = try weights(text) }
    #expect(error?.kind == .data && error?.description.contains(message) == true, "\(error?.description ?? "accepted")")
  }

  /// Titles are told apart by their bytes, as a tokenizer may.
  @Test(arguments: ["Alien", "\u{E9}"]) func refusesTitlesThatAreNotThere(title: String) throws {
    let weights = try weights("{\"title\":\"Up\",\"count\":1}\n{\"title\":\"\(title)\",\"count\":1}")
    let dataset = Dataset(name: "d", titles: Self.titles, weights: [1, 1, 1, 1, 1])
    let error = flowerError { try weights.requireTitles(of: dataset, path: "w.jsonl") }
    #expect(error?.kind == .data)
    #expect(error?.description.hasPrefix("w.jsonl:2: d has no title") == true)
    #expect(weights.byItem(Self.titles) == [1, 0, 0, 0, 0])
  }

  /// A model keeps the weights that it was trained with, with its own files.
  @Test func stayWithTheModel() throws {
    let weights = try weights("{\"title\":\"Up\",\"count\":0.1}\n{\"title\":\"e\u{301}\",\"count\":3}")
    var metadata = FlowerMetadata(
      prompt: .init(), terminator: "\n", terminatorToken: 10, support: .catalogue,
      reward: RewardModelTests.recipe(.file), titleWeights: weights, catalogueDigest: "")
    let scratch = try ScratchDirectory()
    try metadata.write(directory: scratch.path)
    let read = try FlowerMetadata(directory: scratch.path)
    #expect(read == metadata && read.titleWeights?.digest == weights.digest)
    try Directory.remove(scratch(TitleWeights.fileName))
    #expect(flowerError { _ = try FlowerMetadata(directory: scratch.path) }?.kind == .data)
    metadata.reward = RewardModelTests.recipe(.divide)
    (metadata.reward.flowRule, metadata.titleWeights) = (.published, nil)
    try metadata.write(directory: scratch.path)
    #expect(try FlowerMetadata(directory: scratch.path) == metadata)
    #expect(!File.exists(scratch(TitleWeights.fileName)))
  }
}
