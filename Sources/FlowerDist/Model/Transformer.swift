/// A decoder of the Qwen2 / Llama family over a ``Forest``: forward in one or several passes, backward by hand.
///
/// Weights are one flat arena, gradients another of the same layout. Not thread-safe: one per rank.
public final class Transformer {
  public let configuration: ModelConfiguration
  public let layout: ParameterLayout
  /// All weights, laid out by ``layout``.
  public let weights: FloatArena

  private let attention: Attention
  private let rotary: RotaryTable
  private let attentionScratch = AttentionScratch()
  private var gradients: BackwardScratch?

  public init(_ configuration: ModelConfiguration) {
    self.configuration = configuration
    layout = ParameterLayout(configuration)
    weights = FloatArena(count: layout.count)
    attention = Attention(configuration: configuration)
    rotary = RotaryTable(headDim: configuration.headDim, theta: configuration.ropeTheta)
  }

  /// Fills the weights: matrices normal with standard deviation `std`, norms 1, biases 0.
  public func initialize(seed: UInt64, std: Double) {
    for (index, parameter) in layout.parameters.enumerated() {
      let view = weights.view(parameter.range)
      if parameter.decays {
        let random = CounterRandom(seed: seed, purpose: .initialWeights, step: UInt32(index))
        for i in stride(from: 0, to: view.count, by: 2) {
          let (a, b) = random.normals(UInt64(i / 2))
          view[i] = Float(a * std)
          if i + 1 < view.count { view[i + 1] = Float(b * std) }
        }
      } else {
        view.update(repeating: parameter.name.hasSuffix("bias") ? 0 : 1)
      }
    }
  }

  // MARK: Forward

  /// Computes the rows from `firstRow` and the outputs from `firstQuery` on; those before were computed in earlier passes.
  ///
  /// Afterwards `activations.hidden` holds the final hidden state of every query.
  func forward(_ forest: Forest, into a: Activations, firstRow: Int = 0, firstQuery: Int = 0) {
    let c = configuration
    let h = c.hiddenSize
    let rows = firstRow..<forest.rowCount
    let queries = firstQuery..<forest.queryCount
    // A row of an earlier pass may be read only now: its input of the last layer is still there.
    if rows.isEmpty && queries.isEmpty { return }
    precondition(forest.rowCount <= a.rowCapacity && forest.queryCount <= a.queryCapacity)
    if let last = forest.positions[rows].max() { rotary.reserve(Int(last) + 1) }
    let embedding = weights.base + layout.embedding
    let x = a.input(0)
    for row in rows { (x + row * h).update(from: embedding + Int(forest.tokens[row]) * h, count: h) }
    for layer in 0..<c.layers {
      let last = layer == c.layers - 1
      forwardKeysValues(forest, a, layer, rows)
      if last {
        forwardQueries(forest, a, layer, queries: queries, rows: forest.queryRows, out: a.final.base)
      } else {
        let everyRow = (0..<Int32(forest.rowCount)).map { $0 }
        forwardQueries(forest, a, layer, queries: rows, rows: everyRow, out: a.input(layer + 1))
      }
    }
    Kernels.rmsNorm(
      a.final.base + queries.lowerBound * h, weight: weights.base + layout.finalNorm, epsilon: Float(c.rmsNormEps),
      out: a.hidden.base + queries.lowerBound * h, inverse: a.finalInverse.base + queries.lowerBound,
      rows: queries.count, width: h)
  }

  /// Normalises the layer's input and writes keys and values of `rows`.
  private func forwardKeysValues(_ forest: Forest, _ a: Activations, _ layer: Int, _ rows: Range<Int>) {
    let c = configuration
    let p = layout.layers[layer]
    let w = weights.base
    let kv = 2 * c.kvDim
    let normed = a.normed.base + rows.lowerBound * c.hiddenSize
    let keyValue = a.keyValue(layer) + rows.lowerBound * kv
    Kernels.rmsNorm(
      a.input(layer) + rows.lowerBound * c.hiddenSize, weight: w + p.inputNorm, epsilon: Float(c.rmsNormEps),
      out: normed, inverse: a.inputInverse(layer) + rows.lowerBound, rows: rows.count, width: c.hiddenSize)
    Gemm.linear(normed, weight: w + p.kv, rows: rows.count, input: c.hiddenSize, output: kv, to: keyValue)
    if c.attentionBias { Kernels.addBias(w + p.kvBias, to: keyValue, rows: rows.count, width: kv) }
    rotate(keyValue, stride: kv, heads: c.kvHeads, Array(forest.positions[rows]), inverse: false)
  }

