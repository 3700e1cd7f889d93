import FlowerDist
import Foundation

/// The process that reads hostile inputs. It says which one it is at before it reads it, and may die of it.
struct FuzzWorker {
  var target: FuzzTarget
  var seed: UInt64
  /// Where the inputs and the report are written.
  var scratch: String
  /// Where the inputs of findings stay.
  var keep: String

  /// What the reader may take for an input.
  enum Limit {
    /// Processor time of an input of so many bytes, measured; a process that takes three times as long is ended.
    static func seconds(_ bytes: Int) -> Double { 1 + Double(bytes) * 200e-9 }
    /// Resident memory above that at the start, in bytes, for an input of so many: 64 times as many for small ones,
    /// twice as many for large ones, and something for all.
    static func memory(_ bytes: Int) -> Int { 32 << 20 + min(64 * bytes, 448 << 20) + 2 * bytes }
    /// Not all freed memory goes back to the system. A process ends that keeps more than this, in bytes.
    static let keptMemory = 16 << 20
    /// Address space of the process, so that a reservation without end fails here and not in a machine with less memory.
    static let addressSpace: UInt = 16 << 30
    /// Characters of a message beside the names of files.
    static let message = 2000
    /// Lines of a message that lists problems.
    static let problems = 101
  }

  struct Summary: Codable {
    var cases = 0
    var accepted = 0
    /// A fingerprint of all inputs: the sum of those of each.
    var digest: UInt64 = 0
    /// The most that one input took, and which one took the longest.
    var slowest = 0.0
    var slowestCase = 0
    var memory = 0

    static func + (a: Self, b: Self) -> Self {
      Self(
        cases: a.cases + b.cases, accepted: a.accepted + b.accepted, digest: a.digest &+ b.digest,
        slowest: max(a.slowest, b.slowest), slowestCase: a.slowest >= b.slowest ? a.slowestCase : b.slowestCase,
        memory: max(a.memory, b.memory))
    }
  }

  /// What a process says that came to its end.
  struct Report: Codable {
    var summary = Summary()
    /// What is wrong with the last input; without that, it was the last one, or the process kept too much memory.
    var problem: String?
  }

  var input: String { "\(scratch)/input" }
  static let reportFile = "report.json"

  /// Reads the cases one by one, up to the first finding or until it keeps much memory; another process goes on.
  /// `progress` shows the current one to the process that started this one.
  func run(_ cases: Range<Int>, progress: FuzzProgress) throws {
    limitResources()
    var report = Report()
    // Once through every seed, so that what is allocated once does not count.
    for seed in target.seeds {
      try write(seed)
      try? target.read(input)
    }
    let before = try Self.residentMemory("VmRSS")
    for number in cases {
      progress.begin(number)
      let input = target.input(seed: seed, number: number)
      try write(input)
      let attempt = try attempt(byteCount: input.byteCount, before: before)
      let one = Summary(
        cases: 1, accepted: attempt.refusal == nil ? 1 : 0, digest: input.digest, slowest: attempt.seconds,
        slowestCase: number, memory: attempt.memory)
      report.summary = report.summary + one
      report.problem = problem(attempt, isSeed: number < target.seeds.count, byteCount: input.byteCount)
      if report.problem != nil {
        try keep(number)
        break
      }
      if try Self.residentMemory("VmRSS") - before > Limit.keptMemory { break }
    }
    try JSONEncoder().encode(report).write(to: URL(filePath: "\(scratch)/\(Self.reportFile)"))
  }

  /// How the reading of an input went.
  private struct Attempt {
    var refusal: (any Error)?
    var seconds: Double
    /// Bytes above those at the start.
    var memory: Int
  }

  private func attempt(byteCount: Int, before: Int) throws -> Attempt {
    try Data("5".utf8).write(to: URL(filePath: "/proc/self/clear_refs"))
    var timer = itimerval()
    timer.it_value.tv_sec = Int(3 * Limit.seconds(byteCount))
    setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
    let start = Self.processorSeconds()
    var refusal: (any Error)?
    do { try target.read(input) } catch { refusal = error }
    let seconds = Self.processorSeconds() - start
    return Attempt(refusal: refusal, seconds: seconds, memory: try Self.residentMemory("VmHWM") - before)
  }

  /// What is wrong with a reading, if something is.
  private func problem(_ attempt: Attempt, isSeed: Bool, byteCount: Int) -> String? {
    if attempt.seconds > Limit.seconds(byteCount) { return "took \(attempt.seconds) s" }
    if attempt.memory > Limit.memory(byteCount) {
      return "took \(attempt.memory) bytes of memory for \(byteCount)"
    }
    guard let refusal = attempt.refusal else { return nil }
    if isSeed { return "a good input is refused: \(refusal)" }
    guard let error = refusal as? FlowerError else { return "threw something else than a FlowerError: \(refusal)" }
    guard target.listsProblems else { return fault(of: error.description) }
    let lines = error.description.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.count > Limit.problems { return "a message of \(lines.count) lines" }
    return lines.lazy.compactMap { fault(of: String($0)) }.first
  }

  /// What is wrong with a message.
  private func fault(of text: String) -> String? {
    if !text.contains("\(input)/") { return "a message that names no file: \(text)" }
    let length = text.replacing(input, with: "").unicodeScalars.count
    if length > Limit.message { return "a message of \(length) characters: \(text.prefix(200))" }
    if text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
      return "a message with control characters: \(text.debugDescription)"
    }
    return nil
  }

  /// Writes an input in the place of the one before.
  private func write(_ content: FuzzInput) throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: input) {
      try FileManager.default.removeItem(atPath: "\(input)/\(name)")
    }
    try content.write(to: input)
  }

  /// Copies the input that is there.
  func keep(_ number: Int) throws {
    let directory = "\(keep)/\(target.name)-\(seed)-\(number)"
    try FileManager.default.createDirectory(atPath: keep, withIntermediateDirectories: true)
    try? FileManager.default.removeItem(atPath: directory)
    try FileManager.default.copyItem(atPath: input, toPath: directory)
  }

  private func limitResources() {
    var limit = rlimit(rlim_cur: Limit.addressSpace, rlim_max: Limit.addressSpace)
    setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
    limit = rlimit(rlim_cur: 0, rlim_max: 0)
    setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
  }

  private static func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// A line of /proc/self/status, in bytes: `VmRSS` now, or `VmHWM`, the highest since it was cleared.
  private static func residentMemory(_ key: String) throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(key) }),
      let kibibytes = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) })
    else { return 0 }
    return kibibytes << 10
  }
}
