import Foundation

/// A run from its recipe to its last checkpoint: steps, validation, checkpoints, and what a user sees of it.
public final class TrainingLoop {
  /// How a run begins.
  public enum Start: Equatable, Sendable {
    case fresh
    /// From the newest checkpoint that is whole and not known to fail, or from step 0 where there is none at all.
    case latest
    /// From this checkpoint.
    case checkpoint(String)
  }

  private let setup: RunSetup
  private let trainer: Trainer
  private let communicator: any Communicator
  private let store: CheckpointStore
  private let validation: Validation
  /// On rank zero.
  private let run: RunDirectory?
  private var progress: ProgressWriter?
  private var best: (value: Double, step: Int)?
  private var validationsSinceBest = 0
  private var lastSaved = -1
  /// Steps whose checkpoints are whole, but nothing came of beginning from them.
  private let distrusted: Set<Int>

  private var recipe: Recipe { setup.recipe }

  public init(_ recipe: Recipe, start: Start, _ communicator: any Communicator) throws {
    self.communicator = communicator
    store = CheckpointStore(runDirectory: RunDirectory.path(recipe))
    try communicator.agree(Self.facts(recipe) + [("--resume", "\(start)")])
    try Self.checkSharedFiles(recipe, communicator)
    if start == .fresh { try communicator.together { if communicator.isRoot { try RunDirectory.checkNew(recipe) } } }
    let (checkpoint, notes, passedOver) = try Self.checkpoint(store, recipe, start, communicator)
    distrusted = passedOver
    // Before the checkpoint is read, which may be what kills the program.
    let attempt = try communicator.together {
      communicator.isRoot && start == .latest && checkpoint != nil
        ? try Attempt(run: RunDirectory.path(recipe), checkpoint: checkpoint) : nil
    }
    let state = try communicator.together { try checkpoint.map { try TrainerState(directory: $0) } }
    let host = try Self.hostWeights(recipe, communicator)
    let reference = try Self.referenceWeights(recipe, communicator)
    var made = try communicator.together {
      try RunSetup(recipe, checkpoint: checkpoint, host: host, referenceHost: reference)
    }
    // Ranks that read a checkpoint differently are a restart that failed.
    attempt?.isCounted = true
    try communicator.agree(Self.facts(made))
    attempt?.isCounted = false
    if !communicator.isRoot { made.sideFiles = nil }
    setup = made
    let language = LanguageModel(setup.transformer, checkpointing: recipe.training.activationCheckpointing)
    trainer = try Trainer(recipe, setup.catalogue, language, communicator, reference: setup.reference)
    validation = Validation(
      recipe: recipe, catalogue: setup.catalogue, evaluator: Evaluator(setup.catalogue, language),
      worker: trainer.worker, communicator: communicator)
    let trainer = trainer
    let setup = setup
    if let checkpoint, let state {
      try communicator.together { try Self.restore(state, checkpoint, trainer, setup) }
      best = state.best.flatMap { value in state.bestStep.map { (value, $0) } }
      validationsSinceBest = state.validationsSinceBest
      if checkpoint == store.path(step: state.step) {
        lastSaved = state.step
      } else {
        // Another run's checkpoint: its best is not here.
        best = nil
      }
    }
    if StopSignal.isRequested(communicator) {
      throw FlowerError(.interrupted, "stopped by a signal before the first step; nothing was written")
    }
    let environment = Environment(communicator, catalogue: setup.catalogue)
    run = try communicator.together {
      guard communicator.isRoot else { return nil }
      return start == .fresh
        ? try RunDirectory(creating: recipe, environment: environment.json)
        : try RunDirectory(
          resuming: recipe, step: trainer.step,
          attempt: attempt ?? Attempt(run: RunDirectory.path(recipe), checkpoint: checkpoint),
          environment: environment.json)
    }
    // A run may have been killed between saving its best step and marking it.
    if lastSaved >= 0 { tidy() }
    if let run {
      progress = ProgressWriter(totalSteps: trainer.totalSteps, every: recipe.training.logEvery)
      progress?.note(ProgressLine.startTable(RunPlan(setup, trainer, communicator).rows + environment.rows))
      for note in notes + environment.warnings { progress?.note(note) }
      if run.attempt.number > 1 { progress?.note("attempt \(run.attempt.number) goes on after step \(trainer.step)") }
    }
  }