  /// The rest of the layer for the queries `queries` of the list `rows`: attention and MLP, `out` = `[queries, hidden]`.
  ///
  /// In the last layer only rows whose output is used are queries; elsewhere all rows are.
  private func forwardQueries(
    _ forest: Forest, _ a: Activations, _ layer: Int, queries: Range<Int>, rows: [Int32], out: MutableFloatPointer
  ) {
    let c = configuration
    let h = c.hiddenSize
    let p = layout.layers[layer]
    let w = weights.base
    let first = queries.lowerBound
    let count = queries.count
    let gathered = a.gathered.base
    let q = a.query(layer) + first * c.queryDim
    let attended = a.attended(layer)
    let middle = a.middle(layer) + first * h
    var normed = a.normed.base + first * h
    if layer == c.layers - 1 {
      gather(a.normed.base, rows[queries], to: gathered)
      gather(a.input(layer), rows[queries], to: middle)
      normed = gathered
    } else {
      middle.update(from: a.input(layer) + first * h, count: count * h)
    }
    Gemm.linear(normed, weight: w + p.q, rows: count, input: h, output: c.queryDim, to: q)
    if c.attentionBias { Kernels.addBias(w + p.qBias, to: q, rows: count, width: c.queryDim) }
    rotate(q, stride: c.queryDim, heads: c.heads, queries.map { forest.positions[Int(rows[$0])] }, inverse: false)
    attention.forward(
      forest, rows: rows[queries], query: a.query(layer), keyValue: a.keyValue(layer), out: attended,
      logSum: a.logSum(layer), scratch: attentionScratch)
    Gemm.linear(
      attended + first * c.queryDim, weight: w + p.o, rows: count, input: c.queryDim, output: h, to: middle,
      accumulate: true)
    Kernels.rmsNorm(
      middle, weight: w + p.postNorm, epsilon: Float(c.rmsNormEps), out: gathered,
      inverse: a.middleInverse(layer) + first, rows: count, width: h)
    let gateUp = a.gateUp(layer) + first * 2 * c.intermediateSize
    Gemm.linear(gathered, weight: w + p.gateUp, rows: count, input: h, output: 2 * c.intermediateSize, to: gateUp)
    Kernels.siluGate(gateUp, out: a.mlp.base, rows: count, width: c.intermediateSize)
    let result = out + first * h
    if result != middle { result.update(from: middle, count: count * h) }
    Gemm.linear(
      a.mlp.base, weight: w + p.down, rows: count, input: c.intermediateSize, output: h, to: result, accumulate: true)
  }

  /// Copies `rows` of a matrix as wide as the residual stream.
  private func gather(_ source: FloatPointer, _ rows: ArraySlice<Int32>, to target: MutableFloatPointer) {
    let h = configuration.hiddenSize
    for (i, row) in rows.enumerated() { (target + i * h).update(from: source + Int(row) * h, count: h) }
  }

  private func rotate(_ x: MutableFloatPointer, stride: Int, heads: Int, _ positions: [Int32], inverse: Bool) {
    positions.withUnsafeBufferPointer { positions in
      guard let base = positions.baseAddress else { return }
      Kernels.rope(
        x, stride: stride, heads: heads, headDim: configuration.headDim, positions: base,
        cosine: rotary.cosine.base, sine: rotary.sine.base, rows: positions.count, inverse: inverse)
    }
  }

  // MARK: Backward

