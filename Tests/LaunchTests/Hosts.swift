import Foundation
import Subprocess

@testable import FlowerDist

/// Hosts made by `Tests/Hosts/netns`, called node1, node2, …: network namespaces of this machine with addresses and
/// names of their own.
struct Hosts {
  private static let tool = Workspace.root + "/Tests/Hosts/netns"

  private let name = "test" + String(UInt32.random(in: 0...0xFFFF), radix: 16)

  /// Whether this process may make some.
  static func possible() async -> Bool {
    guard getuid() == 0 else { return false }
    let hosts = Hosts()
    let made = (try? await hosts.network("up", "1")) != nil
    try? await hosts.down()
    return made
  }

  /// Runs `body` with some hosts, and removes them whatever happens.
  static func with<T>(_ count: Int, body: (Hosts) async throws -> T) async throws -> T {
    let hosts = Hosts()
    do {
      try await hosts.network("up", String(count))
      let result = try await body(hosts)
      try await hosts.down()
      return result
    } catch {
      try? await hosts.down()
      throw error
    }
  }

  struct Failed: Error, CustomStringConvertible {
    let description: String
  }

  /// A command of the tool: `cut`, `mend`, `kill`, …
  func network(_ arguments: String...) async throws {
    let result = try await run(arguments)
    guard result.code == 0 else { throw Failed(description: "netns \(arguments): \(result.output)") }
  }

  private func down() async throws { try await network("down") }

  /// `launch` on node1, in a copy whose worker is the one that was built, so that nothing builds it again.
  ///
  /// - Returns: its exit code, and what it and the ranks have written.
  func launch(
    _ workspace: Workspace, _ arguments: [String], meanwhile: () async throws -> Void = {}
  ) async throws -> (code: Int32, output: String) {
    if !File.exists(workspace("launch")) {
      let files = FileManager.default
      for name in [".build/release", "Sources", "recipes"] { try Directory.create(workspace(name)) }
      for name in ["launch", "recipes/tiny.yaml"] {
        try files.copyItem(atPath: "\(Workspace.root)/\(name)", toPath: workspace(name))
      }
      try files.createSymbolicLink(
        atPath: workspace(".build/release/flower-worker"), withDestinationPath: Workspace.program)
      for name in ["Package.swift", ".build/launch-stamp"] { try workspace.write("", name) }
    }
    return try await run(
      ["on", "node1", workspace("launch")] + arguments, workingDirectory: workspace.path, meanwhile: meanwhile)
  }

  private func run(
    _ arguments: [String], workingDirectory: String? = nil, meanwhile: () async throws -> Void = {}
  ) async throws -> (code: Int32, output: String) {
    // Ranks share two cores here and must not wait at full speed; mpirun must not outlive a test that went wrong.
    let environment: [Subprocess.Environment.Key: String?] = [
      "FLOWER_HOSTS": name, "OMPI_MCA_mpi_yield_when_idle": "1", "MPIEXEC_TIMEOUT": "120", "SLURM_JOB_ID": nil,
      "PBS_JOBID": nil, "LSB_JOBID": nil,
    ]
    let result = try await Subprocess.run(
      .path(.init(Self.tool)), arguments: Arguments(arguments), environment: .inherit.updating(environment),
      workingDirectory: workingDirectory.map { .init($0) }, input: .none, output: .string(limit: 1 << 20),
      error: .combinedWithOutput
    ) { _ in try await meanwhile() }
    let code: Int32 = if case .exited(let code) = result.terminationStatus { code } else { -1 }
    return (code, result.standardOutput)
  }
}
