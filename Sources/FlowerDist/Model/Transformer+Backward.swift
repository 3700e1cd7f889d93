extension Transformer {
  /// Adds to `gradient` (laid out by ``trainable``) the gradient of a loss whose derivative by `a.hidden` is `dHidden`.
  ///
  /// Consumes the activations: a forest is walked back once, over all rows of all passes together.
  ///
  /// - Parameter progress: called every few products with the offset from which on `gradient` is complete: layers lie in the
  ///   arena in their order, and their gradients are made in the opposite one.
  func backward(
    _ forest: Forest, _ a: Activations, dHidden: FloatPointer, gradient: FloatArena,
    progress: ((_ completeFrom: Int) -> Void)? = nil
  ) {
    precondition(a.keeping != .nothing, "activations were made for inference")
    if forest.queryCount == 0 { return }
    let c = configuration
    let h = c.hiddenSize
    let scratch = backwardScratch(rows: forest.rowCount)
    scratch.dQueryOut.base.update(repeating: 0, count: forest.queryCount * h)
    Kernels.rmsNormBackward(
      dHidden, x: a.final.base, weight: weights.base + layout.finalNorm, inverse: a.finalInverse.base,
      dx: scratch.dQueryOut.base, dWeight: dense(gradient, layout.finalNorm), rows: forest.queryCount, width: h)
    var complete = adapter == nil ? layout.finalNorm : gradient.count
    for layer in (0..<c.layers).reversed() {
      let rows = queryRows(forest, layer)
      if a.keeping == .inputs {
        forwardKeysValues(forest, a, layer, 0..<forest.rowCount)
        forwardToGates(forest, a, layer, queries: 0..<rows.count, rows: rows)
      }
      // The residual stream's gradient arrives by query and leaves by row.
      if layer < c.layers - 1 { swap(&scratch.dx, &scratch.dQueryOut) }
      backwardLayer(forest, a, layer, rows: rows, scratch, gradient) { progress?(complete) }
      complete = start(ofLayer: layer)
      progress?(complete)
    }
    guard let dEmbedding = dense(gradient, layout.embedding) else { return }
    for row in 0..<forest.rowCount {
      add(scratch.dx.base + row * h, to: dEmbedding + Int(forest.tokens[row]) * h, h)
    }
  }

  /// `s.dQueryOut` is the gradient of the layer's output by query; afterwards `s.dx` is that of its input by row (but not
  /// below the first layer of a frozen model, where nobody asks for it).
  ///
  /// - Parameter pause: called every few products.
  private func backwardLayer(
    _ forest: Forest, _ a: Activations, _ layer: Int, rows: [Int32], _ s: BackwardScratch, _ gradient: FloatArena,
    pause: () -> Void
  ) {
    let c = configuration
    let h = c.hiddenSize
    let inner = c.intermediateSize
    let kv = 2 * c.kvDim
    let p = layout.layers[layer]
    let w = weights.base
    let queries = rows.count
    let all = forest.rowCount
    let last = layer == c.layers - 1
    let dOut = s.dQueryOut.base
    let gathered = a.gathered.base

    // MLP: out = middle + down(silu(gate) · up).
    inputGradient(p.down, layer, dOut, rows: queries, to: s.dMLP.base)
    Kernels.siluGateBackward(
      s.dMLP.base, gateUp: a.gateUp(layer), activation: a.mlp.base, rows: queries, width: inner)
    addWeightGradient(p.down, layer, dOut, x: a.mlp.base, rows: queries, to: gradient)
    pause()
    Kernels.rmsNormAgain(
      a.middle(layer), weight: w + p.postNorm, inverse: a.middleInverse(layer), out: gathered, rows: queries, width: h)
    addWeightGradient(p.gateUp, layer, a.gateUp(layer), x: gathered, rows: queries, to: gradient)
    pause()
    inputGradient(p.gateUp, layer, a.gateUp(layer), rows: queries, to: s.dNormed.base)
    Kernels.rmsNormBackward(
      s.dNormed.base, x: a.middle(layer), weight: w + p.postNorm, inverse: a.middleInverse(layer), dx: dOut,
      dWeight: dense(gradient, p.postNorm), rows: queries, width: h)

    pause()

    // Attention: middle = input + o(attend(q, k, v)).
    addWeightGradient(p.o, layer, dOut, x: a.attended(layer), rows: queries, to: gradient)
    inputGradient(p.o, layer, dOut, rows: queries, to: s.dAttended.base)
    s.dKeyValue.base.update(repeating: 0, count: all * kv)
    attention(forest, a, layer, rows[...]).backward(
      dOut: s.dAttended.base, dQuery: s.dQuery.base, dKeyValue: s.dKeyValue.base)
    pause()
    rotate(s.dQuery.base, stride: c.queryDim, heads: c.heads, rows.map { forest.positions[Int($0)] }, inverse: true)
    rotate(s.dKeyValue.base, stride: kv, heads: c.kvHeads, forest.positions, inverse: true)
    if let norms = p.headNorms {
      Kernels.normHeadsBackward(
        s.dQuery.base, stride: c.queryDim, heads: c.heads, width: c.headDim, weight: w + norms.query,
        raw: a.rawQuery(layer), inverse: a.queryInverse(layer), dWeight: dense(gradient, norms.query), rows: queries)
      Kernels.normHeadsBackward(
        s.dKeyValue.base, stride: kv, heads: c.kvHeads, width: c.headDim, weight: w + norms.key, raw: a.rawKey(layer),
        inverse: a.keyInverse(layer), dWeight: dense(gradient, norms.key), rows: all)
    }

    // Projections: q of the queries, k and v of all rows, from one normalised input.
    Kernels.rmsNormAgain(
      a.input(layer), weight: w + p.inputNorm, inverse: a.inputInverse(layer), out: a.normed.base, rows: all, width: h)
    if last { gather(a.normed.base, rows[...], to: gathered) }
    addWeightGradient(
      p.q, layer, s.dQuery.base, x: last ? gathered : a.normed.base, rows: queries, to: gradient)
    addWeightGradient(p.kv, layer, s.dKeyValue.base, x: a.normed.base, rows: all, to: gradient)
    if layer == 0 && adapter != nil { return }
    inputGradient(p.kv, layer, s.dKeyValue.base, rows: all, to: s.dNormed.base)
    inputGradient(
      p.q, layer, s.dQuery.base, rows: queries, to: last ? gathered : s.dNormed.base, accumulate: !last)
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
      dWeight: dense(gradient, p.inputNorm), rows: all, width: h)
  }

  /// Where what is trained of a layer and of those above it begins.
  func start(ofLayer layer: Int) -> Int { adapter?.start(ofLayer: layer) ?? layout.layers[layer].inputNorm }

  /// Where the gradient of the weights at `offset` goes; `nil` where they are frozen.
  func dense(_ gradient: FloatArena, _ offset: Int) -> MutableFloatPointer? {
    adapter == nil ? gradient.base + offset : nil
  }

  /// Bytes of scratch that the backward pass needs, without that of the attention.
  static func backwardBytes(_ c: ModelConfiguration, rows: Int) -> Int {
    4 * rows * (3 * c.hiddenSize + c.intermediateSize + 2 * c.queryDim + 2 * c.kvDim)
  }
}

/// Gradients of one layer's quantities, reused by all layers.
final class BackwardScratch {
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
