import CVector

/// The right side of products, rearranged in panels of as many columns as a ``Tile`` has: each `[terms, columns of the tile]`,
/// the last filled up with zeros. The memory is somebody else's.
struct PackedMatrix {
  private let base: FloatPointer
  /// Room for one tile's results, of which not all are wanted.
  private let edge: MutableFloatPointer
  private let tile: Tile
  let terms: Int

  /// Floats that a matrix `[terms, columns]` takes, and the scratch of its products.
  static func size(terms: Int, columns: Int, _ tile: Tile = .best) -> Int {
    terms * tile.padded(columns) + tile.rows * tile.columns
  }

  /// Packs b `[terms, columns]`, or its transpose `[columns, terms]`, into `memory`, which has ``size(terms:columns:_:)`` floats.
  init(
    _ b: FloatPointer, ldb: Int, transposed: Bool, terms: Int, columns: Int, in memory: MutableFloatPointer,
    _ tile: Tile = .best
  ) {
    let panels = memory + tile.rows * tile.columns
    (base, edge) = (FloatPointer(panels), memory)
    (self.tile, self.terms) = (tile, terms)
    Self.pack(b, ldb: ldb, transposed: transposed, terms: terms, columns: columns, to: panels, tile)
  }

  /// What ``pack(_:ldb:transposed:terms:columns:to:_:)`` wrote; `edge` has room for a tile.
  init(panels: FloatPointer, edge: MutableFloatPointer, terms: Int, _ tile: Tile = .best) {
    (base, self.edge, self.tile, self.terms) = (panels, edge, tile, terms)
  }

  /// Writes the panels of b, one after the other.
  static func pack(
    _ b: FloatPointer, ldb: Int, transposed: Bool, terms: Int, columns: Int, to panels: MutableFloatPointer,
    _ tile: Tile = .best
  ) {
    for column in stride(from: 0, to: columns, by: tile.columns) {
      pack(
        transposed ? b + column * ldb : b + column, ldb, transposed, min(tile.columns, columns - column), terms: terms,
        width: tile.columns, to: panels + column * terms)
    }
  }

  @inline(__always)
  private static func pack(
    _ b: FloatPointer, _ ldb: Int, _ transposed: Bool, _ count: Int, terms: Int, width: Int,
    to panel: MutableFloatPointer
  ) {
    if count < width { panel.update(repeating: 0, count: terms * width) }
    if !transposed {
      for term in 0..<terms { (panel + term * width).update(from: b + term * ldb, count: count) }
      return
    }
    let (whole, wholeTerms) = (count & ~7, terms & ~7)
    for i in stride(from: 0, to: whole, by: 8) {
      for term in stride(from: 0, to: wholeTerms, by: 8) {
        flower_transpose8(b + i * ldb + term, ldb, panel + term * width + i, width)
      }
    }
    for i in 0..<count {
      for term in (i < whole ? wholeTerms : 0)..<terms { panel[term * width + i] = b[i * ldb + term] }
    }
  }

  /// c `[rows, columns]` = alpha · a · this (+ c when `accumulate`), over the terms `range`, for at most ``Tile/rows`` rows.
  ///
  /// a's element (row, term) lies at row · strides.row + (term − range.lowerBound) · strides.term; `nextA` is where the next
  /// rows begin, if theirs are contiguous and to be fetched meanwhile; `isCold` is whether this may not be in the
  /// second-level cache. With `columns` rounded up to whole panels c needs that
  /// room too, and no columns are copied.
  @inline(__always)
  func multiply(
    rows: Int, terms range: Range<Int>, columns: Int, alpha: Float, _ a: FloatPointer, strides: (row: Int, term: Int),
    nextA: FloatPointer? = nil, to c: MutableFloatPointer, ldc: Int, accumulate: Bool, isCold: Bool = false
  ) {
    let width = tile.columns
    let panels = tile.padded(columns) / width
    // The first panels ask for the next rows' cache lines, equally many each.
    let lines = nextA == nil ? 0 : (range.count + 15) / 16
    let share = (lines + panels - 1) / panels
    for index in 0..<panels {
      let panel = base + index * width * terms + range.lowerBound * width
      let target = c + index * width
      let count = columns - index * width
      let fetched = index * share
      var next = flower_next(
        c: index + 1 < panels ? target + width : c + rows * ldc, a: (nextA ?? a) + 16 * fetched,
        lines: max(0, min(share, lines - fetched)), is_cold: isCold)
      if count >= width {
        tile.function(
          rows, range.count, alpha, a, strides.row, strides.term, panel, width, target, ldc, accumulate, &next)
      } else {
        for i in 0..<(accumulate ? rows : 0) { (edge + i * width).update(from: target + i * ldc, count: count) }
        tile.function(
          rows, range.count, alpha, a, strides.row, strides.term, panel, width, edge, width, accumulate, &next)
        for i in 0..<rows { (target + i * ldc).update(from: edge + i * width, count: count) }
      }
    }
  }
}
