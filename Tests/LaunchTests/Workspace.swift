import Foundation
import Subprocess
import Testing

@testable import FlowerDist

/// All tests of the built program, one after the other: they share few cores.
@Suite(.serialized) enum LaunchTests {}

/// A directory of its own for one test, with a recipe in it; runs the built program there.
final class Workspace {
  let path = NSTemporaryDirectory() + "flowerdist-launch-" + UUID().uuidString

  init(_ recipe: String = Workspace.recipe()) throws {
    try Directory.create(path)
    try write(recipe, "tiny.yaml")
  }

  deinit { try? Directory.remove(path) }

  /// Settings that make users of it, who read a few titles each.
  static let histories = [
    "data.generated_examples=200", "prompt.template=\"{history}:\"", "prompt.history_length=3",
  ]

  /// A distribution of a few titles, trained within a second.
  static func recipe(_ more: String = "") -> String {
    """
    model: {hidden_size: 32, layers: 2, heads: 2, kv_heads: 1, intermediate_size: 64}
    data: {generated: 60}
    tokenizer: {kind: bytes}
    prompt: {template: "A title:"}
    trajectories: {count: 4}
    optimizer: {learning_rate: 2e-3, warmup_steps: 5}
    training: {global_batch: 8, grains: 8, steps: 40}
    checkpoint: {every: 10, keep: 10}
    \(more)
    """
  }

  /// The path of a name in the directory.
  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  func write(_ text: String, _ name: String) throws {
    try Directory.create(Directory.parent(of: self(name)))
    try File(writing: self(name)).write(Array(text.utf8))
  }

  // MARK: - Starting the program

  /// What came of it.
  struct Outcome {
    /// The exit codes of the ranks; -1 for one that left none.
    var codes: [Int32]
    /// What mpirun ended with, or the program if it ran alone.
    var code: Int32
    var output: String
    var errors: String
  }

