import CVector
import Foundation

/// Attention of a forest: strips of query rows against their trunk as matrix products, then each row's own branch.
///
/// A strip is as many rows as a ``Tile`` has, so its scores stay in the nearest cache, and it computes only the keys that one
/// of its rows sees. Rows of a branch see few rows of it (a title is short), so these are visited one by one.
///
/// One thread computes a trunk and one head of keys and values, with all queries of them: gradients need no other's.
struct Attention {
  let configuration: ModelConfiguration
  let forest: Forest
  /// The row of each query.
  let rows: ArraySlice<Int32>
  /// `[queries, queryDim]` after RoPE.
  let query: FloatPointer
  /// `[rows, 2 · kvDim]`: keys after RoPE, then values.
  let keyValue: FloatPointer
  /// `[queries, queryDim]`: what ``forward()`` writes and ``backward(dOut:dQuery:dKeyValue:)`` reads.
  let out: MutableFloatPointer
  /// `[queries, heads]`, log Σ exp of the scaled scores: likewise.
  let logSum: MutableFloatPointer

  /// A trunk and the queries that see it.
  private struct Trunk {
    var start: Int
    /// The most of its rows that one of the queries sees.
    var count = 0
    /// The most rows of its branch that one of the queries sees.
    var longestPath = 0
    /// Neighbours in the list of queries.
    var runs: [Range<Int>] = []
  }

  /// In the order of their first queries. O(queries).
  private var trunks: [Trunk] {
    var result: [Trunk] = []
    var indexOfStart: [Int32: Int] = [:]
    var first = rows.startIndex
    while first < rows.endIndex {
      let start = forest.trunkStart[Int(rows[first])]
      let index = indexOfStart[start] ?? result.count
      if index == result.count {
        indexOfStart[start] = index
        result.append(Trunk(start: Int(start)))
      }
      var end = first
      while end < rows.endIndex, forest.trunkStart[Int(rows[end])] == start {
        result[index].count = max(result[index].count, visible(end))
        result[index].longestPath = max(result[index].longestPath, path(end).count)
        end += 1
      }
      result[index].runs.append(first..<end)
      first = end
    }
    return result
  }

  /// Trunk rows that a query sees.
  @inline(__always) private func visible(_ query: Int) -> Int { Int(forest.trunkCount[Int(rows[query])]) }

  /// The rows of its branch that a query sees.
  @inline(__always) private func path(_ query: Int) -> Range<Int> {
    let row = Int(rows[query])
    return forest.pathStart[row]..<forest.pathStart[row + 1]
  }

  /// Where a query's head begins among the queries.
  @inline(__always) private func column(_ query: Int, _ head: Int) -> Int { query * queryDim + head * headDim }

  private var headDim: Int { configuration.headDim }
  private var queryDim: Int { configuration.queryDim }
  private var keyValueStride: Int { 2 * configuration.kvDim }
  private var scale: Float { 1 / Float(headDim).squareRoot() }
  private var tile: Tile { .best }

  /// Calls `body` for each trunk and head of keys and values with the heads that query it.
  private func forEachUnit(_ body: (Trunk, _ keyValueHead: Int, _ heads: Range<Int>) -> Void) {
    let trunks = trunks
    let (kvHeads, group) = (configuration.kvHeads, configuration.heads / configuration.kvHeads)
    Threads.perform(trunks.count * kvHeads) { unit in
      let head = unit % kvHeads
      body(trunks[unit / kvHeads], head, head * group..<(head + 1) * group)
    }
  }

  // MARK: Forward

  /// Writes ``out`` and ``logSum``.
  func forward() {
    forEachUnit { trunk, keyValueHead, heads in
      let d = headDim
      let width = tile.padded(trunk.count) + trunk.longestPath
      let keySize = PackedMatrix.size(terms: d, columns: trunk.count)
      let valueSize = PackedMatrix.size(terms: trunk.count, columns: d)
      withFloats(keySize + valueSize + tile.rows * (width + trunk.longestPath + 1)) { scratch in
        let keys = keyValue + keyValueHead * d
        let packed = (
          keys: PackedMatrix(
            keys + trunk.start * keyValueStride, ldb: keyValueStride, transposed: true, terms: d, columns: trunk.count,
            in: scratch),
          values: PackedMatrix(
            keys + configuration.kvDim + trunk.start * keyValueStride, ldb: keyValueStride, transposed: false,
            terms: trunk.count, columns: d, in: scratch + keySize)
        )
        let scores = scratch + keySize + valueSize
        let paths = scores + tile.rows * width
        let sums = paths + tile.rows * trunk.longestPath
        for head in heads {
          for run in trunk.runs {
            for first in stride(from: run.lowerBound, to: run.upperBound, by: tile.rows) {
              let strip = first..<min(first + tile.rows, run.upperBound)
              let seen = strip.reduce(0) { max($0, visible($1)) }
              packed.keys.multiply(
                rows: strip.count, terms: 0..<d, columns: tile.padded(seen), alpha: scale, query + column(first, head),
                strides: (queryDim, 1), to: scores, ldc: width, accumulate: false)
              for (i, index) in strip.enumerated() {
                sums[i] = exponentials(
                  index, head, keys, scores + i * width, seen: seen, path: paths + i * trunk.longestPath)
              }
              packed.values.multiply(
                rows: strip.count, terms: 0..<seen, columns: d, alpha: 1, scores, strides: (width, 1),
                to: out + column(first, head), ldc: queryDim, accumulate: false)
              for (i, index) in strip.enumerated() {
                let target = out + column(index, head)
                for (j, entry) in path(index).enumerated() {
                  let value = Int(forest.pathRows[entry]) * keyValueStride + configuration.kvDim
                  axpy(paths[i * trunk.longestPath + j], keys + value, target, d)
                }
                Kernels.scale(target, by: 1 / sums[i], count: d)
              }
            }
          }
        }
      }
    }
  }

