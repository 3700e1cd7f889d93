import Foundation

/// Attention of a forest: tiles of consecutive rows against their trunk as matrix products, then each row's own branch.
///
/// A tile is at most 64 rows with one trunk, so a tile's scores stay in the cache. Rows of a branch see few rows of it
/// (a title is short), so these are visited one by one.
struct Attention {
  let configuration: ModelConfiguration

  /// Queries that are computed together: `queries` indexes the list of query rows.
  private struct Tile {
    var queries: Range<Int>
    var trunkStart: Int
    /// The most trunk rows that any of its rows sees.
    var trunkCount: Int
  }

  private static let tileRows = 64

  private func forEachTile(_ forest: Forest, _ rows: ArraySlice<Int32>, _ body: (Tile) -> Void) {
    var start = rows.startIndex
    while start < rows.endIndex {
      let trunk = forest.trunkStart[Int(rows[start])]
      var end = start
      var longest: Int32 = 0
      while end < rows.endIndex, end - start < Self.tileRows, forest.trunkStart[Int(rows[end])] == trunk {
        longest = max(longest, forest.trunkCount[Int(rows[end])])
        end += 1
      }
      body(Tile(queries: start..<end, trunkStart: Int(trunk), trunkCount: Int(longest)))
      start = end
    }
  }

  private var scale: Float { 1 / Float(configuration.headDim).squareRoot() }

  /// `rows[i]` is the row of query i; `query`, `out` and `logSum` are indexed by i, `keyValue` by row.
  ///
  /// - Parameters:
  ///   - query: `[queries, queryDim]` after RoPE.
  ///   - keyValue: `[rows, 2 · kvDim]`, keys after RoPE, then values.
  ///   - out: `[queries, queryDim]`.
  ///   - logSum: `[queries, heads]`, log Σ exp of the scaled scores.
  func forward(
    _ forest: Forest, rows: ArraySlice<Int32>, query: FloatPointer, keyValue: FloatPointer, out: MutableFloatPointer,
    logSum: MutableFloatPointer, scratch: AttentionScratch
  ) {
    let c = configuration
    let d = c.headDim
    let kvStride = 2 * c.kvDim
    let group = c.heads / c.kvHeads
    forEachTile(forest, rows) { tile in
      let m = tile.queries.count
      let n = tile.trunkCount
      scratch.reserve(scores: m * n, path: longestPath(forest, rows, tile))
      let scores = scratch.scores.base
      let path = scratch.path.base
      for head in 0..<c.heads {
        let keys = keyValue + (head / group) * d
        let values = keys + c.kvDim
        let q = query + tile.queries.lowerBound * c.queryDim + head * d
        let o = out + tile.queries.lowerBound * c.queryDim + head * d
        Gemm.multiply(
          m, n, d, alpha: scale, q, lda: c.queryDim, keys + tile.trunkStart * kvStride, ldb: kvStride, transposeB: true,
          scores, ldc: n)
        // The trunk's share of each softmax; the branch's share follows once the trunk's product is done.
        for i in 0..<m {
          let index = tile.queries.lowerBound + i
          let row = Int(rows[index])
          let visible = Int(forest.trunkCount[row])
          let line = scores + i * n
          let span = forest.pathStart[row]..<forest.pathStart[row + 1]
          var maximum = Kernels.maximum(line, count: visible)
          for (j, p) in span.enumerated() {
            let s = scale * dot(q + i * c.queryDim, keys + Int(forest.pathRows[p]) * kvStride, d)
            path[j] = s
            if s > maximum { maximum = s }
          }
          var sum = Kernels.expRow(line, maximum: maximum, count: visible)
          for k in visible..<n { line[k] = 0 }
          for j in 0..<span.count { sum += exp1(path[j] - maximum) }
          Kernels.scale(line, by: 1 / sum, count: visible)
          logSum[index * c.heads + head] = maximum + Float(log(Double(sum)))
        }
        Gemm.multiply(
          m, d, n, scores, lda: n, values + tile.trunkStart * kvStride, ldb: kvStride, o, ldc: c.queryDim)
        for i in 0..<m {
          let index = tile.queries.lowerBound + i
          let row = Int(rows[index])
          for p in forest.pathStart[row]..<forest.pathStart[row + 1] {
            let other = Int(forest.pathRows[p]) * kvStride
            let s = scale * dot(q + i * c.queryDim, keys + other, d)
            axpy(exp1(s - logSum[index * c.heads + head]), values + other, o + i * c.queryDim, d)
          }
        }
      }
    }
  }

