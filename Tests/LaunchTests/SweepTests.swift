import Foundation
import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct Sweeps {
    private func sweep(
      _ workspace: Workspace, ranks: Int = 2, _ arguments: [String] = [], endsAll: Bool = false,
      meanwhile: (pid_t) async throws -> Void = { _ in }
    ) async throws -> Workspace.Outcome {
      let common = ["sweep", workspace("tiny.yaml"), "--name", "s", "--set", "runs=\(workspace("runs"))"]
      return try await workspace.run(ranks: ranks, common + arguments, endsAll: endsAll, meanwhile: meanwhile)
    }

    private func row(_ workspace: Workspace, _ name: String) throws -> ResultRow {
      try ResultRow(file: workspace("runs/s/results/\(name).json"))
    }

    private func weights(_ workspace: Workspace, _ name: String) throws -> String {
      try workspace.weights("s/\(name)")
    }

    @Test func theGridIsTrainedOnceAndAsAlone() async throws {
      let workspace = try Workspace()
      let grid = ["--over", "objective.name=subtb,sft", "--seeds", "1,2"]
      let first = try await sweep(workspace, grid)
      #expect(first.codes == [0, 0], "\(first.errors)")
      #expect(first.output.contains("→ name=subtb") && first.output.contains("Total variation"))
      #expect(first.output.components(separatedBy: "run 4 of 4").count == 2, "rank zero alone prints")
      let name = "tiny_name=subtb_seed=2"
      let row = try row(workspace, name)
      #expect(row.steps == 40 && row.seed == 2 && row.checkpoint == "step-00000040" && !row.audit.isEmpty)
      #expect(File.exists(workspace("runs/s/\(name)/audit.json")))
      // The fourth training of a process is that of a process of its own.
      try await workspace.succeed(ranks: 1, name: "alone", ["objective.name=sft", "training.seed=2"])
      #expect(try weights(workspace, "tiny_name=sft_seed=2") == workspace.weights("alone"))

      let again = try await sweep(workspace, ranks: 0, grid + ["--select", "js"])
      #expect(again.codes == [0] && again.output.components(separatedBy: "has its row already").count == 5)
      #expect(!File.exists(workspace("runs/s/\(name)/logs/attempt-2")))
      let more = try await sweep(workspace, ranks: 0, ["--over", "objective.name=subtb,sft,db", "--seeds", "1,2"])
      #expect(more.codes == [0] && more.output.components(separatedBy: "has its row already").count == 5)
      let other = try await sweep(workspace, grid + ["--set", "training.steps=41"])
      #expect(other.codes == [2, 2] && other.errors.contains("this run had training.steps 40"))

      let report = try await workspace.run(ranks: 2, ["report", "--results", workspace("runs/s/results")])
      #expect(report.codes == [0, 0] && report.output.contains("| name=subtb (selected) |"))
      let page = try await workspace.run(ranks: 0, ["report", workspace("runs/s"), "--tensorboard", workspace("tb")])
      #expect(page.codes == [0] && File.exists(workspace("runs/s/report.html")), "\(page.errors)")
      #expect(File.exists(workspace("tb/\(name)/events.out.tfevents.0.flowerdist")))
    }

    @Test func validationSelectsWhatIsTested() async throws {
      let workspace = try Workspace(
        Workspace.recipe().replacing("data: {generated: 60}", with: "data: {generated: 60, generated_examples: 400}")
          .replacing("A title:", with: "{history}:"))
      let arguments = ["--over", "training.steps=3,4", "--examples", "24", "--set", "evaluation.temperature=1.5"]
      let outcome = try await sweep(workspace, arguments)
      #expect(outcome.codes == [0, 0], "\(outcome.errors)")
      let rows = try ["3", "4"].map { try row(workspace, "tiny_steps=\($0)_seed=1") }
      let values = rows.map { $0[.valid]?.model(.topK)?["ndcg@10"]?.value ?? -1 }
      let best = values[0] >= values[1] ? 0 : 1
      #expect(rows[best][.test]?.model(.topK)?.examples == 24 && rows[1 - best][.test] == nil)
      #expect(rows[best][.test]?.rows.contains { $0.isReference && $0.targets != nil } == true)
      #expect(outcome.output.contains("Difference from steps=3"))
      #expect(rows[best][.test]?.model(.sampled)?.name.contains("temperature 1.5") == true)
      // Another number of examples measures again and trains nothing.
      let wider = try await sweep(
        workspace, ranks: 0, ["--over", "training.steps=3,4", "--examples", "30", "--test", "all"])
      #expect(wider.codes == [0], "\(wider.errors)")
      #expect(wider.output.components(separatedBy: "is measured again").count == 3)
      #expect(try row(workspace, "tiny_steps=4_seed=1")[.test]?.model(.topK)?.examples == 30)
      let comparison = try await workspace.run(
        ranks: 0, ["report", "--results", workspace("runs/s"), "--compare", "steps=4", "popularity"])
      #expect(comparison.output.contains("steps=4 minus popularity, test split"), "\(comparison.errors)")
    }

    @Test func aSignalEndsItAndTheSameCommandGoesOn() async throws {
      let workspace = try Workspace()
      let arguments = ["--set", "training.steps=500", "--set", "checkpoint.every=0", "--seeds", "1,2"]
      let outcome = try await sweep(workspace, arguments) { mpirun in
        try await workspace.wait(for: "runs/s/results/tiny_seed=1.json")
        try await workspace.wait(for: "runs/s/tiny_seed=2/metrics.jsonl")
        kill(mpirun, SIGUSR1)
      }
      #expect(outcome.codes == [130, 130])
      #expect(outcome.errors.contains("error: stopped by a signal in tiny_seed=2, where it is saved"))
      #expect(!File.exists(workspace("runs/s/results/tiny_seed=2.json")))
      let again = try await sweep(workspace, ranks: 1, arguments)
      #expect(again.codes == [0] && again.output.contains("was begun and goes on"), "\(again.errors)")
      #expect(again.output.contains("attempt 2 goes on after step"))
      #expect(try row(workspace, "tiny_seed=2").steps == 500)
    }

    @Test func aRunThatDivergesIsARow() async throws {
      let workspace = try Workspace()
      // A decay of the weights by 1 - 10 · 10 in each step.
      let settings = ["weight_decay=10", "schedule=constant", "warmup_steps=0", "clip_norm=0"]
      let outcome = try await sweep(
        workspace, ["--over", "optimizer.learning_rate=10,2e-3"] + settings.flatMap { ["--set", "optimizer.\($0)"] })
      #expect(outcome.codes == [0, 0], "\(outcome.errors)")
      let rows = try ["10.0", "0.002"].map { try row(workspace, "tiny_learning_rate=\($0)_seed=1") }
      #expect(rows[0].status == .diverged && rows[0].message?.contains("is not finite") == true && rows[0].steps > 0)
      #expect(outcome.output.contains("0 + 1 diverged") && outcome.output.contains("→ learning_rate=0.002"))
      #expect(rows[1].status == .finished)
    }

    @Test func twoAtOnceAreRefused() async throws {
      let workspace = try Workspace()
      try Directory.create(workspace("runs/s"))
      let lock = try DirectoryLock(workspace("runs/s"))
      let outcome = try await sweep(workspace)
      #expect(outcome.codes == [2, 2] && outcome.errors.contains("another process is at work here"))
      withExtendedLifetime(lock) {}
      #expect(try Directory.names(in: workspace("runs/s")).filter { !$0.hasPrefix(".") } == ["results"])
    }
  }
}
