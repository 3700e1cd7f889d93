import Foundation
import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct Resume {
    @Test func goesOnAsIfNeverInterrupted() async throws {
      let workspace = try Workspace()
      try await workspace.succeed(ranks: 2, name: "whole")
      // Two ranks, then three, then one.
      try await workspace.succeed(ranks: 3, name: "later", more: ["--resume", workspace.checkpoint(10, of: "whole")])
      try await workspace.succeed(ranks: 1, name: "last", more: ["--resume", workspace.checkpoint(30, of: "later")])
      try await workspace.succeed(ranks: 2, name: "seed", ["training.seed=2"])
      let expected = try workspace.weights("whole")
      #expect(try workspace.weights("later") == expected)
      #expect(try workspace.weights("last") == expected)
      #expect(try workspace.weights("seed") != expected)
      // A run that begins with another's checkpoint describes itself.
      #expect(try workspace.steps("later") == Array(11...40))
      #expect(File.exists(workspace("runs/later/config.yaml")))
    }

    /// From steps inside the epochs, on one, two, four and one ranks.
    @Test func goesOnInTheMiddleOfAnEpochOnOtherRanks() async throws {
      let workspace = try Workspace()
      let overrides = Workspace.histories + ["checkpoint.every=1", "checkpoint.keep=100"]
      try await workspace.succeed(ranks: 2, name: "whole", overrides)
      var (earlier, step) = ("whole", 7)
      for (ranks, next) in [(1, 13), (2, 18), (4, 26), (1, 40)] {
        let name = "on-\(ranks)-to-\(next)"
        try await workspace.succeed(
          ranks: ranks, name: name, overrides, more: ["--resume", workspace.checkpoint(step, of: earlier)])
        (earlier, step) = (name, next)
        #expect(try workspace.weights(name) == workspace.weights("whole"))
      }
    }

    /// Buffer and schedule are part of the checkpoint, whoever reads it.
    @Test func goesOnWithReplayAndSchedule() async throws {
      let workspace = try Workspace()
      let overrides = [
        "trajectories.source=replay 0.4, policy 0.2, length 1 to 0.1 by 0.2 per 8 below 1000", "replay.capacity=30",
        "replay.staleness=6",
      ]
      try await workspace.succeed(ranks: 1, name: "whole", overrides)
      try await workspace.succeed(
        ranks: 2, name: "later", overrides, more: ["--resume", workspace.checkpoint(20, of: "whole")])
      try await workspace.succeed(
        ranks: 1, name: "last", overrides, more: ["--resume", workspace.checkpoint(30, of: "later")])
      let expected = try workspace.weights("whole")
      #expect(try workspace.weights("later") == expected)
      #expect(try workspace.weights("last") == expected)
      let buffer = try File.contents(of: workspace.checkpoint(40, of: "whole") + "/\(ReplayFile.name)")
      #expect(try File.contents(of: workspace.checkpoint(40, of: "later") + "/\(ReplayFile.name)") == buffer)
      #expect(buffer.split(separator: 0x0A).count == 30)
      let state = try TrainerState(directory: workspace.checkpoint(40, of: "later"))
      #expect(state.progress.falls == 5)
      let manifest = try CheckpointManifest.verify(directory: workspace.checkpoint(40, of: "later"))
      #expect(manifest.files.contains { $0.path == ReplayFile.name })
      // Without the buffer it would not be the same run: the checkpoint is refused.
      try Directory.remove(workspace.checkpoint(20, of: "whole") + "/\(ReplayFile.name)")
      let outcome = try await workspace.train(
        ranks: 2, name: "without", overrides, more: ["--resume", workspace.checkpoint(20, of: "whole")])
      #expect(outcome.codes == [3, 3] && outcome.errors.contains(ReplayFile.name))
    }

    @Test func killedRunsEndInTheSameWeights() async throws {
      let overrides = ["training.steps=120"]
      let workspace = try Workspace()
      try await workspace.succeed(name: "whole", overrides)
      let killed = try await workspace.run(
        ranks: 2, workspace.arguments(name: "killed", overrides), endsAll: true
      ) { mpirun in
        try await workspace.wait(for: "runs/killed/checkpoints/step-00000010")
        for process in try descendants(of: mpirun) { kill(process, SIGKILL) }
      }
      #expect(killed.code == 137)
      let saved = try #require(try workspace.store("killed").latest().checkpoint)
      #expect(saved.step < 120)
      // What a killed program leaves: a save and a line that did not end.
      try workspace.write("half", "runs/killed/checkpoints/step-00000120.partial/model.safetensors")
      let metrics = try FileHandle(forUpdating: URL(filePath: workspace("runs/killed/metrics.jsonl")))
      try metrics.seekToEnd()
      try metrics.write(contentsOf: Data(#"{"step":119}"#.utf8 + Data("\n".utf8) + Data(#"{"step":12"#.utf8)))
      try metrics.close()

      let output = try await workspace.succeed(name: "killed", overrides, more: ["--resume", "latest"])
      #expect(output.contains("attempt 2 goes on after step \(saved.step)"))
      #expect(try workspace.weights("killed", step: 120) == workspace.weights("whole", step: 120))
      #expect(try workspace.steps("killed") == Array(1...120))
      #expect(try workspace.leftovers("killed") == [])
      let cut = try File.contents(of: workspace("runs/killed/logs/attempt-2/metrics-cut.jsonl"))
      #expect(String(decoding: cut, as: UTF8.self).hasSuffix("{\"step\":119}\n{\"step\":12\n"))
    }

    @Test func passesOverDamagedCheckpoints() async throws {
      let workspace = try Workspace()
      try await workspace.succeed()
      let expected = try workspace.weights()
      let path = workspace.checkpoint(40) + "/model.safetensors"
      var bytes = try File.contents(of: path)
      bytes[bytes.count - 5] ^= 1
      try File(writing: path).write(bytes)
      let output = try await workspace.succeed(more: ["--resume", "latest"])
      #expect(output.contains("passed over a damaged checkpoint: \(path): is damaged"))
      #expect(output.contains("goes on after step 30"))
      #expect(try workspace.weights() == expected)
      #expect(try workspace.steps() == Array(1...40))
      try workspace.store().verify(step: 40)
    }

    @Test func startsWhereThereIsNothingToResume() async throws {
      let workspace = try Workspace()
      let output = try await workspace.succeed(more: ["--resume", "latest"])
      #expect(output.contains("no checkpoint in \(workspace("runs/tiny/checkpoints")) yet: starting at step 0"))
      #expect(File.exists(workspace("runs/tiny/config.yaml")) && File.exists(workspace("runs/tiny/environment.json")))
      #expect(try workspace.steps() == Array(1...40))
      try await workspace.succeed(name: "fresh")
      #expect(try workspace.weights() == workspace.weights("fresh"))
    }

    @Test func aFinishedRunStaysFinished() async throws {
      let workspace = try Workspace()
      // Patience runs out, which a resumed run must not forget.
      let overrides = [
        "validation.every=5", "validation.metric=total_variation", "validation.patience=1",
        "optimizer.learning_rate=1e-12", "training.steps=100",
      ]
      try await workspace.succeed(overrides)
      let steps = try workspace.steps()
      #expect(steps.count < 100)
      try await workspace.succeed(overrides, more: ["--resume", "latest"])
      #expect(try workspace.steps() == steps)
    }

    @Test func bestOutlivesRetention() async throws {
      let workspace = try Workspace()
      // Validation gets worse after the first: the weights explode slowly.
      try await workspace.succeed([
        "validation.every=10", "validation.metric=total_variation", "optimizer.learning_rate=10", "checkpoint.keep=2",
        "optimizer.schedule=constant", "optimizer.weight_decay=0",
      ])
      let best = try #require(try workspace.store().best())
      try workspace.store().verify(step: best.step)
      #expect(Set(try workspace.store().steps()) == [best.step, 30, 40])
    }
  }
}