  /// Replaces a query's scores in `line`, which go on with zeros to `seen`, by e^(score − maximum), writes those of its branch
  /// to `path`, and returns their sum. Keeps its logarithm.
  @inline(__always)
  private func exponentials(
    _ index: Int, _ head: Int, _ keys: FloatPointer, _ line: MutableFloatPointer, seen: Int, path target: MutableFloatPointer
  ) -> Float {
    let count = visible(index)
    let span = path(index)
    branchScores(index, head, keys, to: line + count)
    let maximum = Kernels.maximum(line, count: count + span.count)
    let sum = Kernels.expRow(line, maximum: maximum, count: count + span.count)
    target.update(from: line + count, count: span.count)
    (line + count).update(repeating: 0, count: seen - count)
    logSum[index * configuration.heads + head] = maximum + Float(log(Double(sum)))
    return sum
  }

  /// The scores of a query and the rows of its branch; `keys` are the head's of row 0.
  @inline(__always)
  private func branchScores(_ index: Int, _ head: Int, _ keys: FloatPointer, to scores: MutableFloatPointer) {
    let q = query + column(index, head)
    for (j, entry) in path(index).enumerated() {
      scores[j] = scale * dot(q, keys + Int(forest.pathRows[entry]) * keyValueStride, headDim)
    }
  }

  // MARK: Backward

  /// Queries whose probabilities are kept together: part of what decides the bits of sums over queries. A multiple of the rows
  /// of every ``Tile``, so that no strip is short.
  private static let together = 84

  /// Writes the gradient of the queries, `[queries, queryDim]`, and adds those of keys and values, `[rows, 2 · kvDim]`.
  ///
  /// The probabilities are computed again from the kept log-sums; with D_i = Σ dO∘O: dS = P∘(dP − D), dP = dO·Vᵀ
  /// (Dao et al. 2022, FlashAttention, section 3).
  func backward(dOut: FloatPointer, dQuery: MutableFloatPointer, dKeyValue: MutableFloatPointer) {
    let pass = Backward(dOut: dOut, dQuery: dQuery, dKeyValue: dKeyValue)
    forEachUnit { trunk, keyValueHead, heads in
      let (d, together) = (headDim, Self.together)
      let width = max(tile.padded(trunk.count), trunk.longestPath)
      let across = PackedMatrix.size(terms: d, columns: trunk.count)
      let along = PackedMatrix.size(terms: trunk.count, columns: d)
      withFloats(2 * across + along + 2 * together * width + 2 * PackedMatrix.size(terms: together, columns: d)) { scratch in
        let keys = keyValue + keyValueHead * d + trunk.start * keyValueStride
        let values = keys + configuration.kvDim
        let packed = Packed(
          keysAcross: PackedMatrix(
            keys, ldb: keyValueStride, transposed: true, terms: d, columns: trunk.count, in: scratch),
          valuesAcross: PackedMatrix(
            values, ldb: keyValueStride, transposed: true, terms: d, columns: trunk.count, in: scratch + across),
          keys: PackedMatrix(
            keys, ldb: keyValueStride, transposed: false, terms: trunk.count, columns: d, in: scratch + 2 * across),
          probabilities: scratch + 2 * across + along, width: width)
        let rest = packed.probabilities + 2 * together * width
        for head in heads {
          for run in trunk.runs {
            for first in stride(from: run.lowerBound, to: run.upperBound, by: together) {
              let queries = first..<min(first + together, run.upperBound)
              backward(queries, trunk, keyValueHead, head, packed, rest, pass)
              for index in queries { backwardBranch(index, keyValueHead, head, packed.probabilities, pass) }
            }
          }
        }
      }
    }
  }