  /// Adds to `gradient` (laid out by ``layout``) the gradient of a loss whose derivative by `a.hidden` is `dHidden`.
  ///
  /// Consumes the activations: a forest is walked back once, over all rows of all passes together.
  func backward(_ forest: Forest, _ a: Activations, dHidden: FloatPointer, gradient: FloatArena) {
    precondition(a.keepsForBackward, "activations were made for inference")
    if forest.queryCount == 0 { return }
    let c = configuration
    let h = c.hiddenSize
    let scratch = backwardScratch(rows: forest.rowCount)
    let w = weights.base
    let g = gradient.base
    scratch.dQueryOut.base.update(repeating: 0, count: forest.queryCount * h)
    Kernels.rmsNormBackward(
      dHidden, x: a.final.base, weight: w + layout.finalNorm, inverse: a.finalInverse.base, dx: scratch.dQueryOut.base,
      dWeight: g + layout.finalNorm, rows: forest.queryCount, width: h)
    let everyRow = (0..<Int32(forest.rowCount)).map { $0 }
    for layer in (0..<c.layers).reversed() {
      let last = layer == c.layers - 1
      let rows = last ? forest.queryRows : everyRow
      // The residual stream's gradient arrives by query and leaves by row.
      if !last { swap(&scratch.dx, &scratch.dQueryOut) }
      backwardLayer(forest, a, layer, rows: rows, scratch, gradient: g)
    }
    let dEmbedding = g + layout.embedding
    for row in 0..<forest.rowCount {
      add(scratch.dx.base + row * h, to: dEmbedding + Int(forest.tokens[row]) * h, h)
    }
  }

