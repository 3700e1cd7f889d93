import Testing

@testable import FlowerDist

extension LaunchTests {
  /// A recommender over item ids, and rewards that are made of its scores.
  @Suite struct Preference {
    private static let items = [
      "data.generated_examples=200", "tokenizer.kind=items", "prompt.template=\"{history}\"",
      "prompt.separator=\"\\n\"", "prompt.history_length=5", "objective.name=sft", "objective.sft_support=catalogue",
      "training.steps=20", "checkpoint.every=0",
    ]

    private func rewards(_ workspace: Workspace, _ score: String, _ path: String) -> [String] {
      Workspace.histories + [
        "reward.weight=power", "reward.score=\(score)", "reward.score_path=\(path)", "trajectories.source=weight",
        "training.steps=8", "checkpoint.every=4",
      ]
    }

    @Test func aModelOfItemsAndWhatLearnsFromIt() async throws {
      let workspace = try Workspace()
      var weights = Set<String>()
      for ranks in 1...3 {
        try await workspace.succeed(ranks: ranks, name: "items-\(ranks)", Self.items)
        weights.insert(try workspace.weights("items-\(ranks)", step: 20))
      }
      #expect(weights.count == 1)

      let score = workspace("runs/items-1")
      let served = try await workspace.run(ranks: 2, ["evaluate", "--model", score])
      #expect(served.codes == [0, 0] && served.output.contains("preference score"), "\(served.errors)")
      let exported = try await workspace.run(
        ranks: 0, ["export", "--checkpoint", score, "--output", workspace("exported")])
      #expect(exported.codes == [0], "\(exported.errors)")

      weights = []
      for ranks in 1...2 {
        // The exported model has the same scores as the run.
        let overrides = rewards(workspace, "model", ranks == 1 ? score : workspace("exported"))
        let output = try await workspace.succeed(ranks: ranks, name: "flower-\(ranks)", overrides)
        #expect(output.contains("preference"))
        weights.insert(try workspace.weights("flower-\(ranks)", step: 8))
      }
      #expect(weights.count == 1)

      // Moved, it is found again by name, and a resumed run takes no other.
      try Directory.rename(score, to: workspace("moved"))
      let lost = try await workspace.run(ranks: 0, ["evaluate", "--model", workspace("runs/flower-1")])
      #expect(lost.codes == [3])
      let found = try await workspace.run(
        ranks: 2, ["evaluate", "--model", workspace("runs/flower-1"), "--score-path", workspace("moved")])
      #expect(found.codes == [0, 0], "\(found.errors)")
      let other = try await workspace.train(
        ranks: 1, name: "flower-2", rewards(workspace, "model", workspace("runs/flower-2")),
        more: ["--resume", workspace.checkpoint(4, of: "flower-2")])
      #expect(other.codes == [3] && other.errors.contains("another preference score"))
    }

    @Test func scoresThatAreNotThere() async throws {
      let workspace = try Workspace()
      for (score, content) in [("model", nil), ("file", nil), ("file", "no scores")] as [(String, String?)] {
        if let content { try workspace.write(content, "scores") }
        let outcome = try await workspace.train(ranks: 2, rewards(workspace, score, workspace("scores")))
        #expect(outcome.codes == [3, 3] && outcome.errors.contains(workspace("scores")))
      }
      let nothing = try await workspace.train(ranks: 0, ["reward.score=model"])
      #expect(nothing.codes == [2] && nothing.errors.contains("reward.score_path"))
    }
  }
}
