import ArgumentParser
import FlowerDist
import Foundation

@main
struct FlowerFuzz: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flower-fuzz",
    abstract: "Feeds hostile files to every reader of FlowerDist.",
    discussion: """
      An input is a function of target, seed and number. A finding is a reader that traps, hangs, takes more than a \
      second or too much memory, or throws an error that names no file; its input is kept, and it is shown how to read \
      it again. Exit code 1 if there is one. See docs/fuzzing.md.
      """)

  @Option(
    help: "A reader to attack; may be repeated. Default: all of \(FuzzTarget.all.map(\.name).joined(separator: ", ")).")
  var target: [String] = []

  @Option(help: "Other seeds give other inputs.")
  var seed: UInt64 = 1

  @Option(help: "Inputs per target.")
  var cases = 2000

  @Option(help: "Inputs per target whose inputs are whole runs. (default: as --cases)")
  var slowCases: Int?

  @Option(help: "Go on with the next seeds for so many minutes.")
  var minutes: Double?

  @Option(name: .customLong("case"), help: "Read this one input in this process, and show what comes of it.")
  var number: Int?

  @Option(help: "Where the inputs of findings are kept.")
  var keep = "fuzz-findings"

  @Option(help: .hidden)
  var first = 0

  @Option(help: .hidden)
  var worker: String?

  mutating func run() throws {
    let targets = try selected()
    if let worker {
      let progress = try FuzzProgress(path: "\(worker)/progress")
      return try FuzzWorker(target: targets[0], seed: seed, scratch: worker, keep: keep).run(
        first..<first + cases, progress: progress)
    }
    if let number {
      for target in targets { try show(target, number) }
      return
    }
    let end = minutes.map { Date(timeIntervalSinceNow: $0 * 60) }
    var found = false
    var total = 0
    repeat {
      let runner = FuzzRunner(seed: seed, keep: keep)
      for target in targets {
        let count = target.isSlow ? slowCases ?? cases : cases
        let outcome = try runner.run(target, first..<first + count)
        say(line(target, outcome))
        for finding in outcome.findings {
          found = true
          say("  case \(finding.number): \(finding.problem)")
          say("    again: flower-fuzz --target \(target.name) --seed \(seed) --case \(finding.number)")
        }
        total += outcome.summary.cases
      }
      seed += 1
    } while end.map { $0 > Date() } ?? false
    say("\(total) inputs, \(found ? "with findings, kept in \(keep)/" : "no finding")")
    if found { throw ExitCode(1) }
  }

  /// At once, also into a pipe.
  private func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

  private func selected() throws -> [FuzzTarget] {
    if target.isEmpty { return FuzzTarget.all }
    return try target.map { name in
      guard let found = (FuzzTarget.all + [.large, .planted]).first(where: { $0.name == name }) else {
        throw ValidationError("no target is called \(name)")
      }
      return found
    }
  }

  private func line(_ target: FuzzTarget, _ outcome: FuzzRunner.Outcome) -> String {
    let summary = outcome.summary
    let share = 100 * summary.accepted / max(1, summary.cases)
    let digest = String(summary.digest, radix: 16)
    return "\(target.name): seed \(seed), \(summary.cases) inputs, \(share) % accepted, "
      + "\(outcome.findings.count) findings, digest \(digest); at most "
      + String(
        format: "%.0f ms (case %d) and %.0f MiB", 1000 * summary.slowest, summary.slowestCase,
        Double(summary.memory) / 0x1p20)
  }

  /// Writes one input, reads it here, where a debugger can watch, and says what came of it.
  private func show(_ target: FuzzTarget, _ number: Int) throws {
    let directory = "\(keep)/\(target.name)-\(seed)-\(number)"
    try target.input(seed: seed, number: number).write(to: directory)
    say("\(target.name) reads \(directory)/")
    do {
      try target.read(directory)
      say("accepted")
    } catch { say("refused: \(error)") }
  }
}
