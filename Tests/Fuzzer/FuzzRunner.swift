import FlowerDist
import Foundation

/// Starts workers and survives them: what kills one is noted, kept, and the next worker goes on behind it.
struct FuzzRunner {
  var seed: UInt64
  /// Where the inputs of findings are kept.
  var keep: String

  /// More findings of one target are not looked for.
  static let findingLimit = 20
  /// Seconds without a new case after which a worker is ended, though it takes no processor time.
  private static let patience = 60.0

  struct Finding {
    var number: Int
    var problem: String
  }

  struct Outcome {
    var summary = FuzzWorker.Summary()
    var findings: [Finding] = []
  }

  /// Reads the cases of one target.
  func run(_ target: FuzzTarget, _ cases: Range<Int>) throws -> Outcome {
    let scratch = Self.scratchRoot + "flower-fuzz-\(UUID().uuidString)"
    let worker = FuzzWorker(target: target, seed: seed, scratch: scratch, keep: keep)
    try FileManager.default.createDirectory(atPath: worker.input, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: scratch) }
    let progress = try FuzzProgress(path: "\(scratch)/progress")

    var outcome = Outcome()
    while outcome.summary.cases < cases.count, outcome.findings.count < Self.findingLimit {
      let next = cases.lowerBound + outcome.summary.cases
      progress.begin(next)
      if let problem = try start(worker, next..<cases.upperBound, progress) {
        let number = progress.current
        try worker.keep(number)
        outcome.summary.cases = number + 1 - cases.lowerBound
        outcome.findings.append(Finding(number: number, problem: problem))
      } else {
        let part = try Data(contentsOf: URL(filePath: "\(scratch)/\(FuzzWorker.reportFile)"))
        let report = try JSONDecoder().decode(FuzzWorker.Report.self, from: part)
        outcome.summary = outcome.summary + report.summary
        if let problem = report.problem {
          outcome.findings.append(Finding(number: next + report.summary.cases - 1, problem: problem))
        }
      }
    }
    return outcome
  }

  /// Memory where there is a file system for it: an input is written and read once.
  private static let scratchRoot =
    FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm/" : NSTemporaryDirectory()

  /// Runs a worker to its end; what it died of, if it did.
  private func start(_ worker: FuzzWorker, _ cases: Range<Int>, _ progress: FuzzProgress) throws -> String? {
    let process = Process()
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = [
      "--worker", worker.scratch, "--target", worker.target.name, "--seed", String(seed),
      "--first", String(cases.lowerBound), "--cases", String(cases.count), "--keep", keep,
    ]
    process.environment = ProcessInfo.processInfo.environment.merging([
      // The backtrace of a trap would fill the screen; the case can be run again to see it.
      "SWIFT_BACKTRACE": "enable=no",
      // Freed memory goes back to the system, so that one input's does not hide the next one's.
      "MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072",
      "OPENBLAS_NUM_THREADS": "1",
    ]) { $1 }
    // What a reader prints is not for who reads the findings.
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    var last = (number: progress.current, since: Date())
    while process.isRunning {
      usleep(20_000)
      if progress.current != last.number { last = (progress.current, Date()) }
      if -last.since.timeIntervalSinceNow > Self.patience {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        return "waited for \(Int(Self.patience)) s"
      }
    }
    process.waitUntilExit()
    switch (process.terminationReason, process.terminationStatus) {
    case (.exit, 0): return nil
    case (.exit, let code): return "ended with exit code \(code)"
    case (_, SIGPROF): return "took more than three times the processor time allowed"
    case (_, let signal): return "died of signal \(signal) (\(String(cString: strsignal(signal))))"
    }
  }
}
