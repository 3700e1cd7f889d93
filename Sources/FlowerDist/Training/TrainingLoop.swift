import Foundation

/// A run from its recipe to its last checkpoint: steps, validation, checkpoints, and what a user sees of it.
public final class TrainingLoop {
  /// How a run begins.
  public enum Start: Equatable, Sendable {
    case fresh
    /// From the newest checkpoint that is whole, or from step 0 where there is none.
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

  private var recipe: Recipe { setup.recipe }

  public init(_ recipe: Recipe, start: Start, _ communicator: any Communicator) throws {
    self.communicator = communicator
    store = CheckpointStore(runDirectory: RunDirectory.path(recipe))
    try Self.checkSharedFiles(recipe, communicator)
    let (checkpoint, notes) = try Self.checkpoint(store, recipe, start, communicator)
    setup = try communicator.together { try RunSetup(recipe, checkpoint: checkpoint) }
    try communicator.agree(Self.facts(setup))
    let language = LanguageModel(setup.transformer)
    trainer = try Trainer(recipe, setup.catalogue, language, communicator)
    validation = Validation(
      recipe: recipe, catalogue: setup.catalogue, evaluator: Evaluator(setup.catalogue, language),
      worker: trainer.worker, communicator: communicator)
    let trainer = trainer
    let setup = setup
    if let checkpoint {
      let state = try communicator.together { try Self.restore(checkpoint, trainer, setup) }
      best = state.best.flatMap { value in state.bestStep.map { (value, $0) } }
      validationsSinceBest = state.validationsSinceBest
      lastSaved = state.step
    }
    let environment = Environment(communicator, catalogue: setup.catalogue)
    run = try communicator.together {
      guard communicator.isRoot else { return nil }
      return start == .fresh
        ? try RunDirectory(creating: recipe, environment: environment.json)
        : try RunDirectory(resuming: recipe, step: trainer.step, environment: environment.json)
    }
    if let run {
      progress = ProgressWriter(totalSteps: trainer.totalSteps, every: recipe.training.logEvery)
      progress?.note(ProgressLine.startTable(RunPlan(setup, trainer, communicator).rows + environment.rows))
      for note in notes + environment.warnings { progress?.note(note) }
      if run.attempt > 1 { progress?.note("attempt \(run.attempt) goes on after step \(trainer.step)") }
    }
  }

  /// The resolved recipe with what it will need, in words; nothing is written.
  public static func plan(_ recipe: Recipe, _ communicator: any Communicator) throws -> String {
    let setup = try communicator.together { try RunSetup(recipe) }
    let trainer = try Trainer(recipe, setup.catalogue, LanguageModel(setup.transformer), communicator)
    let environment = Environment(communicator, catalogue: setup.catalogue)
    let rows = RunPlan(setup, trainer, communicator).rows + environment.rows
    return recipe.yaml + "\n" + ProgressLine.startTable(rows) + environment.warnings.map { "\n" + $0 }.joined()
  }

  /// Trains to the end. Throws `interrupted` after saving when a signal asked to stop.
  public func train() throws {
    StopSignal.install()
    var stop = false
    while !trainer.isFinished && !stop {
      let line = try trainer.runStep()
      try show(line)
      let interrupted = StopSignal.isRequested(communicator)
      if every(recipe.validation.every) { stop = try validate() }
      if every(recipe.checkpoint.every) || interrupted { try save() }
      if interrupted {
        progress?.finish()
        throw FlowerError(
          .interrupted, "stopped by a signal after step \(trainer.step), which is saved; --resume latest goes on")
      }
    }
    try save()
    progress?.finish()
    progress?.note("done: \(store.path(step: trainer.step)), weights \(setup.transformer.digest.prefix(16))")
  }

  private func every(_ steps: Int) -> Bool { steps > 0 && trainer.step.isMultiple(of: steps) }

  private func show(_ line: StepLine) throws {
    try communicator.together { try run?.log(line.json) }
    progress?.show(line)
  }

