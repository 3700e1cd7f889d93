/// What a run will do and need, in words: the start table and `--dry-run`.
public struct RunPlan {
  public let rows: [(key: String, value: String)]

  /// Bytes of the largest rank.
  public let memory: Int

  init(_ setup: RunSetup, _ trainer: Trainer, _ communicator: any Communicator) {
    let recipe = setup.recipe
    let c = setup.transformer.configuration
    let dataset = setup.catalogue.dataset
    let tree = setup.catalogue.tree
    let count = setup.transformer.layout.count
    let buffers = GradientReducer.bufferCount(grains: recipe.training.grains, ranks: communicator.size)
    let examples = recipe.training.microBatch > 0
      ? recipe.training.microBatch : recipe.training.globalBatch / recipe.training.grains
    let titles = recipe.objective.name == .sft ? 1 : recipe.trajectories.count + (recipe.objective.theta > 0 ? 1 : 0)
    let rows = examples * (setup.longestPrompt + titles * setup.longestTitle)
    let queries = examples * (1 + titles * setup.longestTitle)
    let estimate = MemoryEstimate(
      c, gradientBuffers: buffers, ranks: communicator.size, rows: rows, queries: queries,
      vocabulary: recipe.objective.support == .vocabulary || recipe.objective.sftSupport == .vocabulary)
    memory = estimate.total
    let choices = (0..<tree.nodeCount).count { tree.isChoice($0) }
    let o = recipe.objective
    let objective =
      o.name == .sft
      ? "SFT over the \(o.sftSupport.rawValue)"
      : "\(o.name.rawValue)\(o.name == .subtb ? " (λ \(o.lambda))" : "") over the \(o.support.rawValue)"
        + (o.theta > 0 ? ", θ \(o.theta) of SFT over the \(o.sftSupport.rawValue)" : "")
    self.rows = [
      ("run", RunDirectory.path(recipe)),
      ("model", "\(c.architecture == .qwen2 ? "Qwen2" : "Llama"), \(c.layers) layers, hidden \(c.hiddenSize), \(c.heads)/\(c.kvHeads) heads, vocabulary \(c.vocabularySize)"),
      ("parameters", NumberText.compact(Double(count))),
      ("data", dataset.isDistribution
        ? "\(dataset.name): \(dataset.titles.count) titles, no histories"
        : "\(dataset.name): \(dataset.titles.count) items, \(dataset.train.count) / \(dataset.valid.count) / \(dataset.test.count) examples"),
      ("tree", "\(tree.leafCount) titles, \(tree.nodeCount) nodes, \(choices) with a choice, longest title \(setup.longestTitle)"),
      ("objective", objective),
      ("trajectories", o.name == .sft ? "none" : "\(recipe.trajectories.count) per prompt, drawn by \(recipe.trajectories.source.rawValue); reward \(recipe.reward.weight.rawValue)"),
      ("batch", "\(recipe.training.globalBatch) examples in \(recipe.training.grains) grains, longest prompt \(setup.longestPrompt) tokens"),
      ("steps", "\(trainer.totalSteps), \(recipe.optimizer.schedule.rawValue) from \(recipe.optimizer.learningRate), seed \(recipe.training.seed)"),
      ("memory", "about \(memory / 1_000_000 + 1) MB per rank (weights \(estimate.weights / 1_000_000 + 1), \(buffers) gradient buffers, activations \(estimate.activations / 1_000_000 + 1))"),
    ]
  }
}
