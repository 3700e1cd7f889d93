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
  private let saver: CheckpointSaver
  private let validation: Validation
  private let watch: RunWatch
  private let timeLimit: TimeLimit?
  /// On rank zero, like all that is shown and logged.
  private let run: RunDirectory?
  private let progress: ProgressWriter?
  private var best: (value: Double, step: Int)?
  private var validationsSinceBest = 0
  private var times: RankTimes

  private var recipe: Recipe { setup.recipe }

  /// - Parameter timeLimit: seconds from now after which the run saves and ends.
  public init(
    _ recipe: Recipe, start: Start, timeLimit: Int? = nil, _ communicator: any Communicator
  ) throws {
    self.timeLimit = timeLimit.map { TimeLimit(seconds: $0) }
    try communicator.agree(try Self.facts(recipe, communicator) + [("--resume", "\(start)")])
    try Self.checkSharedFiles(recipe, communicator)
    watch = try RunWatch(recipe, start, communicator)
    let communicator = watch.communicator
    self.communicator = communicator
    let store = CheckpointStore(runDirectory: RunDirectory.path(recipe))
    let (checkpoint, notes, passedOver) = try Self.checkpoint(store, recipe, start, communicator)
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
    let language = LanguageModel(
      made.transformer, checkpointing: recipe.training.activationCheckpointing, clock: watch.clock)
    let trainer = try Trainer(recipe, made.catalogue, language, communicator, reference: made.reference)
    self.trainer = trainer
    validation = Validation(
      recipe: recipe, catalogue: made.catalogue, evaluator: Evaluator(made.catalogue, language),
      worker: trainer.worker, communicator: communicator)
    var isOwn = false
    if let checkpoint, let state {
      try communicator.together { try Self.restore(state, checkpoint, trainer, made) }
      validationsSinceBest = state.validationsSinceBest
      isOwn = checkpoint == store.path(step: state.step)
      // Another run's checkpoint has its best elsewhere.
      if isOwn { best = state.best.flatMap { value in state.bestStep.map { (value, $0) } } }
    }
    times = RankTimes(seconds: trainer.seconds)
    let progress =
      communicator.isRoot ? ProgressWriter(totalSteps: trainer.totalSteps, every: recipe.training.logEvery) : nil
    self.progress = progress
    saver = CheckpointSaver(
      made, store, lastSaved: isOwn ? trainer.step : -1, distrusted: passedOver, communicator,
      note: { progress?.note($0) })
    let problem = try trainer.cachePrompts()
    if StopSignal.isRequested(communicator) {
      throw FlowerError(.interrupted, "stopped by a signal before the first step; no run was made or changed")
    }
    let environment = Environment(communicator, catalogue: made.catalogue, recipe.training.arithmetic)
    run = try communicator.together {
      guard communicator.isRoot else { return nil }
      return start == .fresh
        ? try RunDirectory(creating: recipe, environment: environment.json)
        : try RunDirectory(
          resuming: recipe, step: trainer.step,
          attempt: attempt ?? Attempt(run: RunDirectory.path(recipe), checkpoint: checkpoint),
          environment: environment.json)
    }
    if isOwn, let state { saver.tidy(state) }
    guard let run, let progress else { return }
    progress.note(ProgressLine.startTable(RunPlan(setup, trainer, communicator).rows + environment.rows))
    for note in notes + environment.warnings + (problem.map { ["warning: \($0)"] } ?? []) { progress.note(note) }
    if run.attempt.number > 1 { progress.note("attempt \(run.attempt.number) goes on after step \(trainer.step)") }
  }

  /// From here on a signal asks for an end after the step, saved; to be called before anything that takes time.
  public static func catchSignals() { StopSignal.install() }

  /// The resolved recipe with what it will need, in words; nothing is written.
  public static func plan(_ recipe: Recipe, _ communicator: any Communicator) throws -> String {
    try communicator.agree(try facts(recipe, communicator))
    let host = try hostWeights(recipe, communicator)
    let reference = try referenceWeights(recipe, communicator)
    let setup = try communicator.together { try RunSetup(recipe, host: host, referenceHost: reference) }
    let trainer = try Trainer(
      recipe, setup.catalogue, LanguageModel(setup.transformer), communicator, reference: setup.reference)
    let environment = Environment(communicator, catalogue: setup.catalogue, recipe.training.arithmetic)
    let rows = RunPlan(setup, trainer, communicator).rows + environment.rows
    return recipe.yaml + "\n" + ProgressLine.startTable(rows) + environment.warnings.map { "\n" + $0 }.joined()
  }

  /// Trains to the end. Throws `interrupted` after saving when a signal or the time limit asked to stop.
  public func train() throws {
    defer { progress?.finish() }
    while !trainer.isFinished && !isPatienceOut {
      try show(try step())
      let news = News(communicator, isOutOfTime: timeLimit?.isOver ?? false, isSaving: saver.isWorking)
      if !news.isSaving { try saving { try saver.goOn() } }
      let isBest = every(recipe.validation.every) ? try validate() : false
      if let reason = news.endReason {
        try saveLast()
        throw FlowerError(
          .interrupted, "stopped by \(reason) after step \(trainer.step), which is saved; --resume latest goes on")
      }
      if every(recipe.checkpoint.every) || isBest && recipe.checkpoint.keepBest {
        try checkWeights()
        try saving { try saver.saveOrGoOn(trainer, state) }
      } else if every(recipe.training.checkWeightsEvery) {
        try checkWeights()
      }
    }
    try saveLast()
    if isPatienceOut { progress?.note("no better validation \(validationsSinceBest) times in a row: stopping") }
    if saver.count > 0 { progress?.note(savingSummary) }
    progress?.note("done: \(saver.store.path(step: trainer.step)), weights \(setup.transformer.digest.prefix(16))")
  }

  /// Whether the run ends because it does not get better.
  private var isPatienceOut: Bool {
    recipe.validation.patience > 0 && validationsSinceBest >= recipe.validation.patience
  }

  private func every(_ steps: Int) -> Bool { steps > 0 && trainer.step.isMultiple(of: steps) }

  private func step() throws -> StepLine {
    watch.clock.begin(step: trainer.step + 1)
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
    if let (line, notes) = try times.compare(
      step: line.step, seconds: line.seconds, watch.clock, learners: trainer.roles.learners, communicator)
    {
      run?.logTimes(line)
      for note in notes { progress?.note(note) }
    }
  }

  /// Saves the state before the steps that are not finite, which `--resume latest` repeats, and what is known about them.
  private func leave(_ divergence: Divergence) throws -> FlowerError {
    let file = "\(RunDirectory.path(recipe))/\(Divergence.fileName)"
    try communicator.together {
      guard communicator.isRoot else { return }
      try AtomicFile.write(divergence.json.serialized(pretty: true) + [0x0A], to: file)
    }
    var saved = "The state before it is saved: --resume \(saver.store.path(step: trainer.step)) shows it again"
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
    trainer.settle()
    let metrics = try watch.clock.measure(.validation) { try agreed(validation.run()) }
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

  private var state: TrainerState {
    TrainerState(
      step: trainer.step, seconds: trainer.seconds, ranks: trainer.roles.learners, course: setup.course, best: best?.value,
      bestStep: best?.step, validationsSinceBest: validationsSinceBest, progress: trainer.progress,
      skipped: trainer.skipped)
  }

  private func saving(_ body: () throws -> Void) rethrows { try watch.clock.measure(.saving, body) }

  /// Returns when this step is saved.
  private func save() throws {
    try checkWeights()
    try saving {
      try saver.save(trainer, state)
      try saver.finish()
    }
  }

  /// Saves the step that the run ends with, and what is still to be logged.
  private func saveLast() throws {
    try save()
    try communicator.together { try run?.finishLog() }
    run?.attempt.succeed()
  }

  private var savingSummary: String {
    "\(saver.count) \(saver.count == 1 ? "checkpoint" : "checkpoints"), for which the training stood still"
      + " \(NumberText.short(saver.secondsWaited, digits: 2)) s"
  }

  /// Every rank has computed the same weights, unless a machine does not do what it should.
  private func checkWeights() throws {
    if communicator.size == 1 { return }
    trainer.settle()
    try communicator.agree([("the weights after step \(trainer.step)", setup.transformer.trainable.weights.fingerprint)])
  }
}

/// What the ranks tell each other after a step.
private struct News {
  let endReason: String?
  /// Whether a thread of any rank still writes a checkpoint.
  let isSaving: Bool

  init(_ communicator: any Communicator, isOutOfTime: Bool, isSaving: Bool) {
    let news = communicator.max([StopSignal.wasReceived, isOutOfTime, isSaving].map { $0 ? 1 : 0 })
    endReason = news[0] > 0 ? "a signal" : news[1] > 0 ? "the time limit" : nil
    self.isSaving = news[2] > 0
  }
}
