import Glibc

/// The checkpoints of a run: `checkpoints/step-00000200/` and `checkpoints/best`.
///
/// A checkpoint is written under another name (`….partial`), synced, and renamed when its manifest is in it; it is
/// deleted by renaming it first (`….deleting`). So what has its final name is complete, whenever the program is killed.
/// All methods except `latest`, `steps` and `verify` are for rank zero; other ranks write their files into the directory
/// that `begin` returns.
public struct CheckpointStore: Sendable {
  public struct Checkpoint: Equatable, Sendable {
    public var step: Int
    public var path: String
  }

  private static let partial = ".partial"
  private static let deleting = ".deleting"

  /// `checkpoints` in the run's directory.
  public let directory: String
  private var bestLink: String { "\(directory)/best" }

  public init(runDirectory: String) {
    directory = "\(runDirectory)/checkpoints"
  }

  /// Where the checkpoint of a step is, or would be.
  public func path(step: Int) -> String { "\(directory)/\(Self.name(step))" }

  private static func name(_ step: Int) -> String {
    let digits = String(step)
    return "step-" + String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
  }

  private static func step(named name: some StringProtocol) -> Int? {
    guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), step >= 0, self.name(step) == name else {
      return nil
    }
    return step
  }

  // MARK: - Reading

  /// Steps of all checkpoints with a final name, ascending; none if the run has no checkpoints yet.
  public func steps() throws -> [Int] {
    guard File.exists(directory) else { return [] }
    return try Directory.names(in: directory).compactMap { Self.step(named: $0) }.sorted()
  }

  /// Compares every file of a checkpoint with its manifest.
  /// - Throws: `FlowerError` of kind `data` naming the file and what is wrong with it.
  public func verify(step: Int, depth: CheckpointManifest.Depth = .contents) throws {
    let manifest = try CheckpointManifest.verify(directory: path(step: step), depth: depth)
    try manifest.requireStep(step, in: path(step: step))
  }

  /// The newest checkpoint that is whole and that `isUsable` accepts, and what is wrong with the newer ones, newest first.
  public func latest(
    where isUsable: (Checkpoint) throws -> Bool = { _ in true }
  ) throws -> (checkpoint: Checkpoint?, problems: [FlowerError]) {
    var problems: [FlowerError] = []
    for step in try steps().reversed() {
      do {
        try verify(step: step)
      } catch let problem as FlowerError {
        problems.append(problem)
        continue
      }
      let checkpoint = Checkpoint(step: step, path: path(step: step))
      if try isUsable(checkpoint) { return (checkpoint, problems) }
    }
    return (nil, problems)
  }

  /// What `checkpoints/best` points to; `nil` if there is none.
  /// - Throws: `FlowerError` of kind `data` if it is something else than a link to a checkpoint of this run.
  public func best() throws -> Checkpoint? {
    var target = [UInt8](repeating: 0, count: 256)
    let count = target.withUnsafeMutableBytes {
      readlink(bestLink, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    if count < 0 && errno == ENOENT { return nil }
    guard count >= 0 else { throw FlowerError(.data, reason: "cannot read the link \(bestLink)") }
    let name = String(decoding: target[..<count], as: UTF8.self)
    guard let step = Self.step(named: name) else {
      throw FlowerError(.data, "\(bestLink): points to \(name.quoted), expected a checkpoint beside it")
    }
    return Checkpoint(step: step, path: path(step: step))
  }

  // MARK: - Saving

  /// Makes the directory into which all ranks write the files of a checkpoint, with `trainer/` in it, and removes what an
  /// interrupted save or deletion left.
  /// - Parameter replacing: whether the step is saved again even if it is saved already and whole.
  /// - Returns: its path; `nil` if there is nothing to do.
  public func begin(step: Int, replacing: Bool = false) throws -> String? {
    precondition(step >= 0)
    try Directory.create(directory)
    try removeLeftovers()
    if !replacing, (try? verify(step: step)) != nil { return nil }
    let partial = path(step: step) + Self.partial
    try Directory.create(partial + "/trainer")
    return partial
  }

  /// Hashes all files of the checkpoint begun, writes the manifest and gives the directory its final name. An earlier
  /// checkpoint of that step is replaced.
  /// - Parameter required: relative paths of files that must be there. All files are taken without it, but a shared file
  ///   system may list those of other ranks late.
  /// - Throws: `FlowerError`; nothing has the final name then that did not have it before.
  @discardableResult
  public func commit(step: Int, required: [String] = []) throws -> Checkpoint {
    let (partial, final) = (path(step: step) + Self.partial, path(step: step))
    try CheckpointManifest(step: step, describing: partial, required: required).write(directory: partial)
    if File.exists(final) { try Directory.rename(final, to: final + Self.deleting) }
    try Directory.rename(partial, to: final)
    // The checkpoint is there; what cannot be deleted now is deleted by the next save.
    try? removeLeftovers()
    return Checkpoint(step: step, path: final)
  }

  /// Lets `checkpoints/best` point to a checkpoint, atomically.
  public func markBest(step: Int) throws {
    let temporary = bestLink + Self.partial
    unlink(temporary)
    // Relative, so that the run's directory can be moved.
    guard symlink(Self.name(step), temporary) == 0 else {
      throw FlowerError(.cannotWrite, reason: "cannot create the link \(temporary)")
    }
    try Directory.rename(temporary, to: bestLink)
  }

  // MARK: - Deleting

  /// Deletes all checkpoints but the newest `keep`, at least two, that are whole (by manifest and sizes), those newer
  /// than these, those of `protected`, and the best.
  /// - Parameter distrusted: steps that do not count as whole.
  public func prune(keep: Int, protecting protected: [Int] = [], distrusting distrusted: Set<Int> = []) throws {
    var kept = Set(protected)
    if let best = try best() { kept.insert(best.step) }
    var whole = 0
    // One that cannot be renamed keeps no other from going.
    var failure: (any Error)?
    for step in try steps().reversed() {
      if whole < max(keep, 2) {
        if !distrusted.contains(step), (try? verify(step: step, depth: .sizes)) != nil { whole += 1 }
      } else if !kept.contains(step) {
        do { try Directory.rename(path(step: step), to: path(step: step) + Self.deleting) } catch { failure = error }
      }
    }
    try removeLeftovers()
    if let failure { throw failure }
  }

  /// Deletes what an interrupted save or deletion left.
  public func removeLeftovers() throws {
    guard File.exists(directory) else { return }
    for name in try Directory.names(in: directory) where name.hasSuffix(Self.partial) || name.hasSuffix(Self.deleting) {
      try Directory.remove("\(directory)/\(name)")
    }
  }
}
