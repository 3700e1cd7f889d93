/// What the forward pass of a forest leaves behind, one slab per quantity and layer.
///
/// For inference only keys and values of every layer are kept; the other slabs of all layers are one. While training,
/// every layer keeps what its backward pass needs, or with ``Keeping/inputs`` only what it started from, and computes the
/// rest again. Slabs are reserved for `rowCapacity` rows; untouched pages take no memory.
final class Activations {
  /// What stays of every layer besides its keys and values.
  enum Keeping: Equatable {
    /// Inference.
    case nothing
    /// Each layer's input: its backward pass computes the layer again (Chen et al. 2016, "Training deep nets with
    /// sublinear memory cost").
    case inputs
    case everything
  }

  let rowCapacity: Int
  let queryCapacity: Int
  let keeping: Keeping

  private let configuration: ModelConfiguration
  private let inputs: FloatArena
  private let inputInverses: FloatArena
  private let keysValues: FloatArena
  private let queries: FloatArena
  private let rawQueries: FloatArena
  private let rawKeys: FloatArena
  private let headInverses: FloatArena
  private let attention: FloatArena
  private let logSums: FloatArena
  private let middles: FloatArena
  private let middleInverses: FloatArena
  private let gateUps: FloatArena

  /// Outputs of the last layer before the final norm, `[queries, hidden]`, and after it.
  let final: FloatArena
  let finalInverse: FloatArena
  let hidden: FloatArena

  /// Scratch of at most one layer: normalised rows, gathered rows, MLP activations of a block of rows.
  let normed: FloatArena
  let gathered: FloatArena
  let mlp: FloatArena

  init(_ configuration: ModelConfiguration, rows: Int, queries queryRows: Int, keeping: Keeping) {
    let c = configuration
    self.configuration = c
    rowCapacity = rows
    queryCapacity = queryRows
    self.keeping = keeping
    let inputCopies = keeping == .nothing ? 1 : c.layers
    let copies = keeping == .everything ? c.layers : 1
    inputs = FloatArena(count: inputCopies * rows * c.hiddenSize)
    inputInverses = FloatArena(count: inputCopies * rows)
    keysValues = FloatArena(count: c.layers * rows * 2 * c.kvDim)
    queries = FloatArena(count: copies * rows * c.queryDim)
    rawQueries = FloatArena(count: c.qkNorm ? copies * rows * c.queryDim : 0)
    rawKeys = FloatArena(count: c.qkNorm ? copies * rows * c.kvDim : 0)
    headInverses = FloatArena(count: c.qkNorm ? copies * rows * (c.heads + c.kvHeads) : 0)
    attention = FloatArena(count: copies * rows * c.queryDim)
    logSums = FloatArena(count: copies * rows * c.heads)
    middles = FloatArena(count: copies * rows * c.hiddenSize)
    middleInverses = FloatArena(count: copies * rows)
    gateUps = FloatArena(count: copies * rows * 2 * c.intermediateSize)
    final = FloatArena(count: queryRows * c.hiddenSize)
    finalInverse = FloatArena(count: queryRows)
    hidden = FloatArena(count: queryRows * c.hiddenSize)
    normed = FloatArena(count: rows * c.hiddenSize)
    gathered = FloatArena(count: rows * max(c.hiddenSize, c.queryDim))
    mlp = FloatArena(count: rows * c.intermediateSize)
  }

  private func slab(_ arena: FloatArena, _ layer: Int, _ width: Int) -> MutableFloatPointer {
    arena.base + (keeping == .everything ? layer : 0) * rowCapacity * width
  }

  private func inputSlab(_ arena: FloatArena, _ layer: Int, _ width: Int) -> MutableFloatPointer {
    arena.base + (keeping == .nothing ? 0 : layer) * rowCapacity * width
  }

  /// The layer's input, `[rows, hidden]`.
  func input(_ layer: Int) -> MutableFloatPointer { inputSlab(inputs, layer, configuration.hiddenSize) }
  func inputInverse(_ layer: Int) -> MutableFloatPointer { inputSlab(inputInverses, layer, 1) }
  /// Keys and values after RoPE, `[rows, 2 · kvDim]`; kept for every layer also at inference.
  func keyValue(_ layer: Int) -> MutableFloatPointer {
    keysValues.base + layer * rowCapacity * 2 * configuration.kvDim
  }
  func query(_ layer: Int) -> MutableFloatPointer { slab(queries, layer, configuration.queryDim) }
  /// Queries before their heads are normalised, `[rows, queryDim]`, and one over the roots, `[rows, heads]`.
  func rawQuery(_ layer: Int) -> MutableFloatPointer { slab(rawQueries, layer, configuration.queryDim) }
  func queryInverse(_ layer: Int) -> MutableFloatPointer {
    slab(headInverses, layer, configuration.heads + configuration.kvHeads)
  }
  /// The same of keys, `[rows, kvDim]` and `[rows, kvHeads]`.
  func rawKey(_ layer: Int) -> MutableFloatPointer { slab(rawKeys, layer, configuration.kvDim) }
  func keyInverse(_ layer: Int) -> MutableFloatPointer { queryInverse(layer) + rowCapacity * configuration.heads }
  /// The attention's output before `o_proj`, `[rows, queryDim]`.
  func attended(_ layer: Int) -> MutableFloatPointer { slab(attention, layer, configuration.queryDim) }
  /// log Σ exp of the attention scores, `[rows, heads]`.
  func logSum(_ layer: Int) -> MutableFloatPointer { slab(logSums, layer, configuration.heads) }
  /// The residual stream after attention, `[rows, hidden]`.
  func middle(_ layer: Int) -> MutableFloatPointer { slab(middles, layer, configuration.hiddenSize) }
  func middleInverse(_ layer: Int) -> MutableFloatPointer { slab(middleInverses, layer, 1) }
  func gateUp(_ layer: Int) -> MutableFloatPointer { slab(gateUps, layer, 2 * configuration.intermediateSize) }

  /// Bytes that a forest of `rows` rows and `queries` outputs touches, without scratch of the attention.
  static func bytes(_ c: ModelConfiguration, rows: Int, queries: Int, keeping: Keeping) -> Int {
    let input = c.hiddenSize + 1
    let raw = c.qkNorm ? c.queryDim + c.kvDim + c.heads + c.kvHeads : 0
    let rest = c.hiddenSize + 1 + 2 * c.queryDim + raw + c.heads + 2 * c.intermediateSize
    let layers =
      switch keeping {
      case .nothing: rows * (input + rest)
      case .inputs: c.layers * rows * input + rows * rest
      case .everything: c.layers * rows * input + ((c.layers - 1) * rows + queries) * rest
      }
    let block = min(rows, Transformer.usualBlockRows.backward * Threads.count)
    let scratch = rows * (c.hiddenSize + max(c.hiddenSize, c.queryDim)) + block * c.intermediateSize
    return 4 * (layers + c.layers * rows * 2 * c.kvDim + queries * (2 * c.hiddenSize + 1) + scratch)
  }
}
