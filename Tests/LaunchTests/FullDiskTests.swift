import Foundation
import Subprocess
import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct FullDisk {
    /// Whether this process may mount a file system of a given size.
    private static func canMount() async -> Bool {
      guard getuid() == 0, let workspace = try? Workspace() else { return false }
      guard (try? await mount(workspace.path)) == true else { return false }
      try? await unmount(workspace.path)
      return true
    }

    private static func mount(_ path: String) async throws -> Bool {
      try await shell("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", path)
    }

    private static func unmount(_ path: String) async throws { _ = try await shell("umount", path) }

    private static func shell(_ command: String, _ arguments: String...) async throws -> Bool {
      try await Subprocess.run(.name(command), arguments: Arguments(arguments), output: .discarded, error: .discarded)
        .terminationStatus.isSuccess
    }

    @Test(.enabled("may mount a file system of 2 MB", canMount))
    func aCheckpointThatDoesNotFit() async throws {
      let workspace = try Workspace()
      try Directory.create(workspace("runs"))
      try #require(try await Self.mount(workspace("runs")))
      do {
        try await workspace.succeed()
        let weights = try workspace.weights()
        try Directory.remove(workspace.checkpoint(40))
        // A file that leaves too little room for another checkpoint.
        #expect(throws: FlowerError.self) {
          try File(writing: workspace("runs/filler")).write([UInt8](repeating: 0, count: 1 << 22))
        }
        let filler = try FileHandle(forUpdating: URL(filePath: workspace("runs/filler")))
        try filler.truncate(atOffset: filler.seekToEnd() - 100_000)
        try filler.close()

        let outcome = try await workspace.train(more: ["--resume", "latest"])
        #expect(outcome.codes == [6, 6])
        #expect(outcome.errors.contains("cannot write \(workspace.checkpoint(40)).partial/"))
        #expect(outcome.errors.contains("No space left on device"))
        #expect(try workspace.store().steps() == [10, 20, 30])
        #expect(try workspace.leftovers() == [])
        try workspace.store().verify(step: 30)

        // With room again the run ends as if nothing had been.
        try Directory.remove(workspace("runs/filler"))
        try await workspace.succeed(more: ["--resume", "latest"])
        #expect(try workspace.weights() == weights)
        #expect(try workspace.steps() == Array(1...40))
      } catch { Issue.record(error) }
      try await Self.unmount(workspace("runs"))
    }

    @Test(.enabled("may mount a file system of 2 MB", canMount))
    func anExportThatDoesNotFit() async throws {
      let workspace = try Workspace()
      try await workspace.succeed(["training.steps=1"])
      try Directory.create(workspace("disk"))
      try #require(try await Self.mount(workspace("disk")))
      do {
        try File(writing: workspace("disk/filler")).write([UInt8](repeating: 0, count: 1 << 21 - 1 << 16))
        let outcome = try await workspace.run(
          ranks: 2, ["export", "--checkpoint", workspace("runs/tiny"), "--output", workspace("disk/model")])
        #expect(outcome.codes == [6, 6])
        #expect(outcome.errors.contains("cannot write \(workspace("disk/model")).partial/model.safetensors: No space"))
        #expect(try Directory.names(in: workspace("disk")) == ["filler"])
      } catch { Issue.record(error) }
      try await Self.unmount(workspace("disk"))
    }

    @Test(arguments: [0, 2])
    func runsThatCannotBeWritten(ranks: Int) async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.train(ranks: ranks, ["runs=/dev/full/x"])
      #expect(outcome.codes.allSatisfy { $0 == 6 })
      #expect(outcome.errors.contains("error: cannot create the directory /dev/full: Not a directory"))
    }

    /// Something else is where checkpoints should be.
    @Test func aPlaceThatIsTaken() async throws {
      let workspace = try Workspace()
      try await workspace.succeed()
      try Directory.remove(workspace("runs/tiny/checkpoints"))
      try workspace.write("", "runs/tiny/checkpoints")
      let outcome = try await workspace.train(more: ["--resume", "latest"])
      #expect(Set(outcome.codes).isSubset(of: [3, 6]) && Set(outcome.codes).count == 1)
      #expect(outcome.errors.contains(workspace("runs/tiny/checkpoints")))
    }
  }
}
