import Foundation
import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct Signals {
    private static let long = ["training.steps=100000", "checkpoint.every=0"]

    /// Whether the run was left after a step that is saved.
    private func expectSaved(_ workspace: Workspace, _ outcome: Workspace.Outcome) throws {
      let steps = try workspace.store().steps()
      #expect(steps.count == 1)
      let step = try #require(steps.first)
      try workspace.store().verify(step: step)
      #expect(try workspace.steps() == Array(1...step))
      #expect(try workspace.leftovers() == [])
      #expect(outcome.errors.contains("error: stopped by a signal after step \(step), which is saved"))
    }

    @Test func mpirunPassesOnSIGUSR1() async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.run(ranks: 2, workspace.arguments(Self.long), endsAll: true) { mpirun in
        try await workspace.wait(for: "runs/tiny/metrics.jsonl")
        kill(mpirun, SIGUSR1)
      }
      try expectSaved(workspace, outcome)
      #expect(outcome.codes == [130, 130] && outcome.code == 130)
    }

    /// All stop after the same step, whichever rank is asked.
    @Test func oneRankIsEnough() async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.run(ranks: 2, workspace.arguments(Self.long)) { mpirun in
        try await workspace.wait(for: "runs/tiny/metrics.jsonl")
        let ranks = try descendants(of: mpirun).filter {
          let command = try? String(contentsOfFile: "/proc/\($0)/cmdline", encoding: .utf8)
          return command?.hasPrefix(Workspace.program) ?? false
        }
        kill(try #require(ranks.max()), SIGTERM)
      }
      try expectSaved(workspace, outcome)
      #expect(outcome.codes == [130, 130])
    }

    @Test func aloneToo() async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.run(ranks: 0, workspace.arguments(Self.long)) { process in
        try await workspace.wait(for: "runs/tiny/metrics.jsonl")
        kill(process, SIGINT)
      }
      #expect(outcome.code == 130)
      try workspace.store().verify(step: try #require(try workspace.store().steps().first))
    }
  }
}
