/// Bytes that one rank needs for training, apart from the program itself and the data.
struct MemoryEstimate: CustomStringConvertible {
  var weights: Int
  var gradients: Int
  /// Gradient buffers that a rank keeps at once.
  var gradientBuffers: Int
  /// This rank's share of AdamW's two moments.
  var optimizer: Int
  /// What the forward pass keeps, and the scratch of both passes.
  var activations: Int

  var total: Int { weights + gradients + optimizer + activations }

  /// - Parameters:
  ///   - rows: tokens of the largest forest.
  ///   - queries: its outputs that are read.
  ///   - vocabulary: whether distributions over the whole vocabulary are read.
  init(_ c: ModelConfiguration, gradientBuffers: Int, ranks: Int, rows: Int, queries: Int, vocabulary: Bool) {
    let count = ParameterLayout(c).count
    weights = 4 * count
    self.gradientBuffers = gradientBuffers
    gradients = 4 * count * gradientBuffers
    optimizer = 2 * 4 * ((count + ranks - 1) / ranks)
    activations =
      Activations.bytes(c, rows: rows, queries: queries, training: true) + Transformer.backwardBytes(c, rows: rows)
      + (vocabulary ? Head.vocabularyBytes(c, readouts: queries) : 0)
  }

  /// For the largest rank and micro-batch of a run.
  init(_ setup: RunSetup, ranks: Int) {
    let recipe = setup.recipe
    let objective = recipe.objective
    let isSupervised = objective.name == .sft
    let grain = recipe.training.globalBatch / recipe.training.grains
    let examples = recipe.training.microBatch > 0 ? min(recipe.training.microBatch, grain) : grain
    let targets = setup.catalogue.dataset.isDistribution ? recipe.trajectories.count : 1
    let titles = (isSupervised || objective.theta > 0 ? targets : 0) + (isSupervised ? 0 : recipe.trajectories.count)
    self.init(
      setup.transformer.configuration,
      gradientBuffers: GradientReducer.bufferCount(grains: recipe.training.grains, ranks: ranks), ranks: ranks,
      rows: examples * (setup.longestPrompt + titles * setup.longestTitle),
      queries: examples * (1 + titles * setup.longestTitle),
      vocabulary: objective.support == .vocabulary || objective.sftSupport == .vocabulary)
  }

  var description: String {
    func megabytes(_ bytes: Int) -> Int { (bytes + 999_999) / 1_000_000 }
    return "\(megabytes(total)) MB per rank: weights \(megabytes(weights)), \(gradientBuffers) gradients"
      + " \(megabytes(gradients)), AdamW \(megabytes(optimizer)), activations \(megabytes(activations))"
  }
}
