import Testing

@testable import FlowerDist

extension LaunchTests {
  /// Adapters of a frozen model: the same promises as for weights.
  @Suite struct Adapters {
    private static let base = "runs/base/checkpoints/step-00000010"

    /// A workspace with a trained model, and what trains adapters of it.
    private func prepared() async throws -> (Workspace, overrides: [String]) {
      let workspace = try Workspace()
      try await workspace.succeed(ranks: 1, name: "base", ["training.steps=10"])
      return (workspace, ["model.path=\(workspace(Self.base))", "lora.rank=3", "lora.alpha=6", "training.steps=20"])
    }

    private func adapter(_ workspace: Workspace, _ name: String, step: Int = 20) throws -> String {
      try SHA256.hex(ofFile: workspace.checkpoint(step, of: name) + "/adapter_model.safetensors")
    }

    @Test func sameBitsOnAnyNumberOfRanks() async throws {
      let (workspace, overrides) = try await prepared()
      let base = try SHA256.hex(ofFile: workspace(Self.base) + "/model.safetensors")
      for ranks in 1...4 { try await workspace.succeed(ranks: ranks, name: "on-\(ranks)", overrides) }
      let expected = try adapter(workspace, "on-1")
      for ranks in 2...4 { #expect(try adapter(workspace, "on-\(ranks)") == expected) }
      try await workspace.succeed(ranks: 2, name: "again", overrides + ["training.activation_checkpointing=true"])
      #expect(try adapter(workspace, "again") == expected, "computing layers again changes no bit")
      #expect(try adapter(workspace, "on-1", step: 10) != expected, "something is trained")
      #expect(try SHA256.hex(ofFile: workspace(Self.base) + "/model.safetensors") == base)
      #expect(!File.exists(workspace.checkpoint(20, of: "on-1") + "/model.safetensors"))
    }

    @Test func resumesOnOtherRanks() async throws {
      let (workspace, overrides) = try await prepared()
      try await workspace.succeed(ranks: 2, name: "whole", overrides)
      try await workspace.succeed(
        ranks: 3, name: "later", overrides, more: ["--resume", workspace.checkpoint(10, of: "whole")])
      #expect(try adapter(workspace, "later") == adapter(workspace, "whole"))
      try await workspace.succeed(ranks: 2, name: "seed", overrides + ["training.seed=2"])
      #expect(try adapter(workspace, "seed") != adapter(workspace, "whole"))
    }

    /// Adapter and export are one model: the same probabilities of all titles.
    @Test func exportsMerged() async throws {
      let (workspace, overrides) = try await prepared()
      try await workspace.succeed(ranks: 2, name: "lora", overrides)
      let export = try await workspace.run(
        ranks: 0,
        ["export", "--checkpoint", workspace("runs/lora"), "--output", workspace("out"), "--dtype", "f32"])
      #expect(export.code == 0, "\(export.errors)")
      #expect(!File.exists(workspace("out/adapter_config.json")))
      try workspace.write(#"{"sequences": [{"tokens": [65, 32, 116, 105, 116, 108, 101, 58, 10, 200]}]}"#, "in.json")
      var scores: [[Double]] = []
      for model in ["runs/lora", "out", Self.base] {
        let output = workspace("scores-\(scores.count).json")
        let outcome = try await workspace.run(
          ranks: 2, ["score", "--model", workspace(model), "--input", workspace("in.json"), "--output", output])
        #expect(outcome.codes == [0, 0], "\(outcome.errors)")
        let sequence = try #require(try JSON(contentsOf: output)["sequences"]?.array?.first)
        scores.append(try #require(sequence["log_probs"]?.array).map { $0.double! })
      }
      func distance(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).map { abs($0 - $1) }.max()! }
      #expect(distance(scores[0], scores[1]) < 1e-5 && distance(scores[0], scores[2]) > 1e-3, "\(scores)")
    }

    /// Also where the model has moved since.
    @Test func goesOnWhereTheModelIsNow() async throws {
      let (workspace, overrides) = try await prepared()
      try await workspace.succeed(ranks: 2, name: "whole", overrides)
      let moved = workspace("elsewhere")
      try Directory.rename(workspace(Self.base), to: moved)
      try await workspace.succeed(
        ranks: 2, name: "later", overrides + ["model.path=\(moved)"],
        more: ["--resume", workspace.checkpoint(10, of: "whole")])
      #expect(try adapter(workspace, "later") == adapter(workspace, "whole"))
      let audit = try await workspace.run(ranks: 2, ["audit", "--model", workspace("runs/later")])
      #expect(audit.codes == [0, 0], "\(audit.errors)")
    }

    /// An adapter is a start: with its own shape it is trained on, without one it becomes part of the weights.
    @Test func beginsWithAnAdapter() async throws {
      let (workspace, overrides) = try await prepared()
      try await workspace.succeed(ranks: 1, name: "lora", overrides)
      let start = "model.path=\(workspace.checkpoint(20, of: "lora"))"
      try await workspace.succeed(ranks: 2, name: "further", overrides + [start])
      #expect(try adapter(workspace, "further") != adapter(workspace, "lora"))
      try await workspace.succeed(ranks: 2, name: "all", [start, "training.steps=10"])
      let path = workspace.checkpoint(10, of: "all")
      #expect(File.exists("\(path)/model.safetensors") && !File.exists("\(path)/adapter_config.json"))
    }

    @Test func frozenWeightsAreThereOncePerHost() async throws {
      let (workspace, overrides) = try await prepared()
      let plan = try await workspace.train(ranks: 2, name: "plan", overrides, more: ["--dry-run"])
      #expect(plan.output.contains("MB of weights, once per host"), "\(plan.output) \(plan.errors)")
      let alone = try await workspace.train(ranks: 1, name: "plan", overrides, more: ["--dry-run"])
      #expect(alone.output.contains("MB of weights, on every rank"), "\(alone.output) \(alone.errors)")
    }

    @Test func refusals() async throws {
      let (workspace, overrides) = try await prepared()
      try await workspace.succeed(ranks: 1, name: "lora", overrides)
      let adapter = workspace.checkpoint(20, of: "lora")
      // Another rank than the adapter that the recipe begins with.
      let other = try await workspace.train(
        name: "other", overrides + ["model.path=\(adapter)", "lora.rank=5"])
      #expect(other.codes == [2, 2] && other.errors.contains("rank 5"), "\(other.errors)")
      let scratch = try await workspace.train(name: "scratch", ["lora.rank=5"])
      #expect(scratch.codes == [2, 2] && scratch.errors.contains("lora.rank needs model.path"), "\(scratch.errors)")
      // The model under the adapter is no longer the one that it was trained on.
      let weights = workspace(Self.base) + "/model.safetensors"
      var bytes = try File.contents(of: weights)
      bytes[bytes.count - 3] ^= 1
      try File(writing: weights).write(bytes)
      let audit = try await workspace.run(ranks: 2, ["audit", "--model", workspace("runs/lora")])
      #expect(audit.codes == [3, 3] && audit.errors.contains("not the weights"), "\(audit.errors)")
    }
  }
}
