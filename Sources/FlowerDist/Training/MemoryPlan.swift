/// Bytes that the largest rank needs for training, part by part; without the program itself and the data.
struct MemoryPlan: CustomStringConvertible {
  var weights: Int
  var gradients: Int
  /// Gradient buffers that a rank keeps at once.
  var gradientBuffers: Int
  /// The rank's share of AdamW's two moments.
  var optimizer: Int
  /// Forward and backward of the largest micro-batch, and the logits that exist at once.
  var activations: Int

  var total: Int { weights + gradients + optimizer + activations }

  /// - Parameters:
  ///   - rows: tokens of the largest forest.
  ///   - queries: its outputs that are read.
  ///   - vocabulary: whether distributions over the whole vocabulary are read.
  init(_ c: ModelConfiguration, gradientBuffers: Int, ranks: Int, rows: Int, queries: Int, vocabulary: Bool) {
    weights = 4 * ParameterLayout(c).count
    self.gradientBuffers = gradientBuffers
    gradients = gradientBuffers * weights
    optimizer = 2 * (weights + ranks - 1) / ranks
    activations =
      Activations.bytes(c, rows: rows, queries: queries, training: true) + Transformer.backwardBytes(c, rows: rows)
      + (vocabulary ? Head.vocabularyBytes(c, readouts: queries) : 0)
  }

  init(_ setup: RunSetup, ranks: Int) {
    let recipe = setup.recipe
    let grain = recipe.training.globalBatch / recipe.training.grains
    let examples = recipe.training.microBatch > 0 ? min(recipe.training.microBatch, grain) : grain
    let targets = setup.catalogue.dataset.isDistribution ? recipe.trajectories.count : 1
    let isSupervised = recipe.objective.name == .sft
    let titles =
      (isSupervised || recipe.objective.theta > 0 ? targets : 0) + (isSupervised ? 0 : recipe.trajectories.count)
    self.init(
      setup.transformer.configuration,
      gradientBuffers: GradientReducer.bufferCount(grains: recipe.training.grains, ranks: ranks), ranks: ranks,
      rows: examples * (setup.longestPrompt + titles * setup.longestTitle),
      queries: examples * (1 + titles * setup.longestTitle),
      vocabulary: recipe.objective.support == .vocabulary || recipe.objective.sftSupport == .vocabulary)
  }

  var description: String {
    func megabytes(_ bytes: Int) -> Int { (bytes + 999_999) / 1_000_000 }
    return "\(megabytes(total)) MB per rank: weights \(megabytes(weights)), \(gradientBuffers) gradients"
      + " \(megabytes(gradients)), AdamW \(megabytes(optimizer)), activations \(megabytes(activations))"
  }
}
