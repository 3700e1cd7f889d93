/// Bytes that one rank needs for training, apart from the program itself and the data.
struct MemoryEstimate {
  var weights: Int
  var gradients: Int
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
    gradients = 4 * count * gradientBuffers
    optimizer = 2 * 4 * ((count + ranks - 1) / ranks)
    activations =
      Activations.bytes(c, rows: rows, queries: queries, training: true) + Transformer.backwardBytes(c, rows: rows)
      + (vocabulary ? Head.vocabularyBytes(c, readouts: queries) : 0)
  }
}
