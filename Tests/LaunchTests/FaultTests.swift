import Foundation
import Subprocess
import Testing

extension LaunchTests {
  @Suite struct Faults {
    private static func hasStrace() async -> Bool {
      let outcome = try? await Subprocess.run(
        .name("strace"), arguments: ["true"], output: .discarded, error: .discarded)
      return outcome?.terminationStatus.isSuccess ?? false
    }

    /// A share of what `Tests/Faults/fault_loop.py` does at length.
    @Test(.enabled("strace may trace a program", hasStrace))
    func killsAndErrorsWhileSaving() async throws {
      let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Faults/fault_loop.py").path
      let result = try await Subprocess.run(
        .name("python3"), arguments: [script, "--kills", "12", "--errors", "8"], output: .string(limit: 1 << 20),
        error: .string(limit: 1 << 20))
      #expect(result.terminationStatus.isSuccess, "\(result.standardOutput)\(result.standardError)")
    }

    @Test func doesNotBeginAnewWhereCheckpointsAreDamaged() async throws {
      let workspace = try Workspace()
      try await workspace.succeed(["training.steps=10"])
      try workspace.write("", "runs/tiny/checkpoints/step-00000010/model.safetensors")
      let outcome = try await workspace.train(["training.steps=10"], more: ["--resume", "latest"])
      #expect(outcome.codes == [3, 3])
      #expect(outcome.errors.contains(workspace.checkpoint(10) + "/model.safetensors: has 0 bytes"))
      let verified = try await workspace.run(ranks: 0, ["verify", workspace("runs/tiny")])
      #expect(verified.code == 3 && verified.errors.contains("files are missing or damaged"))
    }
  }
}