  /// `scratch.dQueryOut` is the gradient of the layer's output by query; afterwards `scratch.dx` is that of its input by row.
  private func backwardLayer(
    _ forest: Forest, _ a: Activations, _ layer: Int, rows: [Int32], _ s: BackwardScratch,
    gradient g: MutableFloatPointer
  ) {
    let c = configuration
    let h = c.hiddenSize
    let inner = c.intermediateSize
    let kv = 2 * c.kvDim
    let p = layout.layers[layer]
    let w = weights.base
    let queries = rows.count
    let all = forest.rowCount
    let dOut = s.dQueryOut.base
    let gathered = a.gathered.base

    // MLP: out = middle + down(silu(gate) · up).
    Gemm.linearInputGradient(dOut, weight: w + p.down, rows: queries, input: inner, output: h, to: s.dMLP.base)
    Kernels.siluGateBackward(
      s.dMLP.base, gateUp: a.gateUp(layer), activation: a.mlp.base, rows: queries, width: inner)
    Gemm.linearWeightGradient(dOut, x: a.mlp.base, rows: queries, input: inner, output: h, to: g + p.down)
    Kernels.rmsNormAgain(
      a.middle(layer), weight: w + p.postNorm, inverse: a.middleInverse(layer), out: gathered, rows: queries, width: h)
    Gemm.linearWeightGradient(
      a.gateUp(layer), x: gathered, rows: queries, input: h, output: 2 * inner, to: g + p.gateUp)
    Gemm.linearInputGradient(
      a.gateUp(layer), weight: w + p.gateUp, rows: queries, input: h, output: 2 * inner, to: s.dNormed.base)
    Kernels.rmsNormBackward(
      s.dNormed.base, x: a.middle(layer), weight: w + p.postNorm, inverse: a.middleInverse(layer), dx: dOut,
      dWeight: g + p.postNorm, rows: queries, width: h)

    // Attention: middle = input + o(attend(q, k, v)).
    Gemm.linearWeightGradient(
      dOut, x: a.attended(layer), rows: queries, input: c.queryDim, output: h, to: g + p.o)
    Gemm.linearInputGradient(
      dOut, weight: w + p.o, rows: queries, input: c.queryDim, output: h, to: s.dAttended.base)
    s.dKeyValue.base.update(repeating: 0, count: all * kv)
    attention.backward(
      forest, rows: rows[...], query: a.query(layer), keyValue: a.keyValue(layer), out: a.attended(layer),
      logSum: a.logSum(layer), dOut: s.dAttended.base, dQuery: s.dQuery.base, dKeyValue: s.dKeyValue.base,
      scratch: attentionScratch)
    rotate(s.dQuery.base, stride: c.queryDim, heads: c.heads, rows.map { forest.positions[Int($0)] }, inverse: true)
    rotate(s.dKeyValue.base, stride: kv, heads: c.kvHeads, forest.positions, inverse: true)

    // Projections: q of the queries, k and v of all rows, from one normalised input.
    Kernels.rmsNormAgain(
      a.input(layer), weight: w + p.inputNorm, inverse: a.inputInverse(layer), out: a.normed.base, rows: all, width: h)
    let last = layer == c.layers - 1
    if last { gather(a.normed.base, rows[...], to: gathered) }
    Gemm.linearWeightGradient(
      s.dQuery.base, x: last ? gathered : a.normed.base, rows: queries, input: h, output: c.queryDim, to: g + p.q)
    Gemm.linearWeightGradient(s.dKeyValue.base, x: a.normed.base, rows: all, input: h, output: kv, to: g + p.kv)
    if c.attentionBias {
      Kernels.addColumnSums(s.dQuery.base, to: g + p.qBias, rows: queries, width: c.queryDim)
      Kernels.addColumnSums(s.dKeyValue.base, to: g + p.kvBias, rows: all, width: kv)
    }
    Gemm.linearInputGradient(s.dKeyValue.base, weight: w + p.kv, rows: all, input: h, output: kv, to: s.dNormed.base)
    Gemm.linearInputGradient(
      s.dQuery.base, weight: w + p.q, rows: queries, input: h, output: c.queryDim,
      to: last ? gathered : s.dNormed.base, accumulate: !last)
    if last {
      s.dx.base.update(repeating: 0, count: all * h)
      for (i, row) in rows.enumerated() {
        add(gathered + i * h, to: s.dNormed.base + Int(row) * h, h)
        add(dOut + i * h, to: s.dx.base + Int(row) * h, h)
      }
    } else {
      // Queries are rows: the residual stream's gradient stays where it is.
      swap(&s.dx, &s.dQueryOut)
    }
    Kernels.rmsNormBackward(
      s.dNormed.base, x: a.input(layer), weight: w + p.inputNorm, inverse: a.inputInverse(layer), dx: s.dx.base,
      dWeight: g + p.inputNorm, rows: all, width: h)
  }

  /// Bytes of scratch that the backward pass needs, without that of the attention.
  static func backwardBytes(_ c: ModelConfiguration, rows: Int) -> Int {
    4 * rows * (3 * c.hiddenSize + c.intermediateSize + 2 * c.queryDim + 2 * c.kvDim)
  }

  private func backwardScratch(rows: Int) -> BackwardScratch {
    if let gradients, gradients.rowCapacity >= rows { return gradients }
    let made = BackwardScratch(configuration, rows: rows + rows / 4)
    gradients = made
    return made
  }
}

/// Gradients of one layer's quantities, reused by all layers.
private final class BackwardScratch {
  let rowCapacity: Int
  /// Gradient of a layer's input by row, and of its output by query; they change places between layers.
  var dx: FloatArena
  var dQueryOut: FloatArena
  let dNormed: FloatArena
  let dMLP: FloatArena
  let dAttended: FloatArena
  let dQuery: FloatArena
  let dKeyValue: FloatArena

  init(_ c: ModelConfiguration, rows: Int) {
    rowCapacity = rows
    dx = FloatArena(count: rows * c.hiddenSize)
    dQueryOut = FloatArena(count: rows * c.hiddenSize)
    dNormed = FloatArena(count: rows * c.hiddenSize)
    dMLP = FloatArena(count: rows * c.intermediateSize)
    dAttended = FloatArena(count: rows * c.queryDim)
    dQuery = FloatArena(count: rows * c.queryDim)
    dKeyValue = FloatArena(count: rows * 2 * c.kvDim)
  }
}
