/// A decoder of the Qwen2 / Qwen3 / Llama family over a ``Forest``: forward in one or several passes, backward by hand.
///
/// Weights are one flat arena, gradients another of the same layout; with an ``Adapter`` the weights are frozen and the
/// gradients are the adapter's. Not thread-safe: one per rank.
public final class Transformer {
  public let configuration: ModelConfiguration
  public let layout: ParameterLayout
  /// All weights, laid out by ``layout``.
  public let weights: FloatArena
  /// Where it is set, it is what training moves.
  public var adapter: Adapter?
  /// Of the linear layers and the head; attention is of ``Arithmetic/fma``.
  public var arithmetic = Arithmetic.fma {
    didSet { packedLayer = PackedWeights(limit: PackedWeights.floats(ofLayerIn: layout, arithmetic)) }
  }
  /// ``weightsDigest()``, computed once: for weights that stay as they are.
  lazy var frozenDigest = weightsDigest()

  /// Returns when what is trained is there up to an offset; set where new weights may still be on their way.
  var awaitTrained: ((_ end: Int) -> Void)?
  /// Called every few products of a forward pass, for what goes on beside it.
  var betweenProducts: (() -> Void)?

  let lowRank = LowRankScratch()
  /// Set while no weight changes.
  var packedWeights: PackedWeights?
  /// Weights of the layer at hand, for the blocks of its rows.
  private(set) var packedLayer: PackedWeights
  /// Rows of each thread that go through several products of a layer before the next rows do: what one product writes is
  /// still in the second-level cache when the next reads it. On the way back they are whole chains of the weights'
  /// gradients, so that no bit depends on them.
  var blockRows = Transformer.usualBlockRows
  static let usualBlockRows = (forward: 224, backward: Gemm.chain)
  /// The number of the block at hand, where a layer's rows are computed in several.
  private(set) var block: Int?
  private let rotary: RotaryTable
  private var gradients: BackwardScratch?

  /// - Parameter weights: an arena for them, if there is one already, as large as the layout.
  public init(_ configuration: ModelConfiguration, weights: FloatArena? = nil) {
    self.configuration = configuration
    layout = ParameterLayout(configuration)
    packedLayer = PackedWeights(limit: PackedWeights.floats(ofLayerIn: layout, arithmetic))
    self.weights = weights ?? FloatArena(count: layout.count)
    precondition(self.weights.count == layout.count, "an arena of another size than the layout")
    rotary = RotaryTable(
      headDim: configuration.headDim, theta: configuration.ropeTheta, scaling: configuration.ropeScaling)
  }

  /// The parameters that training moves, and the arena that holds them.
  public var trainable: (list: ParameterList, weights: FloatArena) {
    adapter.map { ($0.list, $0.weights) } ?? (layout.list, weights)
  }

  /// The same model with a copy of what training moves.
  func copy() -> Transformer {
    let copy = Transformer(configuration, weights: adapter == nil ? weights.copy() : weights)
    copy.adapter = adapter.map { Adapter($0.configuration, of: configuration, weights: $0.weights.copy()) }
    copy.arithmetic = arithmetic
    return copy
  }