  /// Validates; returns whether patience has run out.
  private func validate() throws -> Bool {
    let metrics = try validation.run()
    try communicator.together { try run?.log(ValidationLine(step: trainer.step, metrics: metrics).json) }
    let metric = metrics[0]
    let better = best.map { metric.better == .higher ? metric.value > $0.value : metric.value < $0.value } ?? true
    progress?.note(
      "step \(trainer.step): validation " + metrics.map { "\($0.name) \($0.text)" }.joined(separator: ", ")
        + (better ? " (best)" : ""))
    validationsSinceBest = better ? 0 : validationsSinceBest + 1
    if better {
      best = (metric.value, trainer.step)
      if recipe.checkpoint.keepBest {
        try save()
        try communicator.together { if communicator.isRoot { try store.markBest(step: trainer.step) } }
      }
    }
    let patience = recipe.validation.patience
    if patience > 0 && validationsSinceBest >= patience {
      progress?.note("no better validation \(validationsSinceBest) times in a row: stopping at step \(trainer.step)")
      return true
    }
    return false
  }

  // MARK: Checkpoints

  /// Writes the checkpoint of this step: the model by rank zero, the optimizer's shards by all.
  private func save() throws {
    if lastSaved == trainer.step { return }
    let step = trainer.step
    let begun = try communicator.fromRoot { Array((try store.begin(step: step) ?? "").utf8) }
    if !begun.isEmpty {
      let directory = String(decoding: begun, as: UTF8.self)
      let state = TrainerState(
        step: step, seconds: trainer.seconds, ranks: communicator.size, course: setup.course, best: best?.value,
        bestStep: best?.step, validationsSinceBest: validationsSinceBest)
      try communicator.together {
        try OptimizerShards.write(
          trainer.optimizer, setup.transformer.layout, rank: communicator.rank, of: communicator.size,
          directory: directory)
        if communicator.isRoot {
          try setup.modelDirectory.write(to: directory, maximumPositions: setup.maximumPositions)
          try state.write(directory: directory)
        }
      }
      try communicator.together {
        guard communicator.isRoot else { return }
        try store.commit(
          step: step,
          required: (0..<communicator.size).map { OptimizerShards.fileName(rank: $0, of: communicator.size) })
        try store.prune(keep: recipe.checkpoint.keep, protecting: [step])
      }
    }
    lastSaved = step
  }

  /// The checkpoint to start from, chosen by rank zero, and what is to be said about the choice.
  private static func checkpoint(
    _ store: CheckpointStore, _ recipe: Recipe, _ start: Start, _ communicator: any Communicator
  ) throws -> (String?, notes: [String]) {
    var notes: [String] = []
    let chosen = try communicator.fromRoot {
      switch start {
      case .fresh: return []
      case .checkpoint(let path):
        _ = try CheckpointManifest.verify(directory: path, depth: .contents)
        return Array(path.utf8)
      case .latest:
        let (found, problems) = try store.latest()
        notes = problems.map { "passed over a damaged checkpoint: \($0.description)" }
        if found == nil { notes.append("no checkpoint in \(store.directory) yet: starting at step 0") }
        return Array((found?.path ?? "").utf8)
      }
    }
    return (chosen.isEmpty ? nil : String(decoding: chosen, as: UTF8.self), notes)
  }

  private static func restore(_ checkpoint: String, _ trainer: Trainer, _ setup: RunSetup) throws -> TrainerState {
    let state = try TrainerState(directory: checkpoint)
    guard state.course == setup.course else {
      throw FlowerError(
        .data,
        "\(checkpoint): was made by another recipe or from other data, so going on would not be the same run; give the"
          + " recipe that is in the run's config.yaml, or start from its weights with model.path")
    }
    try OptimizerShards.read(
      trainer.optimizer, setup.transformer.layout, ranks: state.ranks, directory: checkpoint)
    trainer.resume(step: state.step, seconds: state.seconds)
    return state
  }

  // MARK: Agreement

  /// What must be equal on all ranks for their sums to mean one run.
  private static func facts(_ setup: RunSetup) -> [(name: String, value: String)] {
    [
      ("the recipe", setup.recipe.yaml.sha256), ("the data", setup.catalogue.dataset.digest),
      ("the initial weights", setup.transformer.digest), ("the BLAS kernel", Gemm.kernelName),
      ("BLAS threads", String(Gemm.threads)),
    ]
  }

  /// Every rank must see the run's directory: rank zero writes a number that all must read.
  private static func checkSharedFiles(_ recipe: Recipe, _ communicator: any Communicator) throws {
    if communicator.size == 1 { return }
    let path = "\(recipe.runs)/.shared-\(recipe.name)"
    let nonce = try communicator.fromRoot {
      let nonce = Array(String(UInt64.random(in: 0...UInt64.max)).utf8)
      try Directory.create(recipe.runs)
      try AtomicFile.write(nonce, to: path)
      return nonce
    }
    let sees = (try? File.contents(of: path)) == nonce
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
