import CVector

/// Weights in the order in which products read them, for several passes through a model whose weights stay as they are.
///
/// Decoding computes few rows at a time, of which rearranging the weights for every product would be a quarter of the work. A
/// matrix is kept from its second product on: what is used once costs no memory. The bits are the same either way.
final class PackedWeights {
  /// Floats that are kept at most; what is used beyond them is packed for each product.
  static let limit = 1 << 26

  /// A weight matrix W `[output, input]`, packed for x · Wᵀ.
  struct Panels {
    fileprivate let base: FloatPointer
    fileprivate let output: Int
    fileprivate let input: Int
    fileprivate let arithmetic: Arithmetic

    /// W's columns `terms`, a chain of terms, and its rows from `row` on, in the arithmetic ``Arithmetic/fma``.
    func block(_ terms: Range<Int>, row: Int, edge: MutableFloatPointer) -> PackedMatrix {
      precondition(arithmetic == .fma, "weights are packed for another arithmetic")
      return PackedMatrix(
        panels: base + terms.lowerBound * Tile.best.padded(output) + row * terms.count, edge: edge, terms: terms.count)
    }

    /// The same in the arithmetic ``Arithmetic/bf16x6``; `row` is a multiple of ``ThirdsTile/width``.
    func thirds(_ terms: Range<Int>, row: Int) -> UnsafePointer<UInt16> {
      precondition(arithmetic == .bf16x6, "weights are packed for another arithmetic")
      let blocks =
        ThirdsTile.blocks(terms.lowerBound) * ThirdsTile.blocks(output)
        + row / ThirdsTile.width * ThirdsTile.blocks(terms.count)
      return UnsafeRawPointer(base).assumingMemoryBound(to: UInt16.self) + blocks * ThirdsTile.block
    }
  }

  /// Floats that a matrix takes.
  static func floats(output: Int, input: Int, _ arithmetic: Arithmetic) -> Int {
    switch arithmetic {
    case .fma: input * Tile.best.padded(output)
    case .bf16x6: ThirdsTile.blocks(input) * ThirdsTile.blocks(output) * ThirdsTile.block / 2
    }
  }

  private var seen: Set<FloatPointer> = []
  private var kept: [FloatPointer: Panels] = [:]
  private var memory = FloatArena(count: 0)
  private var used = 0

  /// The weights may have changed.
  func forget() {
    seen.removeAll(keepingCapacity: true)
    kept.removeAll(keepingCapacity: true)
    used = 0
  }

  /// `nil` where the matrix is not kept.
  func panels(_ weight: FloatPointer, output: Int, input: Int, _ arithmetic: Arithmetic) -> Panels? {
    if let panels = kept[weight] {
      precondition((panels.output, panels.input) == (output, input), "a matrix of another shape at the same place")
      precondition(panels.arithmetic == arithmetic, "weights are packed for another arithmetic")
      return panels
    }
    let size = Self.floats(output: output, input: input, arithmetic)
    guard !seen.insert(weight).inserted, used + size <= Self.limit else { return nil }
    // Pages that are never touched take no memory.
    if memory.count == 0 { memory = FloatArena(count: Self.limit) }
    let base = memory.base + used
    used += size
    for start in stride(from: 0, to: input, by: Gemm.chain) {
      let terms = min(Gemm.chain, input - start)
      switch arithmetic {
      case .fma:
        PackedMatrix.pack(
          weight + start, ldb: input, transposed: true, terms: terms, columns: output,
          to: base + start * Tile.best.padded(output))
      case .bf16x6:
        let chain = ThirdsTile.blocks(start) * ThirdsTile.blocks(output) * ThirdsTile.block
        flower_thirds_of_columns(
          weight + start, input, true, terms, output,
          UnsafeMutableRawPointer(base).assumingMemoryBound(to: UInt16.self) + chain)
      }
    }
    let panels = Panels(base: base, output: output, input: input, arithmetic: arithmetic)
    kept[weight] = panels
    return panels
  }
}
