import FlowerDist
import Foundation

/// The process that reads hostile inputs. It says which one it is at before it reads it, and may die of it.
struct FuzzWorker {
  var target: FuzzTarget
  var seed: UInt64
  /// Where the inputs are written and the findings noted.
  var scratch: String

  /// What the reader may take for an input.
  enum Limit {
    /// Processor time of one input, measured; a process that takes ten times as long is ended.
    static let seconds = 1.0
    /// Resident memory above that at the start: so many bytes, and so many for each byte of the input.
    static let memory = 64 << 20
    static let memoryPerByte = 64
    /// Address space of the process, so that a reservation without end fails here and not in a machine with less memory.
    static let addressSpace: UInt = 16 << 30
    /// Characters of a message beside the names of files.
    static let message = 1000
  }

  struct Summary: Codable {
    var cases = 0
    var accepted = 0
    /// A fingerprint of all inputs (FNV-1a).
    var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    var seconds = 0.0
  }

  var input: String { "\(scratch)/input" }
  static let findingsFile = "findings"
  static let summaryFile = "summary.json"

  /// Reads the cases one by one. `progress` shows which one, to the process that started this one.
  func run(_ cases: Range<Int>, progress: FuzzProgress) throws {
    limitResources()
    let findings = try FileHandle(forWritingTo: URL(filePath: "\(scratch)/\(Self.findingsFile)"))
    try findings.seekToEnd()
    var summary = Summary()
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
      for byte in input.files.lazy.flatMap(\.bytes) {
        summary.digest = (summary.digest ^ UInt64(byte)) &* 0x100_0000_01B3
      }
      let (problem, accepted, seconds) = try attempt(input, before: before)
      summary.cases += 1
      summary.accepted += accepted ? 1 : 0
      summary.seconds += seconds
      if let problem { try findings.write(contentsOf: Data("\(number) \(problem)\n".utf8)) }
    }
    try JSONEncoder().encode(summary).write(to: URL(filePath: "\(scratch)/\(Self.summaryFile)"))
  }

  /// Reads what was written and judges how that went.
  private func attempt(
    _ content: FuzzInput, before: Int
  ) throws -> (problem: String?, accepted: Bool, seconds: Double) {
    try Data("5".utf8).write(to: URL(filePath: "/proc/self/clear_refs"))
    var timer = itimerval()
    timer.it_value.tv_sec = Int(10 * Limit.seconds)
    setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
    let start = Self.processorSeconds()
    var problem: String?
    var accepted = false
    do {
      try target.read(input)
      accepted = true
    } catch let error as FlowerError {
      problem = Self.fault(of: error, in: input)
    } catch {
      problem = "threw something else than a FlowerError: \(error)"
    }
    let seconds = Self.processorSeconds() - start
    if seconds > Limit.seconds { problem = "took \(seconds) s" }
    let memory = try Self.residentMemory("VmHWM") - before
    if memory > Limit.memory + Limit.memoryPerByte * content.byteCount {
      problem = "took \(memory) bytes for \(content.byteCount)"
    }
    return (problem, accepted, seconds)
  }

  /// What is wrong with a message.
  private static func fault(of error: FlowerError, in directory: String) -> String? {
    let text = error.description
    if !text.contains("\(directory)/") { return "a message that names no file: \(text)" }
    if text.replacing(directory, with: "").count > Limit.message {
      return "a message of \(text.count) characters: \(text.prefix(200))"
    }
    if text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
      return "a message with control characters: \(text.debugDescription)"
    }
    return nil
  }

  /// Writes an input in the place of the one before.
  private func write(_ content: FuzzInput) throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: input) { unlink("\(input)/\(name)") }
    for file in content.files { try Data(file.bytes).write(to: URL(filePath: "\(input)/\(file.name)")) }
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
