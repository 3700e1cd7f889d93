import Foundation

/// What a run directory says about its run; pieces that are not there (yet) are named in `missing`.
public struct RunRecord: Sendable {
  /// What the run is about, as far as its files tell.
  public enum Task: Sendable { case nextItem, distribution, unknown }

  /// The directory's name, or its whole path if another run of the report has the same.
  public var name: String
  public let path: String
  /// The resolved configuration as text.
  public let recipe: String?
  public let environment: JSON?
  public let steps: [StepLine]
  public let validations: [ValidationLine]
  public let evaluation: [EvaluationReport]
  public let audit: AuditReport?
  /// One sentence per missing piece.
  public let missing: [String]

  public var task: Task { !evaluation.isEmpty ? .nextItem : audit != nil ? .distribution : .unknown }
  public var tokens: Int { saturatingSum(\.tokens) }
  public var trajectories: Int { saturatingSum(\.trajectories) }
  /// Training seconds of all attempts.
  public var seconds: Double { steps.last?.seconds ?? 0 }

  /// The file can hold any numbers; a sum that is too large stops at the largest.
  private func saturatingSum(_ count: (StepLine) -> Int) -> Int {
    steps.reduce(0) { sum, line in
      let (next, overflow) = sum.addingReportingOverflow(count(line))
      return overflow ? .max : next
    }
  }

  /// - Throws: `FlowerError` if the directory is no run, or naming the file and place of what is damaged.
  public init(path: String) throws {
    var missing: [String] = []
    func read(_ file: String, limit: Int = 1 << 30, otherwise consequence: String? = nil) throws -> [UInt8]? {
      guard File.exists("\(path)/\(file)") else {
        if let consequence { missing.append("no \(file): \(consequence)") }
        return nil
      }
      return try File.contents(of: "\(path)/\(file)", limit: limit)
    }
    func parse(_ file: String, otherwise consequence: String? = nil) throws -> JSON? {
      try read(file, otherwise: consequence).map { try JSON(parsing: $0, file: "\(path)/\(file)") }
    }

    name = URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent
    self.path = path
    recipe = try read("config.yaml", limit: Recipe.longest, otherwise: "its recipe is not shown")
      .map { String(decoding: $0, as: UTF8.self) }
    environment = try parse("environment.json", otherwise: "its machine is not shown")
    var log = MetricsLog()
    if let bytes = try read("metrics.jsonl", otherwise: "its training is not shown") {
      log = try MetricsLog(bytes: bytes, file: "\(path)/metrics.jsonl")
      if log.endsInsideLine { missing.append("metrics.jsonl ends inside a line, which is left out") }
    }
    steps = log.steps
    validations = log.validations
    let rows = try parse("evaluation.json")
    evaluation = try rows.map { try EvaluationReport.rows(json: $0, file: "\(path)/evaluation.json") } ?? []
    audit = try parse("audit.json").map { try AuditReport(json: $0, file: "\(path)/audit.json") }
    if evaluation.isEmpty && audit == nil {
      missing.append("no evaluation.json and no audit.json: not in the comparison (run `evaluate` or `audit`)")
    }
    if recipe == nil && steps.isEmpty && rows == nil && audit == nil {
      throw FlowerError(
        .data, "\(path): not a run directory: expected config.yaml, metrics.jsonl, evaluation.json or audit.json")
    }
    self.missing = missing
  }
}

/// The lines of `metrics.jsonl`.
struct MetricsLog {
  var steps: [StepLine] = []
  var validations: [ValidationLine] = []
  /// The file ends without a newline, as it does while a run writes to it; the last line is left out.
  var endsInsideLine = false

  init() {}

  /// - Throws: `FlowerError` with the line of what is damaged.
  init(bytes: [UInt8], file: String) throws {
    endsInsideLine = bytes.last.map { $0 != UInt8(ascii: "\n") } ?? false
    var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    lines.removeLast()
    for (index, line) in lines.enumerated() {
      let place = "\(file):\(index + 1)"
      let json = try JSON(parsing: Array(line), file: file, line: index + 1)
      if json["validation"] != nil {
        validations.append(try ValidationLine(json: json, place: place))
      } else {
        steps.append(try StepLine(json: json, place: place))
      }
    }
    for (line, next) in zip(steps, steps.dropFirst()) where next.step <= line.step {
      throw FlowerError(.data, "\(file): step \(next.step) follows step \(line.step), expected rising steps")
    }
  }
}