  /// From here on a signal asks for an end after the step, saved; to be called before anything that takes time.
  public static func catchSignals() { StopSignal.install() }

  /// The resolved recipe with what it will need, in words; nothing is written.
  public static func plan(_ recipe: Recipe, _ communicator: any Communicator) throws -> String {
    try communicator.agree(facts(recipe))
    let host = try hostWeights(recipe, communicator)
    let reference = try referenceWeights(recipe, communicator)
    let setup = try communicator.together { try RunSetup(recipe, host: host, referenceHost: reference) }
    let trainer = try Trainer(
      recipe, setup.catalogue, LanguageModel(setup.transformer), communicator, reference: setup.reference)
    let environment = Environment(communicator, catalogue: setup.catalogue)
    let rows = RunPlan(setup, trainer, communicator).rows + environment.rows
    return recipe.yaml + "\n" + ProgressLine.startTable(rows) + environment.warnings.map { "\n" + $0 }.joined()
  }

  /// Trains to the end. Throws `interrupted` after saving when a signal asked to stop.
  public func train() throws {
    defer { progress?.finish() }
    while !trainer.isFinished && !isPatienceOut {
      try show(try step())
      let interrupted = StopSignal.isRequested(communicator)
      let isBest = every(recipe.validation.every) ? try validate() : false
      if interrupted {
        try saveLast()
        throw FlowerError(
          .interrupted, "stopped by a signal after step \(trainer.step), which is saved; --resume latest goes on")
      }
      if every(recipe.checkpoint.every) || isBest && recipe.checkpoint.keepBest { try saveOrGoOn() }
    }
    try saveLast()
    if isPatienceOut { progress?.note("no better validation \(validationsSinceBest) times in a row: stopping") }
    progress?.note("done: \(store.path(step: trainer.step)), weights \(setup.transformer.digest.prefix(16))")
  }

  /// Whether the run ends because it does not get better.
  private var isPatienceOut: Bool {
    recipe.validation.patience > 0 && validationsSinceBest >= recipe.validation.patience
  }

  private func every(_ steps: Int) -> Bool { steps > 0 && trainer.step.isMultiple(of: steps) }

  private func step() throws -> StepLine {
    do { return try trainer.runStep() } catch let divergence as Divergence { throw try leave(divergence) }
  }

  private func show(_ line: StepLine) throws {
    run?.attempt.succeed()
    log(line.json)
    progress?.show(line)
    if line.isSkipped {
      progress?.note(
        "step \(line.step): the \(line.loss.isFinite ? "gradient" : "loss") is not finite; nothing is updated")
    }
  }

  /// Saves the state before the steps that are not finite, which `--resume latest` repeats, and what is known about them.
  private func leave(_ divergence: Divergence) throws -> FlowerError {
    let file = "\(RunDirectory.path(recipe))/\(Divergence.fileName)"
    try communicator.together {
      guard communicator.isRoot else { return }
      try AtomicFile.write(divergence.json.serialized(pretty: true) + [0x0A], to: file)
    }
    var saved = "The state before it is saved: --resume \(store.path(step: trainer.step)) shows it again"
    do { try save() } catch let error as FlowerError { saved = "The state before it is not saved: \(error.description)" }
    return FlowerError(
      .diverged,
      "\(divergence.message) (\(file)). \(saved). Lower optimizer.learning_rate or set optimizer.clip_norm")
  }

  private func log(_ json: JSON) {
    if let notice = run?.log(json) { progress?.note(notice) }
  }

  /// Returns whether this step is the best so far.
  private func validate() throws -> Bool {
    let metrics = try agreed(validation.run())
    log(ValidationLine(step: trainer.step, metrics: metrics).json)
    let metric = metrics[0]
    let better = best.map { metric.better == .higher ? metric.value > $0.value : metric.value < $0.value } ?? true
    progress?.note(
      "step \(trainer.step): validation " + metrics.map { "\($0.name) \($0.text)" }.joined(separator: ", ")
        + (better ? " (best)" : ""))
    validationsSinceBest = better ? 0 : validationsSinceBest + 1
    if better { best = (metric.value, trainer.step) }
    return better
  }

