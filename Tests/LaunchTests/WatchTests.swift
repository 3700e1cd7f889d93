import Foundation
import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct Watch {
    private static let long = ["training.steps=100000", "checkpoint.every=0"]

    private func ranks(of mpirun: pid_t) throws -> [pid_t] {
      try descendants(of: mpirun).filter {
        let command = try? String(contentsOfFile: "/proc/\($0)/cmdline", encoding: .utf8)
        return command?.hasPrefix(Workspace.program) ?? false
      }.sorted()
    }

    @Test(arguments: [0, 1]) func aStoppedRankEndsTheJob(_ rank: Int) async throws {
      let workspace = try Workspace()
      let arguments = workspace.arguments(Self.long + ["training.deadline=3"])
      let outcome = try await workspace.run(ranks: 2, arguments, endsAll: true) { mpirun in
        try await workspace.wait(for: "runs/tiny/logs/attempt-1/started.json")
        kill(try ranks(of: mpirun)[rank], SIGSTOP)
      }
      #expect(outcome.code == 7, "\(outcome.errors)")
      let message = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
      let expected = /error: nothing has happened for 3 seconds \(training\.deadline\): rank (\d) on \S+ has stopped in \w+ of step \d+\..*/
      let match = try #require(message.count == 1 ? message[0].wholeMatch(of: expected) : nil, "\(outcome.errors)")
      #expect(match.1 == "\(rank)")
    }

    /// Nothing is missed by a job that is stopped as a whole and goes on.
    @Test func aPauseIsNoHang() async throws {
      let workspace = try Workspace()
      let arguments = workspace.arguments(Self.long + ["training.deadline=2"])
      let outcome = try await workspace.run(ranks: 2, arguments, endsAll: true) { mpirun in
        try await workspace.wait(for: "runs/tiny/logs/attempt-1/started.json")
        let ranks = try ranks(of: mpirun)
        for rank in ranks { kill(rank, SIGSTOP) }
        try await Task.sleep(for: .seconds(5))
        for rank in ranks { kill(rank, SIGCONT) }
        try await Task.sleep(for: .seconds(1))
        kill(mpirun, SIGUSR1)
      }
      #expect(outcome.codes == [130, 130], "\(outcome.errors)")
      #expect(try Directory.names(in: workspace("runs/tiny")).filter { $0.hasPrefix(".") } == [])
    }

    @Test func oneJobToARun() async throws {
      let workspace = try Workspace()
      let first = try await workspace.run(ranks: 1, workspace.arguments(Self.long)) { mpirun in
        try await workspace.wait(for: "runs/tiny/metrics.jsonl")
        let fresh = try await workspace.train(ranks: 0, Self.long)
        #expect(fresh.code == 2 && fresh.errors.contains("this run exists"), "\(fresh.errors)")
        let second = try await workspace.train(ranks: 0, Self.long, more: ["--resume", "latest"])
        #expect(second.code == 2 && second.errors.contains("another process is at work here"), "\(second.errors)")
        kill(mpirun, SIGUSR1)
      }
      #expect(first.codes == [130])
    }

    /// A start that fails leaves nothing behind.
    @Test func nothingStaysOfAStartThatFails() async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.train(ranks: 2, ["data.path=nowhere", "data.generated=0"])
      #expect(outcome.codes == [3, 3], "\(outcome.errors)")
      #expect(!File.exists(workspace("runs/tiny")))
    }

    @Test func theTimeLimitSavesAndEnds() async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.train(ranks: 2, Self.long, more: ["--time-limit", "2s"])
      #expect(outcome.codes == [130, 130], "\(outcome.errors)")
      let step = try #require(try workspace.store().steps().first)
      try workspace.store().verify(step: step)
      #expect(outcome.errors.contains("stopped by the time limit after step \(step), which is saved"))
      for wrong in ["90", "h", "0s", "1.5h", "-1s", "99999999d"] {
        let refused = try await workspace.train(ranks: 0, more: ["--time-limit=\(wrong)"])
        #expect(refused.code == 2 && refused.errors.contains("--time-limit"), "\(wrong): \(refused.errors)")
      }
    }

    @Test func ranksOfAnotherProgramAreRefused() async throws {
      let workspace = try Workspace()
      let other = workspace("flower-worker")
      try FileManager.default.copyItem(atPath: Workspace.program, toPath: other)
      let handle = try FileHandle(forWritingTo: URL(filePath: other))
      try handle.seekToEnd()
      try handle.write(contentsOf: Data([0]))
      try handle.close()
      let libraries = URL(filePath: Workspace.program).deletingLastPathComponent().path
      let outcome = try await workspace.run(
        ranks: 2, workspace.arguments(), lastProgram: other, mpirun: ["-x", "LD_LIBRARY_PATH=\(libraries)"])
      #expect(outcome.codes == [5, 5])
      #expect(outcome.errors.contains("the ranks do not agree on the program's file"), "\(outcome.errors)")
    }

    @Test func savingInTheForegroundGivesTheSameCheckpoints() async throws {
      let workspace = try Workspace()
      try await workspace.succeed(ranks: 2, name: "behind")
      try await workspace.succeed(ranks: 2, name: "before", ["checkpoint.background=false"])
      for step in [10, 20, 30, 40] {
        try workspace.store("behind").verify(step: step)
        #expect(try workspace.weights("behind", step: step) == workspace.weights("before", step: step))
      }
    }
  }
}
