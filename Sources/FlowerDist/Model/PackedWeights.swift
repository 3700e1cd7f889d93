import CVector

/// Weights in the order in which products read them, for several products with weights that stay as they are.
///
/// A product of few rows would spend a quarter of its time on rearranging its weights. The bits are the same either
/// way.
final class PackedWeights {
  /// A weight matrix W `[output, input]`, packed as the right side of x · Wᵀ (`isTransposed`) or of dy · W.
  struct Panels {
    fileprivate let base: FloatPointer
    fileprivate let matrix: Matrix
    var isTransposed: Bool { matrix.isTransposed }

    /// The columns from `column` on, and a chain of terms, in the arithmetic ``Arithmetic/fma``.
    func block(_ terms: Range<Int>, column: Int, edge: MutableFloatPointer) -> PackedMatrix {
      precondition(matrix.arithmetic == .fma, "weights are packed for another arithmetic")
      return PackedMatrix(
        panels: base + terms.lowerBound * Tile.best.padded(matrix.columns) + column * terms.count, edge: edge,
        terms: terms.count)
    }

    /// The same in the arithmetic ``Arithmetic/bf16x6``; `column` is a multiple of ``ThirdsTile/width``.
    func thirds(_ terms: Range<Int>, column: Int) -> UnsafePointer<UInt16> {
      precondition(matrix.arithmetic == .bf16x6, "weights are packed for another arithmetic")
      let blocks =
        ThirdsTile.blocks(terms.lowerBound) * ThirdsTile.blocks(matrix.columns)
        + column / ThirdsTile.width * ThirdsTile.blocks(terms.count)
      return UnsafeRawPointer(base).assumingMemoryBound(to: UInt16.self) + blocks * ThirdsTile.block
    }
  }

  /// The right side of a product: W's transpose `[input, output]`, or W itself `[output, input]`.
  struct Matrix: Hashable {
    var weight: FloatPointer
    var output: Int
    var input: Int
    var isTransposed: Bool
    var arithmetic: Arithmetic

    var terms: Int { isTransposed ? input : output }
    var columns: Int { isTransposed ? output : input }
    var floats: Int { PackedWeights.floats(terms: terms, columns: columns, arithmetic) }

    /// Writes its panels, one chain of terms after the other.
    fileprivate func pack(to base: MutableFloatPointer) {
      for start in stride(from: 0, to: terms, by: Gemm.chain) {
        let chain = start..<min(start + Gemm.chain, terms)
        // 32 is a multiple of every panel's width.
        Threads.perform(rows: (columns + 31) / 32, width: 32 * chain.count) { panels in
          pack(chain, panels.lowerBound * 32..<min(panels.upperBound * 32, columns), to: base)
        }
      }
    }

    private func pack(_ chain: Range<Int>, _ range: Range<Int>, to base: MutableFloatPointer) {
      let (term, column) = (chain.lowerBound, range.lowerBound)
      let source = weight + (isTransposed ? column * input + term : term * input + column)
      switch arithmetic {
      case .fma:
        PackedMatrix.pack(
          source, ldb: input, transposed: isTransposed, terms: chain.count, columns: range.count,
          to: base + term * Tile.best.padded(columns) + column * chain.count)
      case .bf16x6:
        let block =
          ThirdsTile.blocks(term) * ThirdsTile.blocks(columns)
          + column / ThirdsTile.width * ThirdsTile.blocks(chain.count)
        flower_thirds_of_columns(
          source, input, isTransposed, chain.count, range.count,
          UnsafeMutableRawPointer(base).assumingMemoryBound(to: UInt16.self) + block * ThirdsTile.block)
      }
    }
  }

  /// Floats that a right side `[terms, columns]` takes.
  static func floats(terms: Int, columns: Int, _ arithmetic: Arithmetic) -> Int {
    switch arithmetic {
    case .fma: terms * Tile.best.padded(columns)
    case .bf16x6: ThirdsTile.blocks(terms) * ThirdsTile.blocks(columns) * ThirdsTile.block / 2
    }
  }

  /// Floats of a layer's matrices, packed for the forward pass (`transposed`) or the backward pass.
  static func floats(_ layer: ParameterLayout.Layer, transposed: Bool, _ arithmetic: Arithmetic) -> Int {
    [layer.q, layer.kv, layer.o, layer.gateUp, layer.down].reduce(0) { sum, linear in
      sum
        + (transposed
          ? floats(terms: linear.input, columns: linear.output, arithmetic)
          : floats(terms: linear.output, columns: linear.input, arithmetic))
    }
  }

  /// Floats of any layer's matrices, packed for either pass.
  static func floats(ofLayerIn layout: ParameterLayout, _ arithmetic: Arithmetic) -> Int {
    // All layers have the same shapes.
    layout.layers.first.map { layer in
      max(floats(layer, transposed: true, arithmetic), floats(layer, transposed: false, arithmetic))
    } ?? 0
  }

  /// Floats that are kept of a model.
  static let modelLimit = 1 << 26

  /// Floats that are kept at most; what is used beyond them is packed for each product.
  private let limit: Int
  private var seen: Set<Matrix> = []
  private var kept: [Matrix: Panels] = [:]
  private var memory = FloatArena(count: 0)
  private var used = 0

  init(limit: Int) { self.limit = limit }

  /// The weights may have changed, or others are wanted.
  func forget() {
    seen.removeAll(keepingCapacity: true)
    kept.removeAll(keepingCapacity: true)
    used = 0
  }

  /// The matrix if it is kept already.
  func kept(_ matrix: Matrix) -> Panels? { kept[matrix] }

  /// Keeps the matrix, which has room.
  func keep(_ matrix: Matrix) -> Panels {
    if let panels = kept[matrix] { return panels }
    precondition(used + matrix.floats <= limit, "no room for another matrix")
    // Pages that are never touched take no memory.
    if memory.count == 0 { memory = FloatArena(count: limit) }
    let panels = Panels(base: memory.base + used, matrix: matrix)
    matrix.pack(to: memory.base + used)
    used += matrix.floats
    kept[matrix] = panels
    return panels
  }

  /// Keeps the matrix from its second use on, if there is room: what is used once costs no memory.
  func keepIfSeen(_ matrix: Matrix) -> Panels? {
    if let panels = kept[matrix] { return panels }
    guard !seen.insert(matrix).inserted, used + matrix.floats <= limit else { return nil }
    return keep(matrix)
  }
}
