/// One start's hold on the directory of its run: no other can write there. For rank zero.
final class RunClaim {
  /// Seconds that a restart waits for the one before it: a rank that has lost the others may still be about to end.
  private static let patience = 20

  private let directory: String
  private let heartbeats: String
  private var lock: DirectoryLock?

  /// - Parameter goesOn: whether the run may be there already.
  /// - Throws: `FlowerError` of kind `usage` if it is there and should not be, or another process works on it.
  init(_ recipe: Recipe, goesOn: Bool) throws {
    directory = RunDirectory.path(recipe)
    heartbeats = Self.heartbeats(recipe)
    if !goesOn { try RunDirectory.checkNew(recipe) }
    try Directory.create(directory)
    lock = try DirectoryLock(directory, patience: goesOn ? Self.patience : 0)
    // The other may have begun it meanwhile.
    if !goesOn { try RunDirectory.checkNew(recipe) }
    if File.exists(heartbeats) { try Directory.remove(heartbeats) }
    try Directory.create(heartbeats)
  }

  /// Where the ranks' heartbeats are, as long as the claim lasts.
  static func heartbeats(_ recipe: Recipe) -> String { "\(RunDirectory.path(recipe))/.watch" }

  deinit {
    try? Directory.remove(heartbeats)
    lock = nil
    // Where nothing has come of the start, nothing stays.
    Directory.removeIfEmpty(directory)
  }
}
