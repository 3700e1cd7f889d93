import Foundation
import Testing

@testable import FlowerDist

extension LaunchTests {
  /// Several hosts, as network namespaces of this machine, and what may happen to them.
  @Suite(.enabled("may make network namespaces", Hosts.possible)) struct ManyHosts {
    private static let hostFile = "node1 slots=1\nnode2 slots=1\nnode3 slots=1\n"

    private func workspace() throws -> Workspace {
      let workspace = try Workspace()
      try workspace.write(Self.hostFile, "hosts")
      return workspace
    }

    private func training(_ workspace: Workspace, restarts: Int, _ overrides: [String]) -> [String] {
      ["-n", "3", "--hosts", workspace("hosts"), "--restarts", String(restarts)]
        + workspace.arguments(name: "hosts", overrides)
    }

    /// Over TCP, by a slow link, and with a cable that is out for less than what counts as lost.
    @Test func trainsAsOneHostDoes() async throws {
      let workspace = try workspace()
      try await workspace.succeed(ranks: 1, name: "alone")
      let run = try await Hosts.with(3) { hosts in
        try await hosts.network("slow", "node2", "20mbit")
        return try await hosts.launch(workspace, training(workspace, restarts: 0, [])) {
          try await workspace.wait(for: "runs/hosts/checkpoints/step-00000010")
          try await hosts.network("cut", "node3")
          try await Task.sleep(for: .seconds(1))
          try await hosts.network("mend", "node3")
        }
      }
      #expect(run.code == 0, "\(run.output)")
      #expect(run.output.contains("3 on node1 (1), node2 (1), node3 (1)"))
      #expect(try workspace.weights("hosts") == workspace.weights("alone"))
    }

    /// One host vanishes, and is back when the ranks of another die. The slow link keeps the run from ending before.
    @Test func goesOnWithTheHostsThatAreLeft() async throws {
      let overrides = ["training.steps=100"]
      let workspace = try workspace()
      try await workspace.succeed(ranks: 1, name: "alone", overrides)
      let run = try await Hosts.with(3) { hosts in
        try await hosts.network("slow", "node2", "20mbit")
        return try await hosts.launch(workspace, training(workspace, restarts: 2, overrides)) {
          try await workspace.wait(for: "runs/hosts/checkpoints/step-00000020")
          try await hosts.network("kill", "node3")
          // Steps in flight may still end with a checkpoint; the one after it is of those that are left.
          try await workspace.wait(for: "runs/hosts/logs/attempt-2")
          let next = workspace.checkpoint(try (workspace.store("hosts").steps().last ?? 0) + 10, of: "hosts")
          try await workspace.wait(for: String(next.dropFirst(workspace.path.count + 1)))
          try await hosts.network("mend", "node3")
          try await hosts.network("crash", "node2")
        }
      }
      #expect(run.code == 0, "\(run.output)")
      // A host whose processes die is lost, or its agent fails: mpirun says what it sees first.
      let said = run.output.split(separator: "\n").filter { $0.hasPrefix("launch: ") }.map {
        $0.replacing("ended with 255", with: "ended with 205")
      }
      #expect(
        said == [
          "launch: ended with 205; restart 1 of 2", "launch: no answer from node3", "launch: 2 ranks on node1 node2",
          "launch: ended with 205; restart 2 of 2", "launch: 3 ranks on node1 node2 node3",
        ])
      #expect(try workspace.weights("hosts", step: 100) == workspace.weights("alone", step: 100))
      #expect(try workspace.steps("hosts") == Array(1...100))
    }

    @Test func hostsAreCheckedBeforeARun() async throws {
      let workspace = try workspace()
      try await Hosts.with(3) { hosts in
        let well = try await hosts.launch(workspace, ["hosts-check", "hosts"])
        #expect(well.code == 0 && well.output == "node1: ok\nnode2: ok\nnode3: ok\ntogether: ok\n", "\(well.output)")

        try await hosts.network("cut", "node2")
        try await hosts.network("hide", "node3", workspace.path)
        try workspace.write("node1 slots=99999\nnode2\nnode3\n", "hosts")
        let ill = try await hosts.launch(workspace, ["hosts-check", "hosts"])
        #expect(ill.code == 2)
        let lines = ill.output.split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("node1: needs 99999 cores, has ") })
        #expect(lines.contains("node2: no answer: netns: node2: no route to host"))
        #expect(lines.contains("node3: no worker at \(workspace(".build/release/flower-worker"))"))
        #expect(lines.contains("node3: does not see the files of \(workspace.path) here"))
        #expect(try Directory.names(in: workspace.path).allSatisfy { !$0.hasPrefix(".hosts-check") })
      }
    }
  }
}
