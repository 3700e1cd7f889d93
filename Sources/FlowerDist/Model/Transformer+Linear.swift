/// Linear layers: one product for all modules of a ``ParameterLayout/Linear``, and two thin ones for each module with an
/// adapter. With u = x·Aᵀ and v = dy·B, all times α / r where they are used: y += u·Bᵀ, dx += v·A, dA += vᵀ·x, dB += dyᵀ·u.
extension Transformer {
  /// y = x·Wᵀ + b (+ y when `accumulate`); x `[rows, input]`, y `[rows, output]`.
  func forward(
    _ linear: ParameterLayout.Linear, _ layer: Int, _ x: FloatPointer, rows: Int, to y: MutableFloatPointer,
    accumulate: Bool = false
  ) {
    Gemm.linear(
      x, weight: weights.base + linear.weight, rows: rows, input: linear.input, output: linear.output, to: y,
      accumulate: accumulate, packed: panels(linear, transposed: true), arithmetic)
    if let bias = linear.bias { Kernels.addBias(weights.base + bias, to: y, rows: rows, width: linear.output) }
    forEachAdapted(linear, layer) { part in
      let u = lowRank.reserve(rows * part.rank)
      Gemm.linear(x, weight: part.a, rows: rows, input: linear.input, output: part.rank, to: u, arithmetic)
      Gemm.multiply(
        rows, part.width, part.rank, alpha: part.scale, u, lda: part.rank, part.b, ldb: part.rank, transposeB: true,
        accumulate: true, y + part.column, ldc: linear.output, arithmetic)
    }
  }

  /// The layer's weights as products read them, where they are kept so.
  private func panels(_ linear: ParameterLayout.Linear, transposed: Bool) -> PackedWeights.Panels? {
    let matrix = PackedWeights.Matrix(
      weight: FloatPointer(weights.base + linear.weight), output: linear.output, input: linear.input,
      isTransposed: transposed, arithmetic: arithmetic)
    guard let block else { return packedWeights?.keepIfSeen(matrix) }
    // All blocks together are one use.
    let kept = block == 0 ? packedWeights?.keepIfSeen(matrix) : packedWeights?.kept(matrix)
    return kept ?? packedLayer.keep(matrix)
  }

  /// The embedding as the right side of the logits' product.
  var headMatrix: PackedWeights.Matrix {
    PackedWeights.Matrix(
      weight: FloatPointer(weights.base + layout.head), output: configuration.vocabularySize,
      input: configuration.hiddenSize, isTransposed: true, arithmetic: arithmetic)
  }

  /// Floats of all matrices, packed for the forward pass.
  var packedFloats: Int {
    layout.layers.reduce(headMatrix.floats) { $0 + PackedWeights.floats($1, transposed: true, arithmetic) }
  }

  /// dx = dy·W (+ dx when `accumulate`).
  func inputGradient(
    _ linear: ParameterLayout.Linear, _ layer: Int, _ dy: FloatPointer, rows: Int, to dx: MutableFloatPointer,
    accumulate: Bool = false
  ) {
    Gemm.linearInputGradient(
      dy, weight: weights.base + linear.weight, rows: rows, input: linear.input, output: linear.output, to: dx,
      accumulate: accumulate, packed: panels(linear, transposed: false), arithmetic)
    forEachAdapted(linear, layer) { part in
      let v = outputGradient(part, linear, dy, rows: rows)
      Gemm.multiply(
        rows, linear.input, part.rank, v, lda: part.rank, part.a, ldb: linear.input, accumulate: true, dx, ldc: linear.input,
        arithmetic)
    }
  }

  /// Adds the gradient of what is trained of the linear layer: of W and b, or of the adapters.
  func addWeightGradient(
    _ linear: ParameterLayout.Linear, _ layer: Int, _ dy: FloatPointer, x: FloatPointer, rows: Int,
    to gradient: FloatArena
  ) {
    if let dWeight = dense(gradient, linear.weight) {
      Gemm.linearWeightGradient(
        dy, x: x, rows: rows, input: linear.input, output: linear.output, to: dWeight, arithmetic)
    }
    if let bias = linear.bias, let dBias = dense(gradient, bias) {
      Kernels.addColumnSums(dy, to: dBias, rows: rows, width: linear.output)
    }
    forEachAdapted(linear, layer) { part in
      let v = outputGradient(part, linear, dy, rows: rows)
      Gemm.linearWeightGradient(
        v, x: x, rows: rows, input: linear.input, output: part.rank, to: gradient.base + part.slot.a, arithmetic)
      // One scratch serves both: u comes when v is no longer needed.
      let u = lowRank.reserve(rows * part.rank)
      Gemm.linear(x, weight: part.a, rows: rows, input: linear.input, output: part.rank, to: u, arithmetic)
      Gemm.multiply(
        part.width, part.rank, rows, alpha: part.scale, dy + part.column, lda: linear.output, transposeA: true, u,
        ldb: part.rank, accumulate: true, gradient.base + part.slot.b, ldc: part.rank, arithmetic)
    }
  }

  /// v = α / r · dy·B of one module, `[rows, rank]`.
  private func outputGradient(
    _ part: AdaptedPart, _ linear: ParameterLayout.Linear, _ dy: FloatPointer, rows: Int
  ) -> MutableFloatPointer {
    let v = lowRank.reserve(rows * part.rank)
    Gemm.multiply(
      rows, part.rank, part.width, alpha: part.scale, dy + part.column, lda: linear.output, part.b, ldb: part.rank, v,
      ldc: part.rank, arithmetic)
    return v
  }

  /// One module with an adapter.
  private struct AdaptedPart {
    var slot: Adapter.Slot
    /// A, `[rank, input]`, and B, `[width, rank]`.
    var a: FloatPointer
    var b: FloatPointer
    var rank: Int
    var scale: Float
    /// Where the module's outputs begin in the linear layer's, and how many there are.
    var column: Int
    var width: Int
  }

  @inline(__always)
  private func forEachAdapted(_ linear: ParameterLayout.Linear, _ layer: Int, _ body: (AdaptedPart) -> Void) {
    guard let adapter else { return }
    var column = 0
    for module in linear.modules {
      let width = module.width(configuration).output
      if let slot = adapter.slot(layer, module) {
        body(
          AdaptedPart(
            slot: slot, a: adapter.weights.base + slot.a, b: adapter.weights.base + slot.b,
            rank: adapter.configuration.rank, scale: adapter.configuration.scale, column: column, width: width))
      }
      column += width
    }
  }
}

/// Rows of rank r between the two matrices of an adapter; grows to the most rows seen.
final class LowRankScratch {
  private var arena = FloatArena(count: 0)

  func reserve(_ count: Int) -> MutableFloatPointer {
    if arena.count < count { arena = FloatArena(count: count + count / 4) }
    return arena.base
  }
}
