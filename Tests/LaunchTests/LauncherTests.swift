import Foundation
import Subprocess
import Testing

/// The launcher of this repository, or a copy in a folder of its own with a shell script in the worker's place.
private struct Launcher {
  let path: String

  /// The one beside `Package.swift`; `--print` needs nothing built.
  static let real = Launcher(
    path: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../launch").standardized.path)

  /// Runs `body` with a launcher whose worker is `script`.
  static func withWorker<T>(_ script: String, body: (Launcher) async throws -> T) async throws -> T {
    let files = FileManager.default
    let folder = files.temporaryDirectory.appending(path: "launch-\(UUID().uuidString)")
    defer { try? files.removeItem(at: folder) }
    try files.createDirectory(at: folder.appending(path: ".build/release"), withIntermediateDirectories: true)
    try files.createDirectory(at: folder.appending(path: "Sources"), withIntermediateDirectories: true)
    try files.copyItem(at: URL(filePath: real.path), to: folder.appending(path: "launch"))
    try Data().write(to: folder.appending(path: "Package.swift"))
    let worker = folder.appending(path: ".build/release/flower-worker")
    try Data("#!/bin/bash\n\(script)\n".utf8).write(to: worker)
    try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: worker.path)
    try Data().write(to: folder.appending(path: ".build/launch-stamp"))
    return try await body(Launcher(path: folder.appending(path: "launch").path))
  }

  /// Exit code and what was written. `signal` is sent when so many lines have come out.
  func callAsFunction(
    _ arguments: String..., environment: [String: String] = [:], signal: (Signal, afterLines: Int)? = nil
  ) async throws -> (code: Int32, output: [String], errors: String) {
    // mpirun must not outlive a test that went wrong, and is not in a scheduler's allocation here.
    var variables: [String: String?] = [
      "MPIEXEC_TIMEOUT": "60", "SLURM_JOB_ID": nil, "PBS_JOBID": nil, "LSB_JOBID": nil,
    ]
    variables.merge(environment.mapValues(Optional.some)) { $1 }
    let inherited = Environment.inherit.updating(
      Dictionary(uniqueKeysWithValues: variables.map { (Environment.Key(stringLiteral: $0), $1) }))
    let result = try await run(
      .path(.init(path)), arguments: Arguments(arguments), environment: inherited, input: .none, output: .sequence,
      error: .string(limit: 1 << 20)
    ) { execution in
      var lines: [String] = []
      for try await line in execution.standardOutput.strings() {
        lines.append(line.trimmingCharacters(in: .newlines))
        if let signal, lines.count == signal.afterLines { try execution.send(signal: signal.0) }
      }
      return lines
    }
    let code: Int32 = if case .exited(let code) = result.terminationStatus { code } else { -1 }
    return (code, result.closureResult, result.standardError)
  }
}

@Suite struct PrintTests {
  private let launch = Launcher.real

  @Test func oneProcessNeedsNoMPI() async throws {
    let printed = try await launch("--print", "--threads", "3", "train", "a b.yaml", "--set", "name=x")
    #expect(printed.code == 0)
    let line = try #require(printed.output.first)
    #expect(line.hasPrefix("OPENBLAS_NUM_THREADS=3 OMP_NUM_THREADS=3 /"))
    #expect(line.hasSuffix("/.build/release/flower-worker train a\\ b.yaml --set name=x"))
  }

  @Test func oneRankIsBoundAndStaysOnThisMachine() async throws {
    let line = try await launch("--print", "-n", "1", "train", "x.yaml").output.joined()
    #expect(line.contains("mpirun -n 1 --map-by slot:PE=1 --bind-to core --mca pml ob1 --mca btl self"))
    #expect(line.contains("--mca odls_base_sigkill_timeout 2 -x OPENBLAS_NUM_THREADS -x OMP_NUM_THREADS /"))
    #expect(!line.contains("--oversubscribe") && !line.contains("keepalive"))
  }

  @Test func moreRanksThanCoresAreNotBound() async throws {
    let line = try await launch("--print", "-n", "99999", "train", "x.yaml").output.joined()
    #expect(line.contains("-n 99999 --bind-to none --oversubscribe "))
  }

  @Test func hostsGetKeepalivesAndAnyTransport() async throws {
    let hosts = URL(filePath: launch.path).deletingLastPathComponent().appending(path: "hosts.example").path
    let line = try await launch("--print", "-n", "16", "--hosts", hosts, "--threads", "2", "train", "x").output.joined()
    #expect(line.contains("--hostfile \(hosts) --map-by slot:PE=2 --bind-to core --mca oob_tcp_keepalive_time 5"))
    #expect(!line.contains("btl") && !line.contains("--oversubscribe"))
  }

  @Test func theEnvironmentHasTheLastWord() async throws {
    let line = try await launch(
      "--print", "-n", "2", "train", "x.yaml",
      environment: ["OMPI_MCA_pml": "cm", "OMPI_MCA_hwloc_base_binding_policy": "socket"]
    ).output.joined()
    #expect(!line.contains("--mca pml") && !line.contains("--bind-to"))
    #expect(line.contains("--mca btl self"))
  }

