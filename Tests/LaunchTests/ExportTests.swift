import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct Exporting {
    private func export(
      _ workspace: Workspace, ranks: Int = 2, _ checkpoint: String, to output: String, _ more: String...
    ) async throws -> Workspace.Outcome {
      try await workspace.run(ranks: ranks, ["export", "--checkpoint", checkpoint, "--output", output] + more)
    }

    /// From a directory through a resumed run into another directory, which is of use in turn.
    @Test func aFineTunedModel() async throws {
      let workspace = try Workspace()
      try await workspace.succeed(name: "base", ["training.steps=5"])
      let base = workspace("base")
      let first = try await export(workspace, ranks: 0, workspace("runs/base"), to: base, "--dtype", "bf16")
      #expect(first.codes == [0], "\(first.errors)")
      #expect(first.output.hasPrefix("Written to \(base): "))
      #expect(first.output.hasSuffix(" bytes, bf16\n"))
      // What we do not model.
      let tokenizer = try File.contents(of: "\(base)/tokenizer.json") + Array("\n\n".utf8)
      try workspace.write(String(decoding: tokenizer, as: UTF8.self), "base/tokenizer.json")
      try workspace.write("{\"odd\": 1.50}\r\n", "base/tokenizer_config.json")

      try await workspace.succeed(["model.path=\(base)"])
      let weights = try workspace.weights()
      try Directory.remove(workspace.checkpoint(40))
      try Directory.remove(base)
      try await workspace.succeed(ranks: 3, ["model.path=\(base)"], more: ["--resume", "latest"])
      #expect(try workspace.weights() == weights)

      let output = workspace("models/fine tuned")
      let outcome = try await export(workspace, workspace("runs/tiny"), to: output)
      #expect(outcome.codes == [0, 0], "\(outcome.errors)")
      #expect(outcome.output.split(separator: "\n").count == 1, "\(outcome.output)")
      #expect(outcome.output.contains("bf16"))
      #expect(try File.contents(of: "\(output)/tokenizer.json") == tokenizer)
      #expect(try File.contents(of: "\(output)/tokenizer_config.json") == Array("{\"odd\": 1.50}\r\n".utf8))
      #expect(try Directory.names(in: workspace("models")) == ["fine tuned"])
      let next = try await workspace.train(name: "next", ["model.path=\(output)", "training.steps=1"])
      #expect(next.codes == [0, 0], "\(next.errors)")
    }

    @Test(arguments: [0, 2]) func refusals(ranks: Int) async throws {
      let workspace = try Workspace()
      try await workspace.succeed(["training.steps=10"])
      let run = workspace("runs/tiny")
      func expect(_ code: Int32, _ message: String, _ outcome: Workspace.Outcome) throws {
        #expect(outcome.codes.allSatisfy { $0 == code }, "\(outcome)")
        #expect(outcome.errors.split(separator: message, omittingEmptySubsequences: false).count == 2, "\(outcome)")
        #expect(outcome.output.isEmpty)
        #expect(try Directory.names(in: workspace("out")) == ["there"])
      }
      try workspace.write("mine", "out/there/file")
      try expect(2, "already exists", await export(workspace, ranks: ranks, run, to: workspace("out/there")))
      try expect(
        2, "The value 'f16' is invalid",
        await export(workspace, ranks: ranks, run, to: workspace("out/new"), "--dtype", "f16"))
      try expect(
        3, "expected a model directory",
        await export(workspace, ranks: ranks, workspace("none"), to: workspace("out/new")))
      try expect(6, "cannot create", await export(workspace, ranks: ranks, run, to: workspace("out/there/file/x")))
      try workspace.write("", "runs/tiny/checkpoints/step-00000010/model.safetensors")
      try expect(
        3, "step-00000010/model.safetensors: has 0 bytes",
        await export(workspace, ranks: ranks, workspace.checkpoint(10), to: workspace("out/new")))
      try expect(3, "no whole checkpoint", await export(workspace, ranks: ranks, run, to: workspace("out/new")))
    }
  }
}