  /// Number of weights that training leaves as they are.
  public var frozenCount: Int { adapter == nil ? 0 : layout.count }

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
    awaitTrained?(start(ofLayer: 0))
    let embedding = weights.base + layout.embedding
    let x = a.input(0)
    for row in rows { (x + row * h).update(from: embedding + Int(forest.tokens[row]) * h, count: h) }
    for layer in 0..<c.layers {
      let last = layer == c.layers - 1
      awaitTrained?(last ? trainable.list.count : start(ofLayer: layer + 1))
      let layerQueries = last ? queries : rows
      forwardAttention(forest, a, layer, rows, queries: layerQueries)
      betweenProducts?()
      forwardOutputAndMLP(forest, a, layer, layerQueries, out: last ? a.final.base : a.input(layer + 1))
    }
    Kernels.rmsNorm(
      a.final.base + queries.lowerBound * h, weight: weights.base + layout.finalNorm, epsilon: Float(c.rmsNormEps),
      out: a.hidden.base + queries.lowerBound * h, inverse: a.finalInverse.base + queries.lowerBound,
      rows: queries.count, width: h)
  }

  /// Calls `body` for blocks of `rows` of at most `size` for each thread, with its weights packed once for all of them.
  func forEachBlock(_ rows: Range<Int>, _ size: Int, _ body: (Range<Int>) -> Void) {
    let size = size * Threads.count
    packedLayer.forget()
    defer { block = nil }
    for (index, first) in stride(from: rows.lowerBound, to: rows.upperBound, by: size).enumerated() {
      block = rows.count > size ? index : nil
      body(first..<min(first + size, rows.upperBound))
    }
  }

  /// Bytes of the weights that are packed for blocks, where there are so many rows.
  static func packedLayerBytes(_ c: ModelConfiguration, rows: Int, _ arithmetic: Arithmetic) -> Int {
    rows > usualBlockRows.forward * Threads.count
      ? 4 * PackedWeights.floats(ofLayerIn: ParameterLayout(c), arithmetic) : 0
  }

  /// The row of each query of a layer: all rows, in the last layer those whose output is used.
  func queryRows(_ forest: Forest, _ layer: Int) -> [Int32] {
    layer == configuration.layers - 1 ? forest.queryRows : (0..<Int32(forest.rowCount)).map { $0 }
  }

  /// A layer up to what its attention puts out, for its keys and values of `rows` and the queries `queries` of
  /// ``queryRows(_:_:)``.
  func forwardAttention(_ forest: Forest, _ a: Activations, _ layer: Int, _ rows: Range<Int>, queries: Range<Int>) {
    let c = configuration
    let h = c.hiddenSize
    let queryRows = queryRows(forest, layer)[queries]
    forwardKeysValues(forest, a, layer, rows)
    // Queries are rows, but not in the last layer.
    var normed = a.normed.base + queries.lowerBound * h
    if layer == c.layers - 1 {
      gather(a.normed.base, queryRows, to: a.gathered.base)
      normed = a.gathered.base
    }
    forwardQueries(forest, a, layer, queries, queryRows, normed: normed)
    attention(forest, a, layer, queryRows).forward()
  }

  /// Normalises the layer's input and writes keys and values of `rows`.
  private func forwardKeysValues(_ forest: Forest, _ a: Activations, _ layer: Int, _ rows: Range<Int>) {
    let c = configuration
    let p = layout.layers[layer]
    let w = weights.base
    let kv = 2 * c.kvDim
    let first = rows.lowerBound
    let normed = a.normed.base + first * c.hiddenSize
    let keyValue = a.keyValue(layer) + first * kv
    Kernels.rmsNorm(
      a.input(layer) + first * c.hiddenSize, weight: w + p.inputNorm, epsilon: Float(c.rmsNormEps),
      out: normed, inverse: a.inputInverse(layer) + first, rows: rows.count, width: c.hiddenSize)
    forward(p.kv, layer, normed, rows: rows.count, to: keyValue)
    if let norms = p.headNorms {
      Kernels.normHeads(
        keyValue, stride: kv, heads: c.kvHeads, width: c.headDim, weight: w + norms.key, epsilon: Float(c.rmsNormEps),
        raw: a.rawKey(layer) + first * c.kvDim, inverse: a.keyInverse(layer) + first * c.kvHeads, rows: rows.count)
    }
    rotate(keyValue, stride: kv, heads: c.kvHeads, Array(forest.positions[rows]), inverse: false)
  }

  /// Writes the queries `queries`, of the rows `rows`, from their normalised inputs.
  private func forwardQueries(
    _ forest: Forest, _ a: Activations, _ layer: Int, _ queries: Range<Int>, _ rows: ArraySlice<Int32>,
    normed: FloatPointer
  ) {
    let c = configuration
    let p = layout.layers[layer]
    let first = queries.lowerBound
    let q = a.query(layer) + first * c.queryDim
    forward(p.q, layer, normed, rows: queries.count, to: q)
    if let norms = p.headNorms {
      Kernels.normHeads(
        q, stride: c.queryDim, heads: c.heads, width: c.headDim, weight: weights.base + norms.query,
        epsilon: Float(c.rmsNormEps), raw: a.rawQuery(layer) + first * c.queryDim,
        inverse: a.queryInverse(layer) + first * c.heads, rows: queries.count)
    }
    rotate(q, stride: c.queryDim, heads: c.heads, rows.map { forest.positions[Int($0)] }, inverse: false)
  }

  /// The rest of the layer for `queries`: the attention's projection and the MLP, `out` = `[queries, hidden]`. Without
  /// `out` only what the layer's backward pass needs, up to gates and ups.
  func forwardOutputAndMLP(
    _ forest: Forest, _ a: Activations, _ layer: Int, _ queries: Range<Int>, out: MutableFloatPointer?
  ) {
    let c = configuration
    let h = c.hiddenSize
    let p = layout.layers[layer]
    let gathered = a.gathered.base
    forEachBlock(queries, blockRows.forward) { queries in
      let first = queries.lowerBound
      let count = queries.count
      let middle = a.middle(layer) + first * h
      let gateUp = a.gateUp(layer) + first * 2 * c.intermediateSize
      if layer == c.layers - 1 {
        gather(a.input(layer), forest.queryRows[queries], to: middle)
      } else {
        middle.update(from: a.input(layer) + first * h, count: count * h)
      }
      forward(p.o, layer, a.attended(layer) + first * c.queryDim, rows: count, to: middle, accumulate: true)
      Kernels.rmsNorm(
        middle, weight: weights.base + p.postNorm, epsilon: Float(c.rmsNormEps), out: gathered,
        inverse: a.middleInverse(layer) + first, rows: count, width: h)
      forward(p.gateUp, layer, gathered, rows: count, to: gateUp)
      guard let out else { return }
      Kernels.siluGate(gateUp, out: a.mlp.base, rows: count, width: c.intermediateSize)
      let result = out + first * h
      result.update(from: middle, count: count * h)
      forward(p.down, layer, a.mlp.base, rows: count, to: result, accumulate: true)
    }
  }

  func attention(_ forest: Forest, _ a: Activations, _ layer: Int, _ rows: ArraySlice<Int32>) -> Attention {
    Attention(
      configuration: configuration, forest: forest, rows: rows, query: a.query(layer), keyValue: a.keyValue(layer),
      out: a.attended(layer), logSum: a.logSum(layer))
  }

  /// Copies `rows` of a matrix as wide as the residual stream.
  func gather(_ source: FloatPointer, _ rows: ArraySlice<Int32>, to target: MutableFloatPointer) {
    let h = configuration.hiddenSize
    for (i, row) in rows.enumerated() { (target + i * h).update(from: source + Int(row) * h, count: h) }
  }

  func rotate(_ x: MutableFloatPointer, stride: Int, heads: Int, _ positions: [Int32], inverse: Bool) {
    positions.withUnsafeBufferPointer { positions in
      guard let base = positions.baseAddress else { return }
      Kernels.rope(
        x, stride: stride, heads: heads, headDim: configuration.headDim, positions: base,
        cosine: rotary.cosine.base, sine: rotary.sine.base, rows: positions.count, inverse: inverse)
    }
  }

  func backwardScratch(rows: Int) -> BackwardScratch {
    if let gradients, gradients.rowCapacity >= rows { return gradients }
    let made = BackwardScratch(configuration, rows: rows + rows / 4)
    gradients = made
    return made
  }
}
