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
      try await workspace.succeed([
        "data.generated_examples=200", "prompt.template=\"{history}:\"", "prompt.history_length=3",
        "training.steps=5", "evaluation.exclude_history=true",
      ])
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
      let audit = try await succeed(workspace, "audit", "--model", run, "--examples", "9")
      #expect(audit.contains("most over-served"))
      let inspection = try await succeed(workspace, ranks: 0, "inspect", run)
      #expect(inspection.contains("5 of 5") && inspection.contains("tree of generated"))
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