  /// Writes the gradient of the queries and adds those of keys and values.
  ///
  /// The probabilities are computed again from the kept log-sums; with D_i = Σ dO∘O: dS = P∘(dP − D), dP = dO·Vᵀ
  /// (Dao et al. 2022, FlashAttention, section 3).
  func backward(
    _ forest: Forest, rows: ArraySlice<Int32>, query: FloatPointer, keyValue: FloatPointer, out: FloatPointer,
    logSum: FloatPointer, dOut: FloatPointer, dQuery: MutableFloatPointer, dKeyValue: MutableFloatPointer,
    scratch: AttentionScratch
  ) {
    let c = configuration
    let d = c.headDim
    let kvStride = 2 * c.kvDim
    let group = c.heads / c.kvHeads
    forEachTile(forest, rows) { tile in
      let m = tile.queries.count
      let n = tile.trunkCount
      scratch.reserve(scores: m * n, path: 0)
      let probabilities = scratch.scores.base
      let dScores = scratch.dScores.base
      let first = tile.queries.lowerBound * c.queryDim
      for head in 0..<c.heads {
        let column = (head / group) * d
        let keys = keyValue + column
        let values = keys + c.kvDim
        let dKeys = dKeyValue + column
        let dValues = dKeys + c.kvDim
        let trunk = tile.trunkStart * kvStride
        let q = query + first + head * d
        let g = dOut + first + head * d
        let dq = dQuery + first + head * d
        Gemm.multiply(
          m, n, d, alpha: scale, q, lda: c.queryDim, keys + trunk, ldb: kvStride, transposeB: true, probabilities,
          ldc: n)
        Gemm.multiply(
          m, n, d, g, lda: c.queryDim, values + trunk, ldb: kvStride, transposeB: true, dScores, ldc: n)
        for i in 0..<m {
          let index = tile.queries.lowerBound + i
          let visible = Int(forest.trunkCount[Int(rows[index])])
          let p = probabilities + i * n
          let ds = dScores + i * n
          _ = Kernels.expRow(p, maximum: logSum[index * c.heads + head], count: visible)
          let delta = dot(g + i * c.queryDim, out + first + head * d + i * c.queryDim, d)
          scoreGradient(p, ds, delta: delta, count: visible)
          for k in visible..<n {
            p[k] = 0
            ds[k] = 0
          }
        }
        Gemm.multiply(
          n, d, m, probabilities, lda: n, transposeA: true, g, ldb: c.queryDim, beta: 1, dValues + trunk, ldc: kvStride)
        Gemm.multiply(m, d, n, dScores, lda: n, keys + trunk, ldb: kvStride, dq, ldc: c.queryDim)
        Gemm.multiply(
          n, d, m, dScores, lda: n, transposeA: true, q, ldb: c.queryDim, beta: 1, dKeys + trunk, ldc: kvStride)
        for i in 0..<m {
          let index = tile.queries.lowerBound + i
          let row = Int(rows[index])
          let span = forest.pathStart[row]..<forest.pathStart[row + 1]
          if span.isEmpty { continue }
          let qi = q + i * c.queryDim
          let gi = g + i * c.queryDim
          let delta = dot(gi, out + first + head * d + i * c.queryDim, d)
          for entry in span {
            let other = Int(forest.pathRows[entry]) * kvStride
            let p = exp1(scale * dot(qi, keys + other, d) - logSum[index * c.heads + head])
            let ds = p * (dot(gi, values + other, d) - delta) * scale
            axpy(ds, keys + other, dq + i * c.queryDim, d)
            axpy(ds, qi, dKeys + other, d)
            axpy(p, gi, dValues + other, d)
          }
        }
      }
    }
  }

  /// ds = p (dp − delta) · scale, in place of dp.
  @inline(__always)
  private func scoreGradient(_ p: FloatPointer, _ ds: MutableFloatPointer, delta: Float, count: Int) {
    let s = Float8(repeating: scale)
    let shift = Float8(repeating: delta)
    var i = 0
    while i &+ 8 <= count {
      store8(load8(p, i) * (load8(ds, i) - shift) * s, ds, i)
      i &+= 8
    }
    while i < count {
      ds[i] = p[i] * (ds[i] - delta) * scale
      i &+= 1
    }
  }

  private func longestPath(_ forest: Forest, _ rows: ArraySlice<Int32>, _ tile: Tile) -> Int {
    tile.queries.reduce(0) { max($0, forest.pathStart[Int(rows[$1]) + 1] - forest.pathStart[Int(rows[$1])]) }
  }
}

/// Scores of one tile and one head; grows to the largest tile seen and stays.
final class AttentionScratch {
  private(set) var scores = FloatArena(count: 0)
  private(set) var dScores = FloatArena(count: 0)
  private(set) var path = FloatArena(count: 0)

  func reserve(scores count: Int, path length: Int) {
    if scores.count < count {
      scores = FloatArena(count: count)
      dScores = FloatArena(count: count)
    }
    if path.count < length { path = FloatArena(count: max(length, 128)) }
  }
}
