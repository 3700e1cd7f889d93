/// The directory of a run as rank zero keeps it: recipe, environment, metrics, logs. See docs/formats.md.
final class RunDirectory {
  let path: String
  let attempt: Attempt
  private let metrics: MetricsFile

  static func path(_ recipe: Recipe) -> String { "\(recipe.runs)/\(recipe.name)" }

  /// Refuses a run that exists, before work is done for a new one. What a start leaves that is killed before its run is
  /// there is none.
  static func checkNew(_ recipe: Recipe) throws {
    let path = path(recipe)
    guard Directory.isDirectory(path + "/"), try Directory.names(in: path).contains(where: { !$0.hasPrefix(".") }) else {
      return
    }
    throw FlowerError(
      .usage, "\(path): this run exists. Continue it with --resume latest, or start another with --name NAME")
  }

  /// Refuses to mix two runs under one name: what goes on must be the run that is there, if one is.
  static func checkSame(_ recipe: Recipe) throws {
    let file = "\(path(recipe))/config.yaml"
    guard File.exists(file) else { return }
    let begun = RunCourse(try Recipe.read(path: file), data: "")
    let differences = RunCourse(recipe, data: "").differences(from: begun)
    guard differences.isEmpty else {
      throw FlowerError(
        .usage,
        "\(path(recipe)): this run was begun with \(differences.joined(separator: ", ")); go on under another name with"
          + " --name NAME")
    }
  }

  /// A new run; one that exists is refused. Where it cannot be made, nothing of it is left.
  init(creating recipe: Recipe, environment: JSON) throws {
    try Self.checkNew(recipe)
    path = Self.path(recipe)
    do {
      attempt = try Attempt(run: path, checkpoint: nil)
      try Self.describe(recipe, environment, in: path)
      metrics = try MetricsFile(path: "\(path)/metrics.jsonl")
      attempt.isCounted = true
    } catch {
      try? Directory.remove(path)
      throw error
    }
  }

  /// A run that goes on after `step`: later lines of metrics.jsonl move to the attempt's log. At step 0 it begins anew,
  /// whether or not it had begun before.
  init(resuming recipe: Recipe, step: Int, attempt: Attempt, environment: JSON) throws {
    path = Self.path(recipe)
    self.attempt = attempt
    let log = attempt.directory
    try Self.cutMetrics("\(path)/metrics.jsonl", after: step, to: "\(log)/metrics-cut.jsonl")
    if attempt.number > 1 { try Self.describe(recipe, environment, in: log) }
    if step == 0 || !File.exists("\(path)/config.yaml") { try Self.describe(recipe, environment, in: path) }
    metrics = try MetricsFile(path: "\(path)/metrics.jsonl")
    attempt.isCounted = true
  }

  private static func describe(_ recipe: Recipe, _ environment: JSON, in directory: String) throws {
    try AtomicFile.write(recipe.yaml, to: "\(directory)/config.yaml")
    try AtomicFile.write(environment.serialized(pretty: true) + [0x0A], to: "\(directory)/environment.json")
  }

  private static func cutMetrics(_ path: String, after step: Int, to cutPath: String) throws {
    guard File.exists(path) else { return }
    var kept: [UInt8] = []
    var cut: [UInt8] = []
    for line in try File.contents(of: path).split(separator: 0x0A) {
      // The last line may be half of one.
      let lineStep = (try? JSON(parsing: Array(line), file: path))?["step"]?.int
      if let lineStep, lineStep <= step { kept += line + [0x0A] } else { cut += line + [0x0A] }
    }
    if cut.isEmpty { return }
    // First where they go: lines that are in both files when the program is killed here will be cut again.
    try AtomicFile.write(cut, to: cutPath)
    try AtomicFile.write(kept, to: path)
  }

  /// Appends a line to metrics.jsonl.
  /// - Returns: what is to be said about it: the first time that it cannot be written, and when it can be again. The
  ///   line then waits for the next one.
  func log(_ json: JSON) -> String? {
    let wasBehind = metrics.isBehind
    do {
      try metrics.append(json.serialized() + [0x0A])
      return wasBehind ? "metrics.jsonl can be written again, and no line is missing" : nil
    } catch {
      return wasBehind ? nil : "warning: \(error); going on, its lines are kept in memory"
    }
  }

  /// Appends a line to the attempt's times of the ranks. They are for looking at: what cannot be written is lost.
  func logTimes(_ json: JSON) {
    if let file = try? File(appending: "\(attempt.directory)/times.jsonl") { try? file.write(json.serialized() + [0x0A]) }
  }

  /// - Throws: `FlowerError` of kind `cannotWrite` if lines still wait and cannot be written.
  func finishLog() throws { if metrics.isBehind { try metrics.append() } }
}
