/// Every file of a checkpoint, of a model directory with a manifest, or of all checkpoints of a run, compared with its
/// manifest.
public struct Verification: Sendable {
  /// One per file, in the manifest's order: what is wrong with it, or that it is whole.
  public private(set) var lines: [String] = []
  private var damaged = 0

  /// - Throws: `FlowerError` of kind `data` if nothing there has a manifest.
  public init(path: String) throws {
    if File.exists("\(path)/\(CheckpointManifest.fileName)") {
      check(path)
    } else {
      let store = CheckpointStore(runDirectory: path)
      for step in try store.steps() { check(store.path(step: step), step: step) }
    }
    if lines.isEmpty {
      throw FlowerError(
        .data,
        "\(path): nothing to verify; expected a directory with a \(CheckpointManifest.fileName), or a run with checkpoints")
    }
  }

  private mutating func check(_ directory: String, step: Int? = nil) {
    note("\(directory)/\(CheckpointManifest.fileName)") {
      let manifest = try CheckpointManifest(directory: directory)
      if let step { try manifest.requireStep(step, in: directory) }
    }
    guard let manifest = try? CheckpointManifest(directory: directory) else { return }
    for entry in manifest.files {
      note("\(directory)/\(entry.path)") { try entry.verify(in: directory, depth: .contents) }
    }
  }

  private mutating func note(_ path: String, _ verify: () throws -> Void) {
    do {
      try verify()
      lines.append("\(path): whole")
    } catch {
      damaged += 1
      lines.append("\(error)")
    }
  }

  /// Of kind `data`, if a file is missing or damaged.
  public var damage: FlowerError? {
    damaged == 0 ? nil : FlowerError(.data, "\(damaged) of \(lines.count) files are missing or damaged")
  }
}
