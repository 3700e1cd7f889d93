import CVector

/// A product of fused multiply-adds: one chain from 0 over the terms of a block, whatever the ``Tile``.
///
/// Rows of a that are contiguous are read where they are: a training step's inner dimensions are so short that packing both
/// matrices costs a tenth of the product.
struct TileProduct {
  let product: Product
  let tile: Tile

  private static let depth = Gemm.chain
  /// Columns of b that are packed together: with ``depth`` 512 KiB, a part of the second-level cache.
  private static let width = 256
  /// Tiles of rows of a that are packed together, so that whole cache lines are read.
  private static let strips = 8
  /// Rows of a that are asked for before they are copied.
  private static let ahead = 8
  /// Between rows that are copied, so that they do not lie a power of two apart again.
  private static let padding = 16

  private var rowStride: Int { product.transposeA ? 1 : product.lda }
  private var columnStride: Int { product.transposeA ? product.lda : 1 }

  func run() {
    let (m, n, k) = (product.m, product.n, product.k)
    // Rows a power of two apart would compete for the same places of the first-level cache.
    let packsA = columnStride != 1 || rowStride % 512 == 0 && n > tile.columns
    let packedB = PackedMatrix.size(
      terms: product.packed == nil ? min(k, Self.depth) : 0, columns: min(n, Self.width), tile)
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
    let p = product
    let right =
      p.packed?.block(terms, column: p.firstColumn + columns.lowerBound, edge: packedB)
      ?? PackedMatrix(
        p.b(terms.lowerBound, columns.lowerBound), ldb: p.ldb, transposed: p.transposeB, terms: terms.count,
        columns: columns.count, in: packedB, tile)
    for top in stride(from: 0, to: p.m, by: Self.strips * tile.rows) {
      let bottom = min(top + Self.strips * tile.rows, p.m)
      if let packedA { packA(terms, top..<bottom, to: packedA) }
      for row in stride(from: top, to: bottom, by: tile.rows) {
        let rows = min(tile.rows, bottom - row)
        var left = p.a + row * rowStride + terms.lowerBound
        var strides = (row: rowStride, term: columnStride)
        if let packedA {
          strides = rowStride == 1 ? (1, rows) : (terms.count + Self.padding, 1)
          left = UnsafePointer(packedA + (row - top) * (rowStride == 1 ? terms.count : strides.row))
        }
        right.multiply(
          rows: rows, terms: 0..<terms.count, columns: columns.count, alpha: p.alpha, left, strides: strides,
          nextA: packedA == nil ? left + rows * rowStride : nil, to: p.c + row * p.ldc + columns.lowerBound, ldc: p.ldc,
          accumulate: p.accumulate || terms.lowerBound > 0, isCold: p.packed != nil && row == 0)
      }
    }
  }

  /// Writes rows of op(a) in strips of a tile's height: each `[terms, height]` where the rows of a are columns of memory, else
  /// `[height, terms + padding]`.
  private func packA(_ terms: Range<Int>, _ rows: Range<Int>, to target: MutableFloatPointer) {
    let height = tile.rows
    let source = product.a(rows.lowerBound, terms.lowerBound)
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