  /// Rank zero's numbers: ranks that judged by numbers of their own might decide differently.
  private func agreed(_ metrics: [Metric]) throws -> [Metric] {
    let values = communicator.sum(metrics.map { communicator.isRoot ? $0.value : 0 })
    guard values.allSatisfy(\.isFinite) else {
      throw FlowerError(.diverged, "step \(trainer.step): the validation's \(metrics[0].name) is not finite")
    }
    return zip(metrics, values).map { Metric($0.name, $1) }
  }

  // MARK: Checkpoints

  /// Saves this step, unless it is saved already. Where that fails, the checkpoints are as they were.
  /// - Throws: `FlowerError` of kind `cannotWrite`, the same on every rank.
  private func save() throws {
    if lastSaved == trainer.step { return }
    do {
      let begun = try communicator.fromRoot {
        let replacing = distrusted.contains(trainer.step)
        return Array((try store.begin(step: trainer.step, replacing: replacing) ?? "").utf8)
      }
      if !begun.isEmpty { try writeCheckpoint(String(decoding: begun, as: UTF8.self)) }
    } catch var error as FlowerError {
      // All ranks throw together, so none is still writing.
      if communicator.isRoot { try? store.removeLeftovers() }
      // What was written may also fail to be read back.
      error.kind = .cannotWrite
      throw error
    }
    lastSaved = trainer.step
    tidy()
  }

  /// Saves this step if that is possible. A run is worth more than one of its checkpoints.
  private func saveOrGoOn() throws {
    do {
      try save()
    } catch let error as FlowerError where error.kind == .cannotWrite {
      progress?.note("warning: step \(trainer.step) is not saved: \(error); going on, the earlier checkpoints are whole")
    }
  }

  /// Saves the step that the run ends with, and what is still to be logged.
  private func saveLast() throws {
    try save()
    try communicator.together { try run?.finishLog() }
    run?.attempt.succeed()
  }

  /// Marks the best checkpoint and deletes those that need not stay. What fails here is done after the next save.
  private func tidy() {
    guard communicator.isRoot else { return }
    do {
      if recipe.checkpoint.keepBest, let best, try store.steps().contains(best.step) {
        try store.markBest(step: best.step)
      }
      try store.prune(
        keep: recipe.checkpoint.keep, protecting: [trainer.step] + (best.map { [$0.step] } ?? []),
        distrusting: distrusted)
    } catch {
      progress?.note("warning: the earlier checkpoints are not tidied up: \(error)")
    }
  }

  /// Writes the files of a checkpoint, the model by rank zero and the optimizer's shards by all, and gives it its name.
  private func writeCheckpoint(_ directory: String) throws {
    let step = trainer.step
    let state = TrainerState(
      step: step, seconds: trainer.seconds, ranks: communicator.size, course: setup.course, best: best?.value,
      bestStep: best?.step, validationsSinceBest: validationsSinceBest, progress: trainer.progress,
      skipped: trainer.skipped)
    try communicator.together {
      try OptimizerShards.write(
        trainer.optimizer, setup.transformer.trainable.list, rank: communicator.rank, of: communicator.size,
        directory: directory)
      if communicator.isRoot {
        try setup.modelDirectory.write(to: directory, maximumPositions: setup.maximumPositions)
        try state.write(directory: directory)
        if recipe.replays { try ReplayFile.write(trainer.replay, directory: directory) }
      }
    }
    try communicator.together {
      guard communicator.isRoot else { return }
      try store.commit(
        step: step,
        required: (0..<communicator.size).map { OptimizerShards.fileName(rank: $0, of: communicator.size) })
    }
  }

  /// The checkpoint to start from, chosen by rank zero; there also what is to be said about the choice, and the steps of
  /// whole checkpoints that were passed over.
  private static func checkpoint(
    _ store: CheckpointStore, _ recipe: Recipe, _ start: Start, _ communicator: any Communicator
  ) throws -> (String?, notes: [String], passedOver: Set<Int>) {
    var notes: [String] = []
    var passedOver: Set<Int> = []
    let chosen = try communicator.fromRoot {
      switch start {
      case .fresh: return []
      case .checkpoint(let path):
        try RunDirectory.checkSame(recipe)
        _ = try CheckpointManifest.verify(directory: path, depth: .contents)
        return Array(path.utf8)
      case .latest:
        let latest = try LatestCheckpoint(store, run: RunDirectory.path(recipe))
        (notes, passedOver) = (latest.notes, latest.passedOver)
        return Array((latest.path ?? "").utf8)
      }
    }
    return (chosen.isEmpty ? nil : String(decoding: chosen, as: UTF8.self), notes, passedOver)
  }

