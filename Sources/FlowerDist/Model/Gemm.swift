import CVector

/// Matrix products; every matrix is row-major with the row length `ld…`.
///
/// An element of a product is one chain of fused multiply-adds over each 512 terms, and the chains are added in order: the
/// same bits on every kind of CPU, for any number of threads and however many rows are computed together.
///
/// Blocked as in Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication", but rows of a that are
/// contiguous are read where they are: a training step's inner dimensions are so short that packing both matrices costs a
/// tenth of the product.
enum Gemm {
  /// c = alpha · op(a) · op(b) (+ c when `accumulate`), where op(a) is `[m, k]`, op(b) `[k, n]` and c `[m, n]`.
  ///
  /// Neither `tile` nor `parts`, into which rows or columns are cut for threads, changes a bit, nor that op(b) is there
  /// `packed` already (for the best tile).
  static func multiply(
    _ m: Int, _ n: Int, _ k: Int, alpha: Float = 1, _ a: FloatPointer, lda: Int, transposeA: Bool = false,
    _ b: FloatPointer, ldb: Int, transposeB: Bool = false, accumulate: Bool = false, _ c: MutableFloatPointer, ldc: Int,
    packed: PackedWeights.Panels? = nil, tile: Tile = .best, parts: Int? = nil
  ) {
    precondition(packed == nil || transposeB, "weights are packed for products with their transpose")
    let product = Product(
      tile: tile, m: m, n: n, k: k, alpha: alpha, a: a, rowStride: transposeA ? 1 : lda,
      columnStride: transposeA ? lda : 1, b: b, ldb: ldb, transposeB: transposeB, accumulate: accumulate, c: c, ldc: ldc,
      packed: packed)
    let parts = parts ?? (m * n * k < smallestShared ? 1 : Threads.count)
    if parts == 1 { return product.run() }
    let byRows = m / tile.rows >= n / tile.columns
    let (size, unit) = byRows ? (m, tile.rows) : (n, tile.columns)
    let units = (size + unit - 1) / unit
    Threads.perform(parts) { part in
      let range = min(size, units * part / parts * unit)..<min(size, units * (part + 1) / parts * unit)
      (byRows ? product.rows(range) : product.columns(range)).run()
    }
  }

  /// Terms of a chain: part of what decides the bits.
  static let chain = 512

  /// Multiply-adds below which waking other threads costs more than they save.
  private static let smallestShared = 1_000_000

  /// y = x · Wᵀ (+ y when `accumulate`), the forward pass of a linear layer: x `[rows, input]`, W `[output, input]`.
  static func linear(
    _ x: FloatPointer, weight: FloatPointer, rows: Int, input: Int, output: Int, to y: MutableFloatPointer,
    accumulate: Bool = false, packed: PackedWeights.Panels? = nil
  ) {
    multiply(
      rows, output, input, x, lda: input, weight, ldb: input, transposeB: true, accumulate: accumulate, y, ldc: output,
      packed: packed)
  }

  /// dx = dy · W (+ dx when `accumulate`): the gradient of ``linear`` for its input.
  static func linearInputGradient(
    _ dy: FloatPointer, weight: FloatPointer, rows: Int, input: Int, output: Int, to dx: MutableFloatPointer,
    accumulate: Bool = false
  ) {
    multiply(rows, input, output, dy, lda: output, weight, ldb: input, accumulate: accumulate, dx, ldc: input)
  }

  /// dW += dyᵀ · x: the gradient of ``linear`` for its weight.
  static func linearWeightGradient(
    _ dy: FloatPointer, x: FloatPointer, rows: Int, input: Int, output: Int, to dWeight: MutableFloatPointer
  ) {
    multiply(
      output, input, rows, dy, lda: output, transposeA: true, x, ldb: input, accumulate: true, dWeight, ldc: input)
  }
}

/// One product, or the part of it that one thread computes.
private struct Product {
  var tile: Tile
  var m: Int
  var n: Int
  var k: Int
  var alpha: Float
  var a: FloatPointer
  var rowStride: Int
  var columnStride: Int
  var b: FloatPointer
  var ldb: Int
  var transposeB: Bool
  var accumulate: Bool
  var c: MutableFloatPointer
  var ldc: Int
  /// b, if it is packed already, and the column of it that this part begins with.
  var packed: PackedWeights.Panels?
  var firstColumn = 0

  private static let depth = Gemm.chain
  /// Columns of b that are packed together: with ``depth`` 512 KiB, a part of the second-level cache.
  private static let width = 256
  /// Tiles of rows of a that are packed together, so that whole cache lines are read.
  private static let strips = 8
  /// Rows of a that are asked for before they are copied.
  private static let ahead = 8
  /// Between rows that are copied, so that they do not lie a power of two apart again.
  private static let padding = 16