  @Test(arguments: [
    ["-n", "0", "train"], ["-n", "two", "train"], ["-n"], ["--hosts", "no/such/file", "-n", "2", "train"], ["--rank"],
    ["--requeue", "train"], ["--restarts", "2", "audit"], ["-n", "2", "setup"], ["quickstart", "--online"], [],
  ])
  func wrongArguments(arguments: [String]) async throws {
    let result = try await run(
      .path(.init(launch.path)), arguments: Arguments(arguments), input: .none, output: .discarded,
      error: .string(limit: 1 << 16))
    #expect(result.terminationStatus == .exited(2))
    #expect(!result.standardError.isEmpty)
  }
}

/// With commands that only say what Slurm's were asked; `Tests/Hosts/slurm` tries the real ones.
@Suite struct SlurmTests {
  private func inJob(_ worker: String, body: (Launcher, [String: String]) async throws -> Void) async throws {
    let files = FileManager.default
    let folder = files.temporaryDirectory.appending(path: "slurm-\(UUID().uuidString)")
    defer { try? files.removeItem(at: folder) }
    try files.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, script) in [("srun", "echo pmix"), ("scontrol", "echo scontrol $*")] {
      let path = folder.appending(path: name).path
      try Data("#!/bin/bash\n\(script)\n".utf8).write(to: URL(filePath: path))
      try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    try await Launcher.withWorker(worker) {
      try await body($0, ["SLURM_JOB_ID": "7", "PATH": "\(folder.path):\(path)"])
    }
  }

  @Test func slurmStartsTheRanks() async throws {
    try await inJob("") { launch, job in
      let line = try await launch("--print", "-n", "4", "--threads", "2", "train", environment: job).output.joined()
      #expect(line.contains("srun --mpi=pmix --export=ALL --overlap -n 4 --cpus-per-task 2 --kill-on-bad-exit=1 "))
      let other = job.merging(["SLURM_MPI_TYPE": "none"]) { $1 }
      #expect(try await launch("--print", "-n", "4", "train", environment: other).output.joined().contains("mpirun"))
    }
  }

  @Test(arguments: [(Signal.userDefinedOne, ["scontrol requeue 7"]), (.terminate, [])])
  func onlyAJobThatWasAskedToSaveGoesBack(signal: Signal, said: [String]) async throws {
    try await inJob(SupervisionTests.saving) { launch, job in
      let ended = try await launch("--requeue", "train", environment: job, signal: (signal, afterLines: 1))
      #expect(ended.code == 130)
      #expect(ended.output == ["up", "saved"] + said)
    }
  }

  @Test(arguments: [0, 2, 3, 5]) func anEndIsAnEnd(code: Int32) async throws {
    try await inJob("echo up; exit \(code)") { launch, job in
      let ended = try await launch("--requeue", "train", environment: job)
      #expect(ended.code == code)
      #expect(ended.output == ["up"])
    }
  }

  @Test func aJobThatWasPutBackGoesOn() async throws {
    try await inJob("echo $*") { launch, job in
      let again = job.merging(["SLURM_RESTART_COUNT": "1"]) { $1 }
      let ended = try await launch("--requeue", "train", "x", "--resume", "p", environment: again)
      #expect(ended.output == ["train x --resume latest"])
    }
  }
}

@Suite struct SupervisionTests {
  /// Saves when asked to, as ranks do; ends by itself before a test would hang.
  static let saving = "trap 'echo saved; exit 130' USR1; echo up; for ((i = 0; i < 600; i++)); do sleep .1; done"

  @Test(arguments: [Signal.terminate, .interrupt, .terminalClosed, .userDefinedOne])
  func signalsLetTheWorkerSave(signal: Signal) async throws {
    let ended = try await Launcher.withWorker(Self.saving) { try await $0("train", signal: (signal, afterLines: 1)) }
    #expect(ended.code == 130)
    #expect(ended.output == ["up", "saved"])
  }

  @Test func signalsReachEveryRank() async throws {
    let ended = try await Launcher.withWorker(Self.saving) {
      try await $0("-n", "2", "train", signal: (.terminate, afterLines: 2))
    }
    #expect(ended.code == 130)
    #expect(ended.output == ["up", "up", "saved", "saved"])
  }

  @Test(arguments: [0, 2, 3, 4, 6, 130])
  func otherExitCodesArePassedOn(code: Int32) async throws {
    let ended = try await Launcher.withWorker("echo \"$*\"; exit \(code)") {
      try await $0("--restarts", "2", "train", "x")
    }
    #expect(ended.code == code)
    #expect(ended.output == ["train x"])
  }

  @Test(arguments: [137, 205, 5, 7, 139])
  func lostRanksAreStartedAgain(code: Int32) async throws {
    let script = "echo \"$*\"; [[ $* == *latest* ]] || exit \(code)"
    let ended = try await Launcher.withWorker(script) { try await $0("--restarts", "3", "train", "x", "--resume", "p") }
    #expect(ended.code == 0)
    #expect(ended.output == ["train x --resume p", "train x --resume latest"])
  }

  @Test func restartsEnd() async throws {
    let ended = try await Launcher.withWorker("echo up; exit 5") { try await $0("--restarts", "2", "train") }
    #expect(ended.code == 5)
    #expect(ended.output.count == 3)
  }

  @Test func mpirunsExitCodeIsPassedOn() async throws {
    let ended = try await Launcher.withWorker("kill -KILL $$") { try await $0("-n", "2", "train") }
    #expect(ended.code == 137)
  }
}
