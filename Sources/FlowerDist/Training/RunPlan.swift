/// What a run will do and need, in words: the start table and `--dry-run`.
struct RunPlan {
  private(set) var rows: [(key: String, value: String)]
  let memory: MemoryPlan

  init(_ setup: RunSetup, _ trainer: Trainer, _ communicator: any Communicator) {
    memory = MemoryPlan(setup, ranks: trainer.roles.learners)
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
    ]
    if let shares = Self.shares(recipe, steps: trainer.totalSteps) { rows.append(("shares", shares)) }
    if trainer.roles.samplers > 0 {
      rows.append(("samplers", "\(trainer.roles.samplers) of \(communicator.size) ranks, by weights one step old"))
    }
    if recipe.replays { rows.append(("replay", Self.replay(recipe.replay))) }
    rows += [
      (
        "batch",
        "\(training.globalBatch) examples in \(training.grains) grains"
          + (training.batching == .user ? ", up to \(training.userTargets) of a user on one prompt" : "")
      ),
      ("steps", "\(trainer.totalSteps), \(optimizer.schedule.rawValue) from \(optimizer.learningRate)"),
      ("seed", "\(training.seed)"),
      ("memory", memory.sum), ("of which", memory.parts),
    ]
    if let score = setup.catalogue.score, recipe.reward.score != .cooccurrence {
      rows.append(("preference", score.summary))
    }
    if let frozen = memory.frozenDescription { rows.append(("frozen", frozen)) }
    if let reference = memory.referenceDescription { rows.append(("reference", reference)) }
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
    let weighted = o.sftWeight == Recipe().objective.sftWeight ? "" : " weighted by \(o.sftWeight.rawValue)"
    let supervised = "SFT over the \(o.sftSupport.rawValue)" + weighted
    if o.name == .sft { return supervised }
    let flow = o.flow == .tree ? "" : ", flow \(o.flow.rawValue), prefix titles \(o.prefixTitles.rawValue)"
    let granularity = o.granularity == 1 ? "" : ", \(o.granularity) tokens a state"
    let strength = o.name == .subtb ? " (λ \(o.lambda))" : o.name.hasReference ? " (β \(o.beta))" : ""
    return o.name.rawValue + strength + " over the \(o.support.rawValue)" + flow + granularity
      + (o.theta > 0 ? ", θ \(o.theta) of \(supervised)" : "")
  }

  private static func trajectories(_ recipe: Recipe) -> String {
    if !TrainingObjective(recipe.objective, supervisedScale: 1).usesFlow { return "none" }
    if recipe.objective.name.isPreference { return "a chosen title and \(recipe.objective.rejectedCount) rejected" }
    let t = recipe.trajectories
    let rule = recipe.reward.flowRule == .published ? " as published" : ""
    return "\(t.count) per prompt by \(t.source.yaml), reward \(recipe.reward.weight.rawValue)\(rule)"
  }

  /// The sources' shares in the first step and, if a share that falls with the loss falls all the way, in the last; `nil` if
  /// they do not change.
  private static func shares(_ recipe: Recipe, steps: Int) -> String? {
    let mixture = recipe.trajectories.source
    if mixture.isConstant || !TrainingObjective(recipe.objective, supervisedScale: 1).usesFlow { return nil }
    func shares(step: Int, falls: Int) -> [String] {
      let shares = mixture.shares(step: step, falls: falls)
      return shares.map { NumberText.short($0 / shares.reduce(0, +), digits: 2) }
    }
    return zip(mixture.parts, zip(shares(step: 0, falls: 0), shares(step: steps - 1, falls: .max))).map { part, ends in
      "\(part.source.rawValue) \(ends.0) to \(ends.1)"
    }.joined(separator: ", ")
  }

  private static func replay(_ replay: Recipe.Replay) -> String {
    "\(NumberText.grouped(Double(replay.capacity))) titles\(replay.feed == .all ? "" : " of the policy"),"
      + " \(NumberText.grouped(Double(replay.staleness))) steps, by residual^\(replay.priorityExponent)"
  }
}
