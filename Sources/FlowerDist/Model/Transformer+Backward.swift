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
        forwardAttention(forest, a, layer, 0..<forest.rowCount, queries: 0..<rows.count)
        forwardOutputAndMLP(forest, a, layer, 0..<rows.count, out: nil)
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
    let p = layout.layers[layer]
    let w = weights.base
    let queries = rows.count
    let all = forest.rowCount
    let last = layer == c.layers - 1
    let gathered = a.gathered.base

    forEachBlock(0..<queries, blockRows.backward) { queries in
      let (first, count) = (queries.lowerBound, queries.count)
      let dOut = s.dQueryOut.base + first * h
      let gateUp = a.gateUp(layer) + first * 2 * inner
      let middle = a.middle(layer) + first * h
      let inverse = a.middleInverse(layer) + first

      // MLP: out = middle + down(silu(gate) · up).
      inputGradient(p.down, layer, dOut, rows: count, to: s.dMLP.base)
      Kernels.siluGateBackward(s.dMLP.base, gateUp: gateUp, activation: a.mlp.base, rows: count, width: inner)
      addWeightGradient(p.down, layer, dOut, x: a.mlp.base, rows: count, to: gradient)
      pause()
      Kernels.rmsNormAgain(middle, weight: w + p.postNorm, inverse: inverse, out: gathered, rows: count, width: h)
      addWeightGradient(p.gateUp, layer, gateUp, x: gathered, rows: count, to: gradient)
      pause()
      inputGradient(p.gateUp, layer, gateUp, rows: count, to: s.dNormed.base)
      Kernels.rmsNormBackward(
        s.dNormed.base, x: middle, weight: w + p.postNorm, inverse: inverse, dx: dOut,
        dWeight: dense(gradient, p.postNorm), rows: count, width: h)
      pause()

      // Attention: middle = input + o(attend(q, k, v)).
      addWeightGradient(p.o, layer, dOut, x: a.attended(layer) + first * c.queryDim, rows: count, to: gradient)
      inputGradient(p.o, layer, dOut, rows: count, to: s.dAttended.base + first * c.queryDim)
    }
    s.dKeyValue.base.update(repeating: 0, count: all * 2 * c.kvDim)
    attention(forest, a, layer, rows[...]).backward(
      dOut: s.dAttended.base, dQuery: s.dQuery.base, dKeyValue: s.dKeyValue.base)
    pause()

    // Projections: q of the queries, k and v of all rows, from one normalised input.
    let isFirst = layer == 0 && adapter != nil
    let normalise = { [self] (rows: Range<Int>) in
      let first = rows.lowerBound
      Kernels.rmsNormAgain(
        a.input(layer) + first * h, weight: w + p.inputNorm, inverse: a.inputInverse(layer) + first,
        out: a.normed.base + first * h, rows: rows.count, width: h)
    }
    if last {
      normalise(0..<all)
      gather(a.normed.base, rows[...], to: gathered)
      backwardQueries(
        forest, a, layer, 0..<queries, rows[...], s, normed: gathered, dNormed: isFirst ? nil : gathered, gradient)
      s.dNormed.base.update(repeating: 0, count: all * h)
      s.dx.base.update(repeating: 0, count: all * h)
      for (i, row) in rows.enumerated() {
        add(gathered + i * h, to: s.dNormed.base + Int(row) * h, h)
        add(s.dQueryOut.base + i * h, to: s.dx.base + Int(row) * h, h)
      }
    } else {
      // Queries are rows: the residual stream's gradient stays where it is.
      swap(&s.dx, &s.dQueryOut)
    }
    forEachBlock(0..<all, blockRows.backward) { block in
      let first = block.lowerBound
      let normed = a.normed.base + first * h
      let dNormed = s.dNormed.base + first * h
      if !last {
        normalise(block)
        backwardQueries(
          forest, a, layer, block, rows[block], s, normed: normed, dNormed: isFirst ? nil : dNormed, gradient)
      }
      backwardKeysValues(forest, a, layer, block, s, normed: normed, dNormed: isFirst ? nil : dNormed, gradient)
      pause()
      if isFirst { return }
      Kernels.rmsNormBackward(
        dNormed, x: a.input(layer) + first * h, weight: w + p.inputNorm, inverse: a.inputInverse(layer) + first,
        dx: s.dx.base + first * h, dWeight: dense(gradient, p.inputNorm), rows: block.count, width: h)
    }
  }

  /// The gradient of the queries `queries`, of the rows `rows`, from after RoPE to their normalised inputs, where it is
  /// written: `dNormed` may be `normed`.
  private func backwardQueries(
    _ forest: Forest, _ a: Activations, _ layer: Int, _ queries: Range<Int>, _ rows: ArraySlice<Int32>,
    _ s: BackwardScratch, normed: FloatPointer, dNormed: MutableFloatPointer?, _ gradient: FloatArena
  ) {
    let c = configuration
    let p = layout.layers[layer]
    let first = queries.lowerBound
    let dQuery = s.dQuery.base + first * c.queryDim
    rotate(dQuery, stride: c.queryDim, heads: c.heads, rows.map { forest.positions[Int($0)] }, inverse: true)
    if let norms = p.headNorms {
      Kernels.normHeadsBackward(
        dQuery, stride: c.queryDim, heads: c.heads, width: c.headDim, weight: weights.base + norms.query,
        raw: a.rawQuery(layer) + first * c.queryDim, inverse: a.queryInverse(layer) + first * c.heads,
        dWeight: dense(gradient, norms.query), rows: queries.count)
    }
    addWeightGradient(p.q, layer, dQuery, x: normed, rows: queries.count, to: gradient)
    if let dNormed { inputGradient(p.q, layer, dQuery, rows: queries.count, to: dNormed) }
  }

  /// The same of the keys and values of `rows`, whose gradient is added to that of their normalised inputs.
  private func backwardKeysValues(
    _ forest: Forest, _ a: Activations, _ layer: Int, _ rows: Range<Int>, _ s: BackwardScratch, normed: FloatPointer,
    dNormed: MutableFloatPointer?, _ gradient: FloatArena
  ) {
    let c = configuration
    let p = layout.layers[layer]
    let first = rows.lowerBound
    let kv = 2 * c.kvDim
    let dKeyValue = s.dKeyValue.base + first * kv
    rotate(dKeyValue, stride: kv, heads: c.kvHeads, Array(forest.positions[rows]), inverse: true)
    if let norms = p.headNorms {
      Kernels.normHeadsBackward(
        dKeyValue, stride: kv, heads: c.kvHeads, width: c.headDim, weight: weights.base + norms.key,
        raw: a.rawKey(layer) + first * c.kvDim, inverse: a.keyInverse(layer) + first * c.kvHeads,
        dWeight: dense(gradient, norms.key), rows: rows.count)
    }
    addWeightGradient(p.kv, layer, dKeyValue, x: normed, rows: rows.count, to: gradient)
    if let dNormed { inputGradient(p.kv, layer, dKeyValue, rows: rows.count, to: dNormed, accumulate: true) }
  }

  /// Where what is trained of a layer and of those above it begins.
  func start(ofLayer layer: Int) -> Int { adapter?.start(ofLayer: layer) ?? layout.layers[layer].inputNorm }

  /// Where the gradient of the weights at `offset` goes; `nil` where they are frozen.
  func dense(_ gradient: FloatArena, _ offset: Int) -> MutableFloatPointer? {
    adapter == nil ? gradient.base + offset : nil
  }

  /// Bytes of scratch that the backward pass needs, without that of the attention.
  static func backwardBytes(_ c: ModelConfiguration, rows: Int) -> Int {
    let block = min(rows, usualBlockRows.backward * Threads.count)
    return 4 * (rows * (3 * c.hiddenSize + 2 * c.queryDim + 2 * c.kvDim) + block * c.intermediateSize)
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