  private static func restore(
    _ state: TrainerState, _ checkpoint: String, _ trainer: Trainer, _ setup: RunSetup
  ) throws {
    let differences = setup.course.differences(from: state.course)
    guard differences.isEmpty else {
      throw FlowerError(
        .data,
        "\(checkpoint): was made with \(differences.joined(separator: ", ")), so going on would not be the same run. Give"
          + " the recipe that is in its run's config.yaml, or start another run from its weights with model.path")
    }
    try OptimizerShards.read(
      trainer.optimizer, setup.transformer.trainable.list, ranks: state.ranks, directory: checkpoint)
    let replay =
      try setup.recipe.replays
      ? ReplayFile.read(
        setup.recipe.replay, directory: checkpoint, prompts: max(1, setup.catalogue.dataset.train.count),
        leaves: setup.catalogue.tree.leafCount, step: state.step) : nil
    trainer.resume(state, replay: replay)
  }

  /// The weights that a run leaves as they are, once per host.
  private static func hostWeights(_ recipe: Recipe, _ communicator: any Communicator) throws -> HostWeights? {
    guard let base = try communicator.together({ try RunSetup.adapted(recipe) }) else { return nil }
    return try HostWeights.load(base, communicator)
  }

  /// The reference model's weights, once per host; those below adapters are there already.
  private static func referenceWeights(_ recipe: Recipe, _ communicator: any Communicator) throws -> HostWeights? {
    let (path, base) = try communicator.together { try (RunSetup.reference(recipe), RunSetup.adapted(recipe)) }
    guard let path, path != base else { return nil }
    return try HostWeights.load(path, communicator)
  }

  // MARK: Agreement

  /// What must be equal on all ranks for their sums to mean one run: the recipe, before it is followed,
  private static func facts(_ recipe: Recipe) -> [(name: String, value: String)] {
    RecipeField.all.map { ($0.key, $0.yaml(recipe)) }
  }

  /// and what became of it.
  private static func facts(_ setup: RunSetup) -> [(name: String, value: String)] {
    [
      ("the data", setup.course.data), ("the preference score", setup.catalogue.score?.digest ?? ""),
      ("the initial weights", setup.transformer.digest),
      ("the frozen weights", setup.transformer.adapter == nil ? "" : setup.transformer.frozenDigest),
      ("the reference model", setup.reference?.digest ?? "none"),
      ("the files beside them", setup.sideFiles?.digest ?? "none"),
      ("the BLAS kernel (OPENBLAS_CORETYPE sets it)", Gemm.kernelName), ("BLAS threads", String(Gemm.threads)),
    ]
  }

  /// Every rank must see the run's directory: rank zero writes a number that all must read within two seconds.
  private static func checkSharedFiles(_ recipe: Recipe, _ communicator: any Communicator) throws {
    if communicator.size == 1 { return }
    // A new name each time: a network file system may remember an old file's content.
    let nonce = communicator.broadcast(Array(String(UInt64.random(in: 0...UInt64.max)).utf8))
    let path = "\(recipe.runs)/.shared-\(String(decoding: nonce, as: UTF8.self))"
    try communicator.together {
      guard communicator.isRoot else { return }
      try Directory.create(recipe.runs)
      try AtomicFile.write(nonce, to: path)
    }
    var sees = false
    for _ in 0..<20 where !sees {
      sees = (try? File.contents(of: path)) == nonce
      if !sees { usleep(100_000) }
    }
    let all = communicator.gather([sees ? 1 : 0])
    if communicator.isRoot { unlink(path) }
    let blind = all.indices.filter { all[$0] == [0] }
    if !blind.isEmpty {
      throw FlowerError(
        .data,
        "\(recipe.runs): not the same directory on \(Set(blind.map { communicator.hosts[$0] }).sorted().joined(separator: ", "))"
          + " as on \(communicator.hosts[0]); runs need a shared file system with one path on all hosts")
    }
  }
}
