/// One start of a run and what it began from: `logs/attempt-N/`.
///
/// While it has not finished a step its record is `starting.json`, afterwards `started.json`: renaming needs no room on
/// the disk. So the next attempts know which checkpoints nothing came of. For rank zero.
final class Attempt {
  private static let starting = "starting.json"
  private static let started = "started.json"
  /// Attempts that may fail before a checkpoint is passed over.
  static let patience = 2

  /// From 1.
  let number: Int
  let directory: String
  private var isPending = true
  /// Whether the record stays when this value goes: it goes when the program refuses to start, which says nothing about
  /// the checkpoint. A program that is killed leaves it behind.
  var isCounted = false

  /// - Parameter checkpoint: what it begins from; `nil` for the first step.
  init(run: String, checkpoint: String?) throws {
    number = Self.count(run) + 1
    directory = Self.directory(run, number)
    try Directory.create(directory)
    let json: JSON = [
      "checkpoint": checkpoint.map { JSON($0) } ?? .null,
      "manifest_sha256": try checkpoint.map { JSON(try Self.digest($0)) } ?? .null,
    ]
    try AtomicFile.write(json.serialized(pretty: true) + [0x0A], to: "\(directory)/\(Self.starting)")
  }

  deinit { if !isCounted { try? Directory.remove(directory) } }

  /// Notes that something came of it: a step, or the end of a run that has no more steps to do.
  ///
  /// Where that cannot be noted, this attempt counts as a failed one.
  func succeed() {
    if isPending { try? Directory.rename("\(directory)/\(Self.starting)", to: "\(directory)/\(Self.started)") }
    isPending = false
  }

  /// How many of the last attempts to begin from this checkpoint ended without finishing a step, in a row.
  ///
  /// The manifest says which checkpoint it was, so one that is saved again is another.
  static func failures(of checkpoint: String, run: String) throws -> Int {
    let digest = try digest(checkpoint)
    var failures = 0
    for number in 0..<count(run) {
      func isOf(_ name: String) -> Bool {
        let path = "\(directory(run, number + 1))/\(name)"
        // Nobody but us writes it; what cannot be read tells nothing.
        return (try? JSON(contentsOf: path))?["manifest_sha256"]?.string == digest
      }
      if isOf(started) { failures = 0 } else if isOf(starting) { failures += 1 }
    }
    return failures
  }

  private static func directory(_ run: String, _ number: Int) -> String { "\(run)/logs/attempt-\(number)" }

  private static func count(_ run: String) -> Int {
    var count = 0
    while Directory.isDirectory(directory(run, count + 1)) { count += 1 }
    return count
  }

  private static func digest(_ checkpoint: String) throws -> String {
    try SHA256.hex(ofFile: "\(checkpoint)/\(CheckpointManifest.fileName)")
  }
}
