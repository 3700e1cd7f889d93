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

    /// W's columns `terms`, a chain of terms, and its rows from `row` on.
    func block(_ terms: Range<Int>, row: Int, edge: MutableFloatPointer) -> PackedMatrix {
      PackedMatrix(
        panels: base + terms.lowerBound * Tile.best.padded(output) + row * terms.count, edge: edge, terms: terms.count)
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
  func panels(_ weight: FloatPointer, output: Int, input: Int) -> Panels? {
    if let panels = kept[weight] {
      precondition((panels.output, panels.input) == (output, input), "a matrix of another shape at the same place")
      return panels
    }
    let size = input * Tile.best.padded(output)
    guard !seen.insert(weight).inserted, used + size <= Self.limit else { return nil }
    // Pages that are never touched take no memory.
    if memory.count == 0 { memory = FloatArena(count: Self.limit) }
    let base = memory.base + used
    used += size
    for start in stride(from: 0, to: input, by: Gemm.chain) {
      let terms = min(Gemm.chain, input - start)
      PackedMatrix.pack(
        weight + start, ldb: input, transposed: true, terms: terms, columns: output,
        to: base + start * Tile.best.padded(output))
    }
    let panels = Panels(base: base, output: output, input: input)
    kept[weight] = panels
    return panels
  }
}
