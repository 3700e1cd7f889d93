import Testing

@testable import FlowerDist

extension LaunchTests {
  /// Ranks that write titles for the others, with weights that are one step old.
  @Suite struct Samplers {
    private static let onPolicy = ["trajectories.source=policy 0.7, weight rest", "training.steps=20", "checkpoint.every=5"]

    /// Also with users, whose titles differ and who are dealt to the grains by their work.
    @Test(arguments: [[], Workspace.histories]) func howManyThereAreChangesNothing(data: [String]) async throws {
      let workspace = try Workspace()
      let onPolicy = Self.onPolicy + data
      try await workspace.succeed(ranks: 2, name: "synchronous", onPolicy)
      for (ranks, samplers) in [(2, 1), (3, 1), (3, 2), (4, 2)] {
        try await workspace.succeed(
          ranks: ranks, name: "\(ranks)-\(samplers)", onPolicy, more: ["--samplers", String(samplers)])
      }
      let expected = try workspace.weights("2-1", step: 20)
      for name in ["3-1", "3-2", "4-2"] { #expect(try workspace.weights(name, step: 20) == expected, "\(name)") }
      let (lines, synchronous) = (try lines(workspace, "2-1"), try lines(workspace, "synchronous"))
      #expect(lines.map(\.trajectoryAge) == [0] + Array(repeating: 1, count: 19))
      #expect(synchronous.allSatisfy { $0.trajectoryAge == nil })
      #expect(lines.map(\.trajectories) == synchronous.map(\.trajectories))
      // In the first step the weights are those of the step, and so are the titles.
      #expect(lines[0].loss == synchronous[0].loss)
      #expect(lines[1].loss != synchronous[1].loss)
    }

    /// The titles of the coming step are in the checkpoint, like the optimizer's state of whoever learns then.
    @Test func goesOnAsIfNeverInterrupted() async throws {
      let workspace = try Workspace()
      let onPolicy = Self.onPolicy + Workspace.histories
      try await workspace.succeed(ranks: 2, name: "whole", onPolicy, more: ["--samplers", "1"])
      var (earlier, step) = ("whole", 5)
      for (ranks, samplers) in [(4, 1), (3, 2)] {
        let name = "\(ranks)-\(samplers)"
        try await workspace.succeed(
          ranks: ranks, name: name, onPolicy,
          more: ["--samplers", String(samplers), "--resume", workspace.checkpoint(step, of: earlier)])
        (earlier, step) = (name, step + 5)
        #expect(try workspace.weights(name, step: 20) == workspace.weights("whole", step: 20))
      }
      // Older titles are not those of the step, so this is another run.
      let refused = try await workspace.train(
        name: "refused", onPolicy, more: ["--resume", workspace.checkpoint(5, of: "whole")])
      #expect(refused.codes == [3, 3] && refused.errors.contains("trajectories.samplers"), "\(refused.errors)")
      let path = workspace.checkpoint(5, of: "whole") + "/\(WrittenTitlesFile.name)"
      for damage in [#"{"step":5,"weights_step":4,"leaves":[1]}"#, #"{"step":4,"weights_step":4,"leaves":[]}"#] {
        try File(writing: path).write(Array(damage.utf8))
        let error = #expect(throws: FlowerError.self) {
          try WrittenTitlesFile.read(directory: workspace.checkpoint(5, of: "whole"), count: 64, leaves: 9, step: 5)
        }
        #expect(error?.kind == .data && error?.description.contains(path) == true)
      }
    }

    /// A run that ends with an error while megabytes of weights are on their way; without samplers the titles are of numbers
    /// that are no longer finite, too.
    @Test(arguments: [0, 1]) func endsWhereNumbersDo(samplers: Int) async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.train(
        ranks: 2 + samplers, name: "diverges",
        Self.onPolicy + [
          "model.hidden_size=256", "model.intermediate_size=704", "model.layers=4", "optimizer.learning_rate=10",
          "optimizer.weight_decay=10", "optimizer.clip_norm=0", "optimizer.warmup_steps=0", "training.steps=100",
        ], more: ["--samplers", String(samplers)])
      #expect(outcome.codes.allSatisfy { $0 == 4 } && outcome.errors.contains("not finite"), "\(outcome.errors)")
    }

    /// What else knows of steps: skipped ones, validations, and titles that are remembered.
    @Test func goesWithReplayAndValidation() async throws {
      let workspace = try Workspace()
      let overrides = [
        "trajectories.source=policy 0.5, replay 0.3, weight rest", "replay.capacity=30", "replay.staleness=6",
        "training.steps=20", "validation.every=3", "validation.metric=total_variation", "checkpoint.every=10",
      ]
      try await workspace.succeed(ranks: 2, name: "whole", overrides, more: ["--samplers", "1"])
      try await workspace.succeed(
        ranks: 4, name: "later", overrides, more: ["--samplers", "2", "--resume", workspace.checkpoint(10, of: "whole")])
      #expect(try workspace.weights("later", step: 20) == workspace.weights("whole", step: 20))
    }

    @Test func somebodyHasToLearn() async throws {
      let workspace = try Workspace()
      let all = try await workspace.train(name: "all", Self.onPolicy, more: ["--samplers", "2"])
      #expect(all.codes == [2, 2] && all.errors.contains("trajectories.samplers is 2 of 2 ranks"), "\(all.errors)")
      let offPolicy = try await workspace.train(name: "off", ["trajectories.source=weight"], more: ["--samplers", "1"])
      #expect(offPolicy.codes == [2, 2] && offPolicy.errors.contains("a share of policy"), "\(offPolicy.errors)")
      #expect(!File.exists(workspace("runs/all")) && !File.exists(workspace("runs/off")))
    }

    private func lines(_ workspace: Workspace, _ name: String) throws -> [StepLine] {
      let path = workspace("runs/\(name)/metrics.jsonl")
      return try File.contents(of: path).split(separator: 0x0A).compactMap { line in
        let json = try JSON(parsing: Array(line))
        return json["validation"] == nil ? try StepLine(json: json, place: path) : nil
      }
    }
  }
}
