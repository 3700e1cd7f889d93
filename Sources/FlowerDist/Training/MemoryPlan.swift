/// Bytes that the largest rank needs for training, part by part; without the program itself and the data.
struct MemoryPlan: CustomStringConvertible {
  /// Of what is trained.
  var weights: Int
  /// Of what stays as it is.
  var frozen: Int
  /// Whether the ranks of a host hold the frozen weights once.
  var sharesFrozen: Bool
  /// Weights of a reference model that are not among the frozen.
  var reference = 0
  /// Whether the ranks of a host hold them once.
  var sharesReference = false
  var gradients: Int
  /// Gradient buffers that a rank keeps at once.
  var gradientBuffers: Int
  /// What messages are received into while several buckets are under way.
  var messages: Int
  /// The largest rank's share of AdamW's two moments.
  var optimizer: Int
  /// What a checkpoint is written from while training goes on: weights and moments once more.
  var snapshot = 0
  /// Forward and backward of the largest micro-batch, and the logits that exist at once.
  var activations: Int
  /// Weights that validations and samplers keep packed.
  var packed = 0
  /// What the preference score takes at most.
  var score = 0

  /// Without the frozen weights and the reference model's.
  var total: Int { weights + gradients + messages + optimizer + snapshot + activations + packed + score }

  /// - Parameters:
  ///   - rows: tokens of the largest forest.
  ///   - queries: its outputs that are read.
  ///   - vocabulary: whether distributions over the whole vocabulary are read.
  ///   - frozen, trained: floats that stay as they are, and that training moves.
  ///   - keeping: what stays of every layer for the backward pass.
  ///   - arithmetic: of its products.
  init(
    _ c: ModelConfiguration, frozen: Int = 0, sharesFrozen: Bool = false, trained: Int, grains: Int, ranks: Int,
    rows: Int, queries: Int, vocabulary: Bool, keeping: Activations.Keeping = .everything,
    _ arithmetic: Arithmetic
  ) {
    let plan = ReductionPlan(count: trained, grains: grains, ranks: ranks)
    weights = 4 * trained
    self.frozen = 4 * frozen
    self.sharesFrozen = sharesFrozen
    gradientBuffers = GradientReducer.bufferCount(grains: grains, ranks: ranks)
    gradients = gradientBuffers * 4 * trained
    let bucket = plan.buckets.first.map { plan.floats($0).count } ?? 0
    messages = ranks == 1 ? 0 : min(BucketPipeline.width, plan.buckets.count) * 4 * bucket
    optimizer = (0..<ranks).map { rank in plan.owned(by: rank).reduce(0) { $0 + 8 * plan.floats($1.blocks).count } }
      .max()!
    activations =
      Activations.bytes(c, rows: rows, queries: queries, keeping: keeping) + Transformer.backwardBytes(c, rows: rows)
      + (vocabulary ? Head.vocabularyBytes(c, readouts: queries) : 0)
      + Transformer.packedLayerBytes(c, rows: rows, arithmetic)
      + (arithmetic == .bf16x6 ? Threads.count * ThirdsProduct.scratchBytes : 0)
  }

  init(_ setup: RunSetup, ranks: Int) {
    let recipe = setup.recipe
    let grain = recipe.training.globalBatch / recipe.training.grains
    let examples = recipe.training.microBatch > 0 ? min(recipe.training.microBatch, grain) : grain
    let targets = setup.catalogue.dataset.isDistribution ? recipe.trajectories.count : 1
    let objective = TrainingObjective(recipe.objective, supervisedScale: 1)
    let titles = (objective.usesTargets ? targets : 0) + (objective.usesFlow ? recipe.titlesPerPrompt : 0)
    self.init(
      setup.transformer.configuration, frozen: setup.transformer.frozenCount, sharesFrozen: setup.sharesWeights,
      trained: setup.transformer.trainable.list.count, grains: recipe.training.grains, ranks: ranks,
      rows: examples * (setup.longestPrompt + titles * setup.longestTitle),
      queries: examples * (1 + titles * setup.longestTitle),
      vocabulary: recipe.objective.support == .vocabulary || recipe.objective.sftSupport == .vocabulary,
      keeping: recipe.training.activationCheckpointing ? .inputs : .everything, recipe.training.arithmetic)
    if recipe.checkpoint.background { snapshot = weights + optimizer }
    if recipe.validation.every > 0 || recipe.trajectories.samplers > 0 {
      packed = 4 * min(PackedWeights.modelLimit, setup.transformer.packedFloats)
    }
    // What every prompt reads at the root, which all titles leave.
    activations += Head.optionBytes(
      setup.transformer.configuration, readouts: examples, options: Int(setup.catalogue.tree.optionCount[0]))
    score = setup.catalogue.score?.bytes ?? 0
    guard let model = setup.reference?.transformer else { return }
    if model.weights.base != setup.transformer.weights.base {
      reference = 4 * (model.layout.count + (model.adapter?.list.count ?? 0))
    }
    sharesReference = setup.sharesReference
    // One prompt at a time; without histories with all titles.
    let tree = setup.catalogue.tree
    let nodes = setup.catalogue.dataset.isDistribution ? tree.nodeCount : recipe.titlesPerPrompt * setup.longestTitle
    let c = model.configuration
    let rows = setup.longestPrompt + nodes
    activations +=
      Activations.bytes(c, rows: rows, queries: 1 + nodes, keeping: .nothing)
      + Transformer.packedLayerBytes(c, rows: rows, model.arithmetic)
    if recipe.objective.support == .vocabulary { activations += Head.vocabularyBytes(c, readouts: 1 + nodes) }
  }

  private func megabytes(_ bytes: Int) -> Int { (bytes + 999_999) / 1_000_000 }

  /// What stays as it is, in words; `nil` if all is trained.
  var frozenDescription: String? {
    frozen > 0 ? "\(megabytes(frozen)) MB of weights, \(sharesFrozen ? "once per host" : "on every rank")" : nil
  }

  /// The reference model, in words; `nil` without one, and where it is what adapters are trained for.
  var referenceDescription: String? {
    reference > 0
      ? "\(megabytes(reference)) MB of weights, \(sharesReference ? "once per host" : "on every rank")" : nil
  }

  /// All of it, in words.
  var sum: String { "\(megabytes(total)) MB per rank" }

  /// What it consists of, in MB.
  var parts: String {
    "weights \(megabytes(weights)), \(gradientBuffers) gradients \(megabytes(gradients)),"
      + (messages > 0 ? " messages \(megabytes(messages))," : "") + " AdamW \(megabytes(optimizer)),"
      + (snapshot > 0 ? " a copy for saving \(megabytes(snapshot))," : "") + " activations \(megabytes(activations))"
      + (packed > 0 ? ", packed weights \(megabytes(packed))" : "") + (score > 0 ? ", score \(megabytes(score))" : "")
  }

  var description: String { "\(sum): \(parts)" }
}
