/// What a run will do and need, in words: the start table and `--dry-run`.
struct RunPlan {
  private(set) var rows: [(key: String, value: String)]
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
      ("parameters", Self.parameters(setup.transformer)),
      ("data", Self.data(setup.catalogue.dataset)),
      ("tree", Self.tree(setup.catalogue.tree)),
      ("longest", "prompt \(setup.longestPrompt) tokens\(cut), title \(setup.longestTitle)"),
      ("objective", Self.objective(recipe)),
      ("trajectories", Self.trajectories(recipe)),
      ("batch", "\(training.globalBatch) examples in \(training.grains) grains"),
      ("steps", "\(trainer.totalSteps), \(optimizer.schedule.rawValue) from \(optimizer.learningRate)"),
      ("seed", "\(training.seed)"),
      ("memory", memory.sum), ("of which", memory.parts),
    ]
    if let score = setup.catalogue.score, recipe.reward.score != .cooccurrence {
      rows.append(("preference", score.summary))
    }
    if let frozen = memory.frozenDescription { rows.append(("frozen", frozen)) }
  }

  private static func model(_ c: ModelConfiguration) -> String {
    "\(c.architecture.name), \(c.layers) layers, hidden \(c.hiddenSize),"
      + " \(c.heads)/\(c.kvHeads) heads, vocabulary \(c.vocabularySize)"
  }

  private static func parameters(_ transformer: Transformer) -> String {
    let all = NumberText.compact(Double(transformer.layout.count))
    guard let adapter = transformer.adapter else { return all }
    return
      "\(all) frozen, \(NumberText.compact(Double(adapter.list.count))) in adapters of rank \(adapter.configuration.rank)"
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
    if !TrainingObjective(recipe.objective, supervisedScale: 1).usesFlow { return "none" }
    let t = recipe.trajectories
    return "\(t.count) per prompt by \(t.source.rawValue), reward \(recipe.reward.weight.rawValue)"
  }
}