  func rows(_ range: Range<Int>) -> Product {
    var part = self
    part.m = range.count
    part.a += range.lowerBound * rowStride
    part.c += range.lowerBound * ldc
    return part
  }

  func columns(_ range: Range<Int>) -> Product {
    var part = self
    part.n = range.count
    part.b += range.lowerBound * (transposeB ? ldb : 1)
    part.c += range.lowerBound
    part.firstColumn += range.lowerBound
    return part
  }

  func run() {
    if m == 0 || n == 0 { return }
    if k == 0 {
      if !accumulate { for i in 0..<m { (c + i * ldc).update(repeating: 0, count: n) } }
      return
    }
    // Rows a power of two apart would compete for the same places of the first-level cache.
    let packsA = columnStride != 1 || rowStride % 512 == 0 && n > tile.columns
    let packedB = PackedMatrix.size(
      terms: packed == nil ? min(k, Self.depth) : 0, columns: min(n, Self.width), tile)
    let packedA = packsA ? (min(k, Self.depth) + Self.padding) * min(m, Self.strips * tile.rows) : 0
    withFloats(packedB + packedA) { memory in
      for start in stride(from: 0, to: k, by: Self.depth) {
        for left in stride(from: 0, to: n, by: Self.width) {
          block(
            start..<min(start + Self.depth, k), left..<min(left + Self.width, n), packedB: memory,
            packedA: packsA ? memory + packedB : nil)
        }
      }
    }
  }

  /// Adds the products over `terms` for the columns `columns`.
  private func block(
    _ terms: Range<Int>, _ columns: Range<Int>, packedB: MutableFloatPointer, packedA: MutableFloatPointer?
  ) {
    let (row, column) = transposeB ? (1, ldb) : (ldb, 1)
    let right =
      packed?.block(terms, row: firstColumn + columns.lowerBound, edge: packedB)
      ?? PackedMatrix(
        b + terms.lowerBound * row + columns.lowerBound * column, ldb: ldb, transposed: transposeB, terms: terms.count,
        columns: columns.count, in: packedB, tile)
    for top in stride(from: 0, to: m, by: Self.strips * tile.rows) {
      let bottom = min(top + Self.strips * tile.rows, m)
      if let packedA { packA(terms, top..<bottom, to: packedA) }
      for row in stride(from: top, to: bottom, by: tile.rows) {
        let rows = min(tile.rows, bottom - row)
        var left = a + row * rowStride + terms.lowerBound
        var strides = (row: rowStride, term: columnStride)
        if let packedA {
          strides = rowStride == 1 ? (1, rows) : (terms.count + Self.padding, 1)
          left = UnsafePointer(packedA + (row - top) * (rowStride == 1 ? terms.count : strides.row))
        }
        right.multiply(
          rows: rows, terms: 0..<terms.count, columns: columns.count, alpha: alpha, left, strides: strides,
          nextA: packedA == nil ? left + rows * rowStride : nil, to: c + row * ldc + columns.lowerBound, ldc: ldc,
          accumulate: accumulate || terms.lowerBound > 0, isCold: packed != nil)
      }
    }
  }

  /// Writes rows of op(a) in strips of a tile's height: each `[terms, height]` where the rows of a are columns of memory, else
  /// `[height, terms + padding]`.
  private func packA(_ terms: Range<Int>, _ rows: Range<Int>, to target: MutableFloatPointer) {
    let height = tile.rows
    let source = a + terms.lowerBound * columnStride + rows.lowerBound * rowStride
    if rowStride != 1 {
      for row in 0..<rows.count {
        (target + row * (terms.count + Self.padding)).update(from: source + row * rowStride, count: terms.count)
      }
      return
    }
    for term in 0..<terms.count {
      let line = source + term * columnStride
      for row in stride(from: 0, to: rows.count, by: height) {
        let count = min(height, rows.count - row)
        flower_prefetch(line + Self.ahead * columnStride + row)
        copyShort(line + row, to: target + row * terms.count + term * count, count)
      }
    }
  }
}

/// Copies up to 16 floats; 8 or more as two vectors that may overlap.
@inline(__always)
private func copyShort(_ source: FloatPointer, to target: MutableFloatPointer, _ count: Int) {
  if count >= 8 {
    let last = load8(source, count - 8)
    store8(load8(source, 0), target, 0)
    store8(last, target, count - 8)
  } else {
    for i in 0..<count { target[i] = source[i] }
  }
}