  private struct Backward {
    let dOut: FloatPointer
    let dQuery: MutableFloatPointer
    let dKeyValue: MutableFloatPointer
  }

  /// A trunk's keys and values as the right sides of products, and room for ``together`` rows of probabilities and after
  /// them of their scores' gradients.
  private struct Packed {
    let keysAcross: PackedMatrix
    let valuesAcross: PackedMatrix
    let keys: PackedMatrix
    let probabilities: MutableFloatPointer
    let width: Int
    var dScores: MutableFloatPointer { probabilities + Attention.together * width }
  }

  /// Queries against their trunk.
  private func backward(
    _ queries: Range<Int>, _ trunk: Trunk, _ keyValueHead: Int, _ head: Int, _ packed: Packed,
    _ scratch: MutableFloatPointer, _ pass: Backward
  ) {
    let d = headDim
    let (p, ds, width) = (packed.probabilities, packed.dScores, packed.width)
    let first = queries.lowerBound
    let seenByAny = queries.reduce(0) { max($0, visible($1)) }
    for start in stride(from: first, to: queries.upperBound, by: tile.rows) {
      let strip = start..<min(start + tile.rows, queries.upperBound)
      let seen = strip.reduce(0) { max($0, visible($1)) }
      let line = (start - first) * width
      // Read after the two products.
      for index in strip { Kernels.prefetch(out + column(index, head), width: d) }
      packed.keysAcross.multiply(
        rows: strip.count, terms: 0..<d, columns: tile.padded(seen), alpha: scale, query + column(start, head),
        strides: (queryDim, 1), to: p + line, ldc: width, accumulate: false)
      packed.valuesAcross.multiply(
        rows: strip.count, terms: 0..<d, columns: tile.padded(seen), alpha: 1, pass.dOut + column(start, head),
        strides: (queryDim, 1), to: ds + line, ldc: width, accumulate: false)
      for index in strip {
        let count = visible(index)
        let line = (index - first) * width
        let delta = dot(pass.dOut + column(index, head), out + column(index, head), d)
        flower_probabilities_backward(
          p + line, ds + line, logSum[index * configuration.heads + head], delta, scale, count)
        (p + line + count).update(repeating: 0, count: seenByAny - count)
        (ds + line + count).update(repeating: 0, count: seenByAny - count)
      }
      packed.keys.multiply(
        rows: strip.count, terms: 0..<seen, columns: d, alpha: 1, ds + line, strides: (width, 1),
        to: pass.dQuery + column(start, head), ldc: queryDim, accumulate: false)
    }
    let size = PackedMatrix.size(terms: Self.together, columns: d)
    let dOut = PackedMatrix(
      pass.dOut + column(first, head), ldb: queryDim, transposed: false, terms: queries.count, columns: d, in: scratch)
    let query = PackedMatrix(
      query + column(first, head), ldb: queryDim, transposed: false, terms: queries.count, columns: d, in: scratch + size)
    let dKeys = pass.dKeyValue + trunk.start * keyValueStride + keyValueHead * d
    var reader = 0
    for key in stride(from: 0, to: seenByAny, by: tile.rows) {
      let count = min(tile.rows, seenByAny - key)
      // The first query that sees any of these keys; of later ones, those that do not have zeros there.
      while visible(first + reader) <= key { reader += 1 }
      let line = reader * width + key
      dOut.multiply(
        rows: count, terms: reader..<queries.count, columns: d, alpha: 1, p + line, strides: (1, width),
        to: dKeys + key * keyValueStride + configuration.kvDim, ldc: keyValueStride, accumulate: true)
      query.multiply(
        rows: count, terms: reader..<queries.count, columns: d, alpha: 1, ds + line, strides: (1, width),
        to: dKeys + key * keyValueStride, ldc: keyValueStride, accumulate: true)
    }
  }

  /// A query against the rows of its branch; `p` has room for them.
  private func backwardBranch(_ index: Int, _ keyValueHead: Int, _ head: Int, _ p: MutableFloatPointer, _ pass: Backward) {
    let span = path(index)
    if span.isEmpty { return }
    let d = headDim
    let column = column(index, head)
    let keys = keyValue + keyValueHead * d
    let dKeys = pass.dKeyValue + keyValueHead * d
    let (q, g) = (query + column, pass.dOut + column)
    let delta = dot(g, out + column, d)
    branchScores(index, head, keys, to: p)
    _ = Kernels.expRow(p, maximum: logSum[index * configuration.heads + head], count: span.count)
    for (j, entry) in span.enumerated() {
      let key = Int(forest.pathRows[entry]) * keyValueStride
      let value = key + configuration.kvDim
      let ds = p[j] * (dot(g, keys + value, d) - delta) * scale
      axpy(ds, keys + key, pass.dQuery + column, d)
      axpy(ds, q, dKeys + key, d)
      axpy(p[j], g, dKeys + value, d)
    }
  }
}
