import Foundation
import Testing

@testable import FlowerDist

extension LaunchTests {
  /// The commands that use a trained model.
  @Suite struct Serving {
    private func succeed(
      _ workspace: Workspace, ranks: Int = 2, _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
      let outcome = try await workspace.run(ranks: ranks, arguments)
      #expect(outcome.codes.allSatisfy { $0 == 0 }, "\(outcome.errors)", sourceLocation: sourceLocation)
      return outcome.output
    }

    @Test func aRunOfMadeUpHistories() async throws {
      let workspace = try Workspace()
      try await workspace.succeed(Workspace.histories + ["training.steps=5", "evaluation.exclude_history=true"])
      let run = workspace("runs/tiny")
      func evaluation(ranks: Int, _ more: String...) async throws -> [UInt8] {
        let output = workspace("evaluation.json")
        let outcome = try await workspace.run(ranks: ranks, ["evaluate", "--model", run, "--output", output] + more)
        #expect(outcome.codes.allSatisfy { $0 == 0 }, "\(outcome.errors)")
        #expect(outcome.output.contains("top-K lists of 20") && outcome.output.contains("sampled lists of 20"))
        #expect(outcome.output.contains("Gini") == more.contains("--details"))
        return try File.contents(of: output)
      }
      let asTheRecipeSays = try await evaluation(ranks: 2)
      #expect(try await evaluation(ranks: 3, "--exclude-history", "--details") == asTheRecipeSays)
      #expect(try await evaluation(ranks: 1, "--no-exclude-history") != asTheRecipeSays)
      let fewer = try await succeed(workspace, ranks: 0, "evaluate", "--model", run, "--no-samples")
      #expect(fewer.contains("top-K lists of 20") && !fewer.contains("sampled lists"))
      let tempered = try await workspace.run(ranks: 0, ["evaluate", "--model", run, "--no-samples", "--temperature", "2"])
      #expect(tempered.codes == [2] && tempered.errors.contains("which --no-samples leaves out"), "\(tempered.errors)")
      let audit = try await succeed(workspace, "audit", "--model", run, "--examples", "9")
      #expect(audit.contains("most over-served"))
      let inspection = try await succeed(workspace, ranks: 0, "inspect", run)
      #expect(inspection.contains("5 of 5") && inspection.contains("tree of generated"))

      let best = try await succeed(workspace, ranks: 0, "recommend", "--model", run, "--top-k", "1")
      let title = best.split(separator: "%  ").last!.trimmingCharacters(in: .newlines)
      let table = try await succeed(workspace, "explain", "--model", run, "--item", title, "--history", title)
      #expect(table.contains("\(title), after one title") && table.contains("ln π/r"))
      let explanation = try await succeed(workspace, ranks: 0, "explain", "--model", run, "--item", title, "--json")
      #expect(try JSON(parsing: Array(explanation.utf8))["title"]?.string == title)
      let unknown = try await workspace.run(ranks: 2, ["explain", "--model", run, "--item", title.dropLast() + "?"])
      #expect(unknown.codes == [2, 2])
      #expect(unknown.errors.contains("did you mean \"\(title)\""))

      try workspace.write(#"{"title":"\#(title)"}\#n{"title":"Never seen before"}"#, "offered.jsonl")
      let offered = ["--model", run, "--catalogue", workspace("offered.jsonl")]
      let recommended = try await workspace.run(ranks: 2, ["recommend", "--history", title] + offered)
      #expect(recommended.output.split(separator: "\n").count == 2)
      #expect(recommended.output.contains("Never seen before") && recommended.errors.contains("of which 1 are new"))
      let evaluated = try await workspace.run(ranks: 2, ["evaluate"] + offered)
      #expect(evaluated.output.contains("targets are not in the catalogue and count as misses"))
    }

    @Test func listsOfAnotherRecommender() async throws {
      let workspace = try Workspace()
      let data = workspace("data")
      _ = try await succeed(workspace, "prepare", "generated", "--titles", "30", "--examples", "60", "--output", data)
      let titles = try Dataset(directory: data).titles
      let lines = titles[..<6].map { #"{"target":"\#($0)","predictions":["\#($0)","no such title"]}\#n"# }
      try workspace.write(lines.joined(), "lists.jsonl")
      let arguments = ["evaluate", "--predictions", workspace("lists.jsonl"), "--data", data]
      let alone = try await workspace.run(ranks: 0, arguments + ["--output", workspace("alone.json")])
      #expect(alone.codes == [0], "\(alone.errors)")
      let two = try await workspace.run(ranks: 2, arguments + ["--output", workspace("two.json"), "--details"])
      #expect(two.codes == [0, 0] && two.output.contains("Invalid"))
      #expect(try File.contents(of: workspace("alone.json")) == File.contents(of: workspace("two.json")))
      for more in [["--model", "runs/x"], ["--exact"]] {
        #expect(try await workspace.run(ranks: 2, arguments + more).codes == [2, 2])
      }
      #expect(try await workspace.run(ranks: 2, ["evaluate", "--data", data]).codes == [2, 2])
      try workspace.write("[]", "lists.jsonl")
      #expect(try await workspace.run(ranks: 2, arguments).codes == [3, 3])
    }

    @Test func rawDataOfAmazon() async throws {
      let workspace = try Workspace()
      let reviews = (0..<6).flatMap { user in
        (0..<3).map { #"{"reviewerID":"U\#(user)","asin":"P\#($0)","unixReviewTime":\#(10 * user + $0)}\#n"# }
      }
      try workspace.write(reviews.joined() + "damaged\n", "reviews.json")
      try workspace.write((0..<3).map { #"{"asin":"P\#($0)","title":"Title \#($0)"}\#n"# }.joined(), "meta.json")
      let sources = [workspace("reviews.json"), workspace("meta.json")]
      let output = ["--output", workspace("data"), "--core", "2"]
      let outcome = try await workspace.run(ranks: 2, ["prepare", "amazon"] + sources + output)
      #expect(outcome.codes == [0, 0], "\(outcome.errors)")
      #expect(outcome.output.contains("reviews.json:19: expected a value"))
      #expect(try Dataset(directory: workspace("data")).test.count == 2)
      for wrong in [[sources[0]], sources + ["--from", "2018-02-30"], sources + ["--max-damaged", "0"]] {
        let code: Int32 = wrong.contains("0") ? 3 : 2
        let refused = try await workspace.run(ranks: 2, ["prepare", "amazon"] + wrong + output + ["--force"])
        #expect(refused.codes == [code, code], "\(refused.errors)")
      }
    }

    @Test func tokenRewardsOfADataset() async throws {
      let workspace = try Workspace()
      try workspace.write("{\"title\":\"a\",\"count\":1}\n{\"title\":\"b\",\"count\":0}\n", "data/title_counts.jsonl")
      try Tokenizer.bytes.write(to: workspace("tokenizer.json"))
      let arguments = ["inspect", workspace("data"), "--rewards", workspace("rewards.json")]
      #expect(try await workspace.run(ranks: 2, arguments).codes == [2, 2])
      let outcome = try await workspace.run(ranks: 2, arguments + ["--tokenizer", workspace("tokenizer.json")])
      #expect(outcome.codes == [0, 0], "\(outcome.errors)")
      #expect(outcome.output.contains("rewards of 2 states and 1 titles"))
      let table = try File.contents(of: workspace("rewards.json"))
      #expect(String(decoding: table, as: UTF8.self) == "{\n  \"first\": {\"97\": 0.0},\n  \"97\": {\"10\": 0.0}\n}\n")
    }

    @Test func aRunWithoutHistories() async throws {
      let workspace = try Workspace()
      try await workspace.succeed(["training.steps=10"])
      let run = workspace("runs/tiny")
      #expect(try await succeed(workspace, "audit", "--model", run).contains("Total variation"))
      #expect(try await succeed(workspace, ranks: 0, "recommend", "--model", run).contains(" %  "))
      let history = try await workspace.run(ranks: 2, ["recommend", "--model", run, "--history", "x"])
      #expect(history.codes == [2, 2])
      #expect(history.errors.contains("has no {history}"))

      try workspace.write("", "runs/tiny/checkpoints/step-00000010/config.json")
      let damaged = try await workspace.run(ranks: 0, ["inspect", run])
      #expect(damaged.codes == [3])
      #expect(damaged.output.contains("10 (damaged)"))
      #expect(damaged.errors.contains("step-00000010/config.json: has 0 bytes"))
    }
  }
}
