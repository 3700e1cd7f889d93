/// What a run will do and need, in words: the start table and `--dry-run`.
struct RunPlan {
  let rows: [(key: String, value: String)]
  let memory: MemoryPlan

  init(_ setup: RunSetup, _ trainer: Trainer, _ communicator: any Communicator) {
    memory = MemoryPlan(setup, ranks: communicator.size)
    let recipe = setup.recipe
    let training = recipe.training
    let optimizer = recipe.optimizer
    let cut = setup.cutPrompts > 0 ? ", \(setup.cutPrompts) of \(setup.sampledPrompts) drop items" : ""
    rows = [
      ("run", RunDirectory.path(recipe)),
      ("model", Self.model(setup.transformer.configuration)),
      ("parameters", NumberText.compact(Double(setup.transformer.layout.count))),
      ("data", Self.data(setup.catalogue.dataset)),
      ("tree", Self.tree(setup.catalogue.tree)),
      ("longest", "prompt \(setup.longestPrompt) tokens\(cut), title \(setup.longestTitle)"),
      ("objective", Self.objective(recipe)),
      ("trajectories", Self.trajectories(recipe)),
      ("batch", "\(training.globalBatch) examples in \(training.grains) grains"),
      ("steps", "\(trainer.totalSteps), \(optimizer.schedule.rawValue) from \(optimizer.learningRate)"),
      ("seed", "\(training.seed)"),
      ("memory", memory.description),
    ]
  }

  private static func model(_ c: ModelConfiguration) -> String {
    "\(c.architecture == .qwen2 ? "Qwen2" : "Llama"), \(c.layers) layers, hidden \(c.hiddenSize),"
      + " \(c.heads)/\(c.kvHeads) heads, vocabulary \(c.vocabularySize)"
  }

  private static func data(_ dataset: Dataset) -> String {
    dataset.isDistribution
      ? "\(dataset.name): \(dataset.titles.count) titles, no histories"
      : "\(dataset.name): \(dataset.titles.count) items,"
        + " \(dataset.train.count) / \(dataset.valid.count) / \(dataset.test.count) examples"
  }

  private static func tree(_ tree: CatalogueTree) -> String {
    let choices = (0..<tree.nodeCount).count { tree.isChoice($0) }
    return "\(tree.leafCount) titles, \(tree.nodeCount) nodes, \(choices) with a choice"
  }

  private static func objective(_ recipe: Recipe) -> String {
    let o = recipe.objective
    let supervised = "SFT over the \(o.sftSupport.rawValue)"
    if o.name == .sft { return supervised }
    return o.name.rawValue + (o.name == .subtb ? " (λ \(o.lambda))" : "") + " over the \(o.support.rawValue)"
      + (o.theta > 0 ? ", θ \(o.theta) of \(supervised)" : "")
  }

  private static func trajectories(_ recipe: Recipe) -> String {
    if recipe.objective.name == .sft { return "none" }
    let t = recipe.trajectories
    return "\(t.count) per prompt by \(t.source.rawValue), reward \(recipe.reward.weight.rawValue)"
  }
}

/// Bytes that the largest rank needs, part by part.
struct MemoryPlan: CustomStringConvertible {
  var weights: Int
  var gradients: Int
  /// Gradient buffers that a rank keeps at once.
  var gradientBuffers: Int
  var optimizer: Int
  /// Forward and backward of the largest micro-batch, and the logits that exist at once.
  var activations: Int

  var total: Int { weights + gradients + optimizer + activations }

  init(_ setup: RunSetup, ranks: Int) {
    let recipe = setup.recipe
    let c = setup.transformer.configuration
    weights = 4 * setup.transformer.layout.count
    gradientBuffers = GradientReducer.bufferCount(grains: recipe.training.grains, ranks: ranks)
    gradients = gradientBuffers * weights
    optimizer = 2 * (weights + ranks - 1) / ranks
    let grain = recipe.training.globalBatch / recipe.training.grains
    let examples = recipe.training.microBatch > 0 ? min(recipe.training.microBatch, grain) : grain
    let targets = setup.catalogue.dataset.isDistribution ? recipe.trajectories.count : 1
    let isSupervised = recipe.objective.name == .sft
    let titles =
      (isSupervised || recipe.objective.theta > 0 ? targets : 0) + (isSupervised ? 0 : recipe.trajectories.count)
    let rows = examples * (setup.longestPrompt + titles * setup.longestTitle)
    let queries = examples * (1 + titles * setup.longestTitle)
    let backward = 4 * rows * (3 * c.hiddenSize + c.intermediateSize + 2 * c.queryDim + 2 * c.kvDim)
    let readsVocabulary = recipe.objective.support == .vocabulary || recipe.objective.sftSupport == .vocabulary
    let logits = readsVocabulary ? 4 * Head.chunk * c.vocabularySize : 0
    activations = Activations.bytes(c, rows: rows, queries: queries, training: true) + backward + logits
  }

  var description: String {
    func megabytes(_ bytes: Int) -> Int { (bytes + 999_999) / 1_000_000 }
    return "\(megabytes(total)) MB per rank: weights \(megabytes(weights)), \(gradientBuffers) gradients"
      + " \(megabytes(gradients)), AdamW \(megabytes(optimizer)), activations \(megabytes(activations))"
  }
}
