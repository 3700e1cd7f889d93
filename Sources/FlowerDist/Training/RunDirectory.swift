import Foundation

/// The directory of a run as rank zero keeps it: recipe, environment, metrics, logs. See docs/formats.md.
final class RunDirectory {
  let path: String
  private let metrics: File
  /// Counts the starts of this run, from 1.
  let attempt: Int

  static func path(_ recipe: Recipe) -> String { "\(recipe.runs)/\(recipe.name)" }

  /// A new run; one that exists is refused.
  init(creating recipe: Recipe, environment: JSON) throws {
    path = Self.path(recipe)
    if File.exists("\(path)/config.yaml") {
      throw FlowerError(
        .usage, "\(path): this run exists. Continue it with --resume latest, or start another with --name NAME")
    }
    attempt = 1
    try Directory.create("\(path)/logs/attempt-1")
    try AtomicFile.write(Array(recipe.yaml.utf8), to: "\(path)/config.yaml")
    try AtomicFile.write(environment.serialized(pretty: true), to: "\(path)/environment.json")
    try AtomicFile.write([], to: "\(path)/metrics.jsonl")
    metrics = try File(appending: "\(path)/metrics.jsonl")
  }

  /// A run that goes on after `step`: later lines of metrics.jsonl move to the attempt's log.
  init(resuming recipe: Recipe, step: Int, environment: JSON) throws {
    path = Self.path(recipe)
    var attempt = 1
    while File.exists("\(path)/logs/attempt-\(attempt)") { attempt += 1 }
    self.attempt = attempt
    let log = "\(path)/logs/attempt-\(attempt)"
    try Directory.create(log)
    let file = "\(path)/metrics.jsonl"
    let lines = File.exists(file) ? try File.contents(of: file).split(separator: UInt8(ascii: "\n")) : []
    var kept: [UInt8] = []
    var cut: [UInt8] = []
    for line in lines {
      // The last line may be half of one.
      let of = (try? JSON(parsing: Array(line), file: file))?["step"]?.int
      if let of, of <= step { kept += line + [0x0A] } else { cut += line + [0x0A] }
    }
    if !cut.isEmpty { try AtomicFile.write(cut, to: "\(log)/metrics-cut.jsonl") }
    try AtomicFile.write(kept, to: file)
    try AtomicFile.write(environment.serialized(pretty: true), to: "\(log)/environment.json")
    try AtomicFile.write(Array(recipe.yaml.utf8), to: "\(log)/config.yaml")
    metrics = try File(appending: file)
  }

  /// Appends a line to metrics.jsonl.
  func log(_ json: JSON) throws { try metrics.write(json.serialized() + [0x0A]) }
}
