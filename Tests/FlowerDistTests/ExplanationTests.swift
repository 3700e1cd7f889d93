import Foundation
import Testing

@testable import FlowerDist

@Suite struct ExplanationTests {
  private static let titles = ["Fargo", "Far and Away", "Fargo 2", "Heat", "Heathers"]

  private func served(
    weight: Recipe.Reward.Weight = .power, flowRule: Recipe.Reward.FlowRule = .tree
  ) throws -> ServedCatalogue {
    let some = [Interaction(history: [0, 1, 3], item: 2), Interaction(history: [3], item: 4)]
    return try ServedCatalogue(
      Dataset(name: "", titles: Self.titles, train: some, valid: some, test: some), weight: weight,
      flowRule: flowRule)
  }

  @Test(arguments: titles) func addsUpToTheItem(title: String) throws {
    let served = try served()
    let history = ["Heat", "Far and Away"]
    let explanation = try Explanation(served.catalogue, served.language, title: title, history: history)
    let item = try #require(Self.titles.firstIndex(of: title))
    let leaf = Int(served.catalogue.tree.leafOfItem[item])
    let rewards = served.catalogue.rewards.rewards(history: [3, 1], leavingOut: nil)
    let exact = try served.exact(Interaction(history: [3, 1], item: 0))[leaf]

    #expect(explanation.isPersonal)
    #expect(abs(explanation.probability - exp(exact)) < 1e-6)
    #expect(abs(explanation.target - rewards.target[leaf]) < 1e-12)
    #expect(abs(explanation.steps.reduce(0) { $0 + $1.residual } - (exact - log(rewards.target[leaf]))) < 1e-6)
    #expect(abs(explanation.steps.last!.runningResidual - (exact - log(rewards.target[leaf]))) < 1e-6)
    #expect(explanation.steps.map(\.text).joined() == title)
    #expect(explanation.steps.map(\.token) == served.catalogue.tokenizer.encode(title) + [10])
    // By hand: F(s) is the weight of the titles that begin like this, and r what is left of it.
    var flow = 1.0
    for (index, step) in explanation.steps.enumerated() {
      let prefix = title.prefix(index + 1)
      let isEnd = index == title.count
      let beginning = Self.titles.indices.filter { isEnd ? $0 == item : Self.titles[$0].hasPrefix(prefix) }
      let share = beginning.reduce(0.0) { $0 + rewards.target[Int(served.catalogue.tree.leafOfItem[$1])] }
      #expect(abs(step.flow - share) < 1e-12)
      #expect(abs(step.reward - share / flow) < 1e-12)
      let before = String(title.prefix(index))
      let nextCharacters = Set(Self.titles.filter { $0.hasPrefix(before) }.map { $0.dropFirst(index).first })
      #expect(step.options == nextCharacters.count)
      #expect(!step.isForced || (step.residual == 0 && step.reward == 1 && step.logProbability == 0))
      flow = share
    }
  }

  /// Under the published flow rule too, whose rewards are not normalised, a title ends at its target.
  @Test(arguments: titles) func publishedRewardsAddUpToTheItem(title: String) throws {
    let served = try served(weight: .divide, flowRule: .published)
    let explanation = try Explanation(served.catalogue, served.language, title: title, history: ["Heat"])
    let rewards = served.catalogue.rewards.rewards(history: [3], leavingOut: nil)
    let leaf = Int(served.catalogue.tree.leafOfItem[Self.titles.firstIndex(of: title)!])
    #expect(abs(explanation.target - rewards.target[leaf]) < 1e-12)
    let residual = log(explanation.probability / explanation.target)
    #expect(abs(explanation.steps.last!.runningResidual - residual) < 1e-9)
    #expect(explanation.steps.allSatisfy { $0.flow > 0 && $0.flow.isFinite })
  }

  @Test func readsWellInEightyColumns() throws {
    let served = try served()
    let table = try Explanation(served.catalogue, served.language, title: "Far and Away", history: []).table
    let lines = table.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    #expect(lines.allSatisfy { $0.count <= 80 })
    #expect(lines[0] == "Far and Away" && lines[1].hasPrefix("Flow: rewards for this history"))
    // F, then "a", "r", the choice between " " and "g", the rest and the end.
    #expect(lines.contains { $0.hasPrefix(#""ar""#) && $0.contains("forced") })
    #expect(lines.contains { $0.hasPrefix(#"" ""#) && !$0.contains("forced") })
    #expect(lines.contains { $0.hasPrefix(#""and Away""#) && $0.contains("forced") })
    #expect(lines.contains { $0.hasPrefix("(end)") && $0.contains("forced") })
    #expect(lines.last!.hasPrefix("Probability ") && lines.last!.contains("target"))
  }

  @Test func jsonHasAStepForEachToken() throws {
    let served = try served(weight: .popularity)
    let explanation = try Explanation(served.catalogue, served.language, title: "Heat", history: ["Fargo"])
    #expect(!explanation.isPersonal)
    let json = try JSON(parsing: explanation.json.serialized(pretty: true))
    #expect(json["steps"]?.array?.count == 5)
    #expect(json["steps"]?.array?[0]["text"]?.string == "H")
    #expect(json["target"]?.double == explanation.target)
    #expect(json["steps"]?.array?[4]["running_residual"]?.double == explanation.steps[4].runningResidual)
  }

  @Test func unknownTitlesAreRefusedWithTheNearest() throws {
    let served = try served()
    func error(_ title: String, _ history: [String] = []) -> String? {
      flowerError { _ = try Explanation(served.catalogue, served.language, title: title, history: history) }?
        .description
    }
    #expect(error("Frago") == #"--item: the catalogue has no title "Frago"; did you mean "Fargo"?"#)
    #expect(
      error("far") == #"--item: the catalogue has no title "far"; did you mean "Fargo" or "Fargo 2" or "Far and Away"?"#
    )
    #expect(error("Heat", ["Xylophone"]) == #"--history: the catalogue has no title "Xylophone""#)
    #expect(error("") == #"--item: the catalogue has no title """#)
  }
}
