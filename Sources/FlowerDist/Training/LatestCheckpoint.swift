/// What `--resume latest` goes on from: the newest checkpoint that is whole and from which the last attempts did not end
/// before a step was done.
struct LatestCheckpoint {
  /// `nil` where there are no checkpoints: the run begins at step 0.
  let path: String?
  /// What is to be said about the choice.
  private(set) var notes: [String]
  /// Steps of newer checkpoints that are whole, but nothing came of.
  private(set) var passedOver: Set<Int> = []

  /// - Throws: `FlowerError` of kind `data` naming all checkpoints if there are some and none is whole.
  init(_ store: CheckpointStore, run: String) throws {
    var failed: [CheckpointStore.Checkpoint] = []
    let (found, problems) = try store.latest { checkpoint in
      if try Attempt.failures(of: checkpoint.path, run: run) < Attempt.patience { return true }
      failed.append(checkpoint)
      return false
    }
    notes = problems.map { "passed over a damaged checkpoint: \($0.description)" }
    if let found {
      path = found.path
      passedOver = Set(failed.map(\.step))
      notes += failed.map {
        "passed over \($0.path): \(Attempt.patience) attempts in a row to go on from it ended before a step was done"
      }
    } else if let newest = failed.first {
      // The cause lies elsewhere, then.
      path = newest.path
      notes.append("the attempts to go on from any checkpoint ended before a step was done: trying the newest again")
    } else if problems.isEmpty {
      path = nil
      notes.append("no checkpoint in \(store.directory) yet: starting at step 0")
    } else {
      throw FlowerError(
        .data,
        "none of the checkpoints in \(store.directory) is whole; delete them to start at step 0:\n"
          + problems.map(\.description).joined(separator: "\n"))
    }
  }
}
