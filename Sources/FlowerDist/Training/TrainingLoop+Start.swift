import Foundation

/// What a run does before its first step: what the ranks must have in common, and where it goes on.
extension TrainingLoop {
  /// The checkpoint to start from, chosen by rank zero; there also what is to be said about the choice, and the steps of
  /// whole checkpoints that were passed over.
  static func checkpoint(
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

  static func restore(
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
      trainer.optimizer.shards, setup.transformer.trainable.list, ranks: state.ranks, directory: checkpoint)
    let replay =
      try setup.recipe.replays
      ? ReplayFile.read(
        setup.recipe.replay, directory: checkpoint, prompts: max(1, setup.catalogue.dataset.train.count),
        leaves: setup.catalogue.tree.leafCount, step: state.step) : nil
    let written =
      setup.recipe.trajectories.samplers > 0
      ? try WrittenTitlesFile.read(
        directory: checkpoint, count: setup.recipe.training.globalBatch * setup.recipe.trajectories.count,
        leaves: setup.catalogue.tree.leafCount, step: state.step) : nil
    trainer.resume(state, replay: replay, written: written)
  }

  /// The weights that a run leaves as they are, once per host.
  static func hostWeights(_ recipe: Recipe, _ communicator: any Communicator) throws -> HostWeights? {
    guard let base = try communicator.together({ try RunSetup.adapted(recipe) }) else { return nil }
    return try HostWeights.load(base, communicator)
  }

  /// The reference model's weights, once per host; those below adapters are there already.
  static func referenceWeights(_ recipe: Recipe, _ communicator: any Communicator) throws -> HostWeights? {
    let (path, base) = try communicator.together { try (RunSetup.reference(recipe), RunSetup.adapted(recipe)) }
    guard let path, path != base else { return nil }
    return try HostWeights.load(path, communicator)
  }

  // MARK: Agreement

  /// What must be equal on all ranks for their sums to mean one run: the recipe, before it is followed,
  static func facts(_ recipe: Recipe, _ communicator: any Communicator) throws -> [(name: String, value: String)] {
    if communicator.size == 1 { return [] }
    let program = try communicator.together { try SHA256.hex(ofFile: "/proc/self/exe") }
    return [("the program's file", program)] + RecipeField.all.map { ($0.key, $0.yaml(recipe)) }
  }

  /// and what became of it.
  static func facts(_ setup: RunSetup) -> [(name: String, value: String)] {
    [
      ("the data", setup.course.data), ("the tokenizer", setup.catalogue.tokenizer.digest),
      ("the tree of titles", setup.catalogue.tree.digest), ("the preference score", setup.catalogue.score?.digest ?? ""),
      ("the initial weights", setup.transformer.digest),
      ("the frozen weights", setup.transformer.adapter == nil ? "" : setup.transformer.frozenDigest),
      ("the reference model", setup.reference?.digest ?? "none"),
      ("the files beside them", setup.sideFiles?.digest ?? "none"),
    ]
  }

  /// Every rank must see the run's directory: rank zero writes a number that all must read within two seconds.
  static func checkSharedFiles(_ recipe: Recipe, _ communicator: any Communicator) throws {
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