  /// The repository.
  static let root = URL(filePath: #filePath).appending(path: "../../..").standardized.path

  static let program = root + "/.build/release/flower-worker"

  struct Missing: Error, CustomStringConvertible {
    let description: String
  }

  /// How the ranks are started: by a shell that notes their exit codes. A signal to the group leaves it alive.
  private static let noteCode = #"trap : TERM USR1; "$@"; code=$?; echo $code >"$0-$OMPI_COMM_WORLD_RANK"; exit $code"#

  /// Runs `flower-worker` with these arguments on some ranks, 0 being alone, without mpirun.
  ///
  /// - Parameters:
  ///   - last: arguments for the last rank, if it gets others than the rest.
  ///   - lastProgram: what it runs, if that is another program.
  ///   - mpirun: more options.
  ///   - input: what the program reads from its standard input.
  ///   - endsAll: Whether mpirun ends all ranks when one ends with an error, as it does unless told otherwise. If not,
  ///     every rank must find its end by itself.
  ///   - meanwhile: Runs beside the program with the process number of mpirun (or of the program alone).
  func run(
    ranks: Int, _ arguments: [String], last: [String]? = nil, lastProgram: String? = nil, mpirun: [String] = [],
    endsAll: Bool = false, input: String = "",
    environment: [Subprocess.Environment.Key: String?] = [:], meanwhile: (pid_t) async throws -> Void = { _ in }
  ) async throws -> Outcome {
    guard File.exists(Self.program) else {
      throw Missing(
        description: "\(Self.program) is missing: build it with swift build -c release -Xswiftc -enable-testing")
    }
    var variables: [Subprocess.Environment.Key: String?] = ["OPENBLAS_NUM_THREADS": nil, "FLOWER_COLUMNS": nil]
    if getuid() == 0 {
      variables["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
      variables["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    }
    variables.merge(environment) { $1 }
    let codePath = self("code-" + UUID().uuidString)
    func rank(_ arguments: [String], _ program: String = Self.program) -> [String] {
      ["sh", "-c", Self.noteCode, codePath, program] + arguments
    }
    let last = last ?? lastProgram.map { _ in arguments }
    var command = ["env", Self.program] + arguments
    if ranks > 0 {
      var options = ["--timeout", "120", "--oversubscribe", "--bind-to", "none", "--mca", "pml", "ob1"]
      options += ["--mca", "btl", "self,vader"] + mpirun
      if !endsAll { options += ["--mca", "orte_abort_on_non_zero_status", "0"] }
      command = ["mpirun"] + options + ["-n", String(last == nil ? ranks : ranks - 1)] + rank(arguments)
      if let last { command += [":", "-n", "1"] + rank(last, lastProgram ?? Self.program) }
    }
    let result = try await Subprocess.run(
      Configuration(
        executable: .name(command[0]), arguments: Arguments(Array(command.dropFirst())),
        environment: .inherit.updating(variables)),
      input: .string(input), output: .string(limit: 1 << 20), error: .string(limit: 1 << 20)
    ) { execution in try await meanwhile(pid_t(execution.processIdentifier.value)) }
    let code: Int32 =
      switch result.terminationStatus {
      case .exited(let code): code
      case .signaled(let signal): 128 + signal
      }
    let codes = (0..<ranks).map { rank in
      (try? File.contents(of: "\(codePath)-\(rank)")).flatMap { Int32(String(decoding: $0.dropLast(), as: UTF8.self)) }
        ?? -1
    }
    return Outcome(
      codes: ranks == 0 ? [code] : codes, code: code, output: result.standardOutput, errors: result.standardError)
  }

  /// `flower-worker train` of the recipe; `overrides` are given with `--set`.
  func train(
    ranks: Int = 2, name: String = "tiny", _ overrides: [String] = [], more: [String] = [],
    environment: [Subprocess.Environment.Key: String?] = [:]
  ) async throws -> Outcome {
    try await run(
      ranks: ranks, arguments(name: name, overrides) + more, environment: environment)
  }

  func arguments(name: String = "tiny", _ overrides: [String] = []) -> [String] {
    ["train", self("tiny.yaml"), "--name", name] + (["runs=\(self("runs"))"] + overrides).flatMap { ["--set", $0] }
  }

  /// Trains and expects success; returns what was printed.
  @discardableResult
  func succeed(
    ranks: Int = 2, name: String = "tiny", _ overrides: [String] = [], more: [String] = [],
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> String {
    let outcome = try await train(ranks: ranks, name: name, overrides, more: more)
    #expect(outcome.codes.allSatisfy { $0 == 0 }, "\(outcome.errors)", sourceLocation: sourceLocation)
    return outcome.output
  }

  // MARK: - What is there afterwards

  func store(_ name: String = "tiny") -> CheckpointStore { CheckpointStore(runDirectory: self("runs/\(name)")) }

  func checkpoint(_ step: Int, of name: String = "tiny") -> String { store(name).path(step: step) }

  /// SHA-256 of the weights of a checkpoint.
  func weights(_ name: String = "tiny", step: Int = 40) throws -> String {
    try SHA256.hex(ofFile: checkpoint(step, of: name) + "/model.safetensors")
  }

  /// The steps in metrics.jsonl, in order, one per training step.
  func steps(_ name: String = "tiny") throws -> [Int] {
    let lines = try File.contents(of: self("runs/\(name)/metrics.jsonl")).split(separator: 0x0A)
    return try lines.compactMap { line in
      let json = try JSON(parsing: Array(line))
      return json["validation"] == nil ? json["step"]?.int : nil
    }
  }

  /// Names left of saving that did not end.
  func leftovers(_ name: String = "tiny") throws -> [String] {
    try Directory.names(in: store(name).directory).filter { !$0.hasPrefix("step-") || $0.contains(".") }
  }

  /// Waits until something is there.
  func wait(for name: String) async throws {
    for _ in 0..<12_000 {
      if File.exists(self(name)) { return }
      try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("\(name) did not appear within a minute")
  }
}

/// Processes whose parent is `process`, and theirs.
func descendants(of process: pid_t) throws -> [pid_t] {
  var parents: [pid_t: pid_t] = [:]
  for name in try Directory.names(in: "/proc") {
    guard let number = pid_t(name), let status = try? String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8),
      let end = status.lastIndex(of: ")")
    else { continue }
    parents[number] = pid_t(status[end...].split(separator: " ")[2])
  }
  return parents.keys.filter { start in
    var next: pid_t? = start
    while let current = next, current != process { next = parents[current] }
    return next == process && start != process
  }
}
