import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct Progress {
    private static let rewrites = "\u{1B}[K"

    @Test func plainLinesInLogs() async throws {
      let workspace = try Workspace()
      let output = try await workspace.succeed()
      #expect(!output.contains(Self.rewrites))
      let lines = output.split(whereSeparator: \.isNewline)
      #expect(lines.count { $0.contains("/40  loss ") } == 4)
      #expect(lines.last?.hasPrefix("done: \(workspace.checkpoint(40))") ?? false)
      #expect(lines.contains { $0.hasPrefix("ranks") && $0.contains(" 2 on ") })
    }

    /// The launcher says how wide its terminal is: mpirun's is none.
    @Test func oneLineInATerminal() async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.train(environment: ["FLOWER_COLUMNS": "50"])
      #expect(outcome.codes == [0, 0])
      let shown = outcome.output.split(separator: "\r").filter { $0.contains("/40  loss ") }
      #expect(shown.count == 40)
      #expect(shown.allSatisfy { $0.prefix { $0 != "\u{1B}" }.count < 50 })
    }

    @Test func dryRunWritesNothing() async throws {
      let workspace = try Workspace()
      let output = try await workspace.succeed(more: ["--dry-run"])
      #expect(output.contains("hidden_size: 32") && output.contains("gradient buffers"))
      #expect(!File.exists(workspace("runs")))
    }
  }
}
