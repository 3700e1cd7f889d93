/// Saves the checkpoints of a run, by default while it goes on: every rank copies its part in memory, a thread of each
/// writes the copy, then one of rank zero completes the checkpoint. What the ranks tell each other about it, they tell
/// between two steps.
final class CheckpointSaver {
  /// A checkpoint that is not complete yet.
  private struct Pending {
    var state: TrainerState
    /// This rank's part of what is being done now; its result is what is to be said.
    var work: BackgroundWork<[String]>
    /// Whether all files are written, and rank zero completes it.
    var isCompleting = false
  }

  let store: CheckpointStore
  private let recipe: Recipe.Checkpoint
  private let setup: RunSetup
  private let communicator: any Communicator
  /// Steps whose checkpoints are whole, but nothing came of beginning from them.
  private let distrusted: Set<Int>
  private let note: (String) -> Void
  private let clock = ContinuousClock()
  private var pending: Pending?
  private(set) var lastSaved: Int
  /// Checkpoints saved, and for how many seconds the training stood still for them.
  private(set) var count = 0
  private(set) var secondsWaited = 0.0

  /// - Parameter note: takes what a user is to be told, on rank zero.
  init(
    _ setup: RunSetup, _ store: CheckpointStore, lastSaved: Int, distrusted: Set<Int>, _ communicator: any Communicator,
    note: @escaping (String) -> Void
  ) {
    recipe = setup.recipe.checkpoint
    (self.setup, self.store, self.lastSaved, self.distrusted) = (setup, store, lastSaved, distrusted)
    (self.communicator, self.note) = (communicator, note)
  }

  /// Whether a thread of this rank still works.
  var isWorking: Bool { pending.map { !$0.work.isDone } ?? false }

  /// Saves the trainer's step, unless it is saved already; if in the background, it is complete only after later calls of
  /// ``goOn()`` or ``finish()``. Collective.
  ///
  /// - Throws: `FlowerError` of kind `cannotWrite`, the same on every rank; the checkpoints are as they were then.
  func save(_ trainer: Trainer, _ state: TrainerState) throws {
    if lastSaved == state.step || pending?.state.step == state.step { return }
    try measure {
      do { try finishPending() } catch let error as FlowerError where error.kind == .cannotWrite { warn(error) }
      try keepingOthers {
        let directory = try communicator.fromRoot {
          Array((try store.begin(step: state.step, replacing: distrusted.contains(state.step)) ?? "").utf8)
        }
        if directory.isEmpty { return close(state) }
        let write = writer(trainer, state, String(decoding: directory, as: UTF8.self))
        pending = Pending(state: state, work: BackgroundWork(write))
      }
      if !recipe.background { try finishPending() }
    }
  }

  /// The same, except that a checkpoint that cannot be written is only said: a run is worth more than one of them.
  func saveOrGoOn(_ trainer: Trainer, _ state: TrainerState) throws {
    do { try save(trainer, state) } catch let error as FlowerError where error.kind == .cannotWrite { warn(error) }
  }

  /// Takes the next step of a save in which no thread of any rank works any more. Collective.
  func goOn() throws {
    if pending == nil { return }
    try measure {
      do { try advance() } catch let error as FlowerError where error.kind == .cannotWrite { warn(error) }
    }
  }

  /// Waits until what is being saved is saved. Collective.
  ///
  /// - Throws: as ``save(_:_:)``.
  func finish() throws { try measure { try finishPending() } }

  private func finishPending() throws {
    while let work = pending?.work {
      _ = work.wait()
      try advance()
    }
  }

  private func advance() throws {
    guard let current = pending else { return }
    pending = nil
    try keepingOthers {
      for line in try communicator.together({ try current.work.wait().get() }) { note(line) }
      if current.isCompleting { return close(current.state) }
      let work = communicator.isRoot ? BackgroundWork(completion(current.state)) : BackgroundWork(done: [])
      pending = Pending(state: current.state, work: work, isCompleting: true)
    }
  }

  private func close(_ state: TrainerState) {
    lastSaved = state.step
    count += 1
  }

  private func warn(_ error: FlowerError) {
    note("warning: a step is not saved: \(error); going on, the earlier checkpoints are whole")
  }

  private func measure<Value>(_ body: () throws -> Value) rethrows -> Value {
    let start = clock.now
    defer { secondsWaited += (clock.now - start).seconds }
    return try body()
  }

  /// Where `body` fails, all ranks throw together, so none is still writing.
  private func keepingOthers(_ body: () throws -> Void) throws {
    do { try body() } catch {
      var error = error as? FlowerError ?? FlowerError(.data, "\(error)")
      if communicator.isRoot { try? store.removeLeftovers() }
      // What was written may also fail to be read back.
      error.kind = .cannotWrite
      throw error
    }
  }

  /// Writes this rank's files of a checkpoint: the optimizer's shard, and on rank zero the model.
  private func writer(_ trainer: Trainer, _ state: TrainerState, _ directory: String) -> () throws -> [String] {
    let (roles, isRoot) = (trainer.roles, communicator.isRoot)
    let list = setup.transformer.trainable.list
    let shards = recipe.background ? trainer.optimizer.shards.map { $0.copy() } : trainer.optimizer.shards
    let (replay, written) = (setup.recipe.replays ? trainer.replay : nil, trainer.written)
    let positions = setup.maximumPositions
    let model = isRoot ? setup.modelDirectory(recipe.background ? setup.transformer.copy() : setup.transformer) : nil
    return {
      if roles.isLearner {
        try OptimizerShards.write(shards, list, rank: roles.rank, of: roles.learners, directory: directory)
      }
      if let model {
        try model.write(to: directory, maximumPositions: positions)
        try state.write(directory: directory)
        if let written { try WrittenTitlesFile.write(written, directory: directory) }
        if let replay { try ReplayFile.write(replay, directory: directory) }
      }
      return []
    }
  }

  /// Gives the checkpoint its name and tidies up.
  private func completion(_ state: TrainerState) -> () throws -> [String] {
    let (store, ranks) = (store, state.ranks)
    let tidy = tidying(state)
    return {
      try store.commit(
        step: state.step, required: (0..<ranks).map { OptimizerShards.fileName(rank: $0, of: ranks) })
      return tidy()
    }
  }

  /// Marks the best checkpoint and deletes those that need not stay. What fails here is done after the next save.
  private func tidying(_ state: TrainerState) -> () -> [String] {
    let (store, recipe, distrusted) = (store, recipe, distrusted)
    return {
      do {
        if recipe.keepBest, let best = state.bestStep, try store.steps().contains(best) {
          try store.markBest(step: best)
        }
        try store.prune(
          keep: recipe.keep, protecting: [state.step] + (state.bestStep.map { [$0] } ?? []), distrusting: distrusted)
        return []
      } catch { return ["warning: the earlier checkpoints are not tidied up: \(error)"] }
    }
  }

  /// A run may have been killed between saving its best step and marking it.
  func tidy(_ state: TrainerState) {
    if communicator.isRoot { tidying(state)().forEach(note) }
  }
}
