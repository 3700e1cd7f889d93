/// What the forward pass of a forest leaves behind, one slab per quantity and layer.
///
/// While training, every layer keeps what its backward pass needs. For inference only keys and values are kept, and the
/// other slabs of all layers are one. Slabs are reserved for `rowCapacity` rows; untouched pages take no memory.
final class Activations {
  let rowCapacity: Int
  let queryCapacity: Int
  let keepsForBackward: Bool

  private let configuration: ModelConfiguration
  private let inputs: FloatArena
  private let inputInverses: FloatArena
  private let keysValues: FloatArena
  private let queries: FloatArena
  private let attention: FloatArena
  private let logSums: FloatArena
  private let middles: FloatArena
  private let middleInverses: FloatArena
  private let gateUps: FloatArena

  /// Outputs of the last layer before the final norm, `[queries, hidden]`, and after it.
  let final: FloatArena
  let finalInverse: FloatArena
  let hidden: FloatArena

  /// Scratch of at most one layer: normalised rows, gathered rows, MLP activations.
  let normed: FloatArena
  let gathered: FloatArena
  let mlp: FloatArena

  init(_ configuration: ModelConfiguration, rows: Int, queries queryRows: Int, training: Bool) {
    let c = configuration
    self.configuration = c
    rowCapacity = rows
    queryCapacity = queryRows
    keepsForBackward = training
    let copies = training ? c.layers : 1
    inputs = FloatArena(count: copies * rows * c.hiddenSize)
    inputInverses = FloatArena(count: copies * rows)
    keysValues = FloatArena(count: c.layers * rows * 2 * c.kvDim)
    queries = FloatArena(count: copies * rows * c.queryDim)
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
    arena.base + (keepsForBackward ? layer : 0) * rowCapacity * width
  }

  /// The layer's input, `[rows, hidden]`.
  func input(_ layer: Int) -> MutableFloatPointer { slab(inputs, layer, configuration.hiddenSize) }
  func inputInverse(_ layer: Int) -> MutableFloatPointer { slab(inputInverses, layer, 1) }
  /// Keys and values after RoPE, `[rows, 2 · kvDim]`; kept for every layer also at inference.
  func keyValue(_ layer: Int) -> MutableFloatPointer {
    keysValues.base + layer * rowCapacity * 2 * configuration.kvDim
  }
  func query(_ layer: Int) -> MutableFloatPointer { slab(queries, layer, configuration.queryDim) }
  /// The attention's output before `o_proj`, `[rows, queryDim]`.
  func attended(_ layer: Int) -> MutableFloatPointer { slab(attention, layer, configuration.queryDim) }
  /// log Σ exp of the attention scores, `[rows, heads]`.
  func logSum(_ layer: Int) -> MutableFloatPointer { slab(logSums, layer, configuration.heads) }
  /// The residual stream after attention, `[rows, hidden]`.
  func middle(_ layer: Int) -> MutableFloatPointer { slab(middles, layer, configuration.hiddenSize) }
  func middleInverse(_ layer: Int) -> MutableFloatPointer { slab(middleInverses, layer, 1) }
  func gateUp(_ layer: Int) -> MutableFloatPointer { slab(gateUps, layer, 2 * configuration.intermediateSize) }

  /// Bytes that a forest of `rows` rows and `queries` outputs touches, without scratch of the attention.
  static func bytes(_ c: ModelConfiguration, rows: Int, queries: Int, training: Bool) -> Int {
    let full = c.hiddenSize * 2 + 2 + 2 * c.queryDim + c.heads + 2 * c.intermediateSize
    let lastRow = c.hiddenSize + 1
    let lastQuery = full - lastRow
    let perLayer = training ? (c.layers - 1) * rows * full + rows * lastRow + queries * lastQuery : rows * full
    let scratch = rows * (c.hiddenSize + max(c.hiddenSize, c.queryDim) + c.intermediateSize)
    return 4 * (perLayer + c.layers * rows * 2 * c.kvDim + queries * (2 * c.hiddenSize + 1) + scratch)
  }
}
