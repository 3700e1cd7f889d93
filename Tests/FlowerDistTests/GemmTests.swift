import Testing

@testable import FlowerDist

/// Products against the definition of their bits: chains of fused multiply-adds over 512 terms, added in order.
@Suite struct GemmTests {
  private struct Matrix {
    var rows: Int
    var columns: Int
    var values: [Float]

    init(_ rows: Int, _ columns: Int, seed: Int) {
      self.rows = rows
      self.columns = columns
      values = (0..<rows * columns).map { Float(($0 &* 7919 &+ seed) % 1009 - 504) / 300 }
    }

    var transposed: Matrix {
      var result = Matrix(columns, rows, seed: 0)
      for i in 0..<rows { for j in 0..<columns { result.values[j * rows + i] = values[i * columns + j] } }
      return result
    }
  }

  private func expected(_ a: Matrix, _ b: Matrix, alpha: Float, addedTo c: Matrix?) -> [Float] {
    var result = [Float](repeating: 0, count: a.rows * b.columns)
    for i in 0..<a.rows {
      for j in 0..<b.columns {
        var total = c?.values[i * b.columns + j] ?? 0
        for start in stride(from: 0, to: a.columns, by: 512) {
          var chain: Float = 0
          for k in start..<min(start + 512, a.columns) {
            chain.addProduct(a.values[i * a.columns + k], b.values[k * b.columns + j])
          }
          total.addProduct(alpha, chain)
        }
        result[i * b.columns + j] = total
      }
    }
    return result
  }

  @Test(arguments: [
    (1, 1, 1), (3, 7, 5), (14, 32, 16), (15, 33, 17), (29, 40, 600), (120, 300, 9), (17, 31, 1030), (130, 16, 64), (5, 70, 512),
    (30, 256, 40),
  ])
  func bitsAreThoseOfTheChains(m: Int, n: Int, k: Int) {
    let a = Matrix(m, k, seed: 3)
    let b = Matrix(k, n, seed: 5)
    let before = Matrix(m, n, seed: 11)
    for (transposeA, transposeB) in [(false, false), (true, false), (false, true), (true, true)] {
      for accumulate in [false, true] {
        let alpha: Float = accumulate ? 0.37 : 1
        let (left, right) = (transposeA ? a.transposed : a, transposeB ? b.transposed : b)
        let expected = expected(a, b, alpha: alpha, addedTo: accumulate ? before : nil)
        for tile in Tile.all {
          for parts in 1...3 {
            var c = before
            Gemm.multiply(
              m, n, k, alpha: alpha, left.values, lda: left.columns, transposeA: transposeA, right.values,
              ldb: right.columns, transposeB: transposeB, accumulate: accumulate, &c.values, ldc: n, .fma, kernel: .fma(tile),
              parts: parts)
            #expect(c.values == expected, "\(transposeA) \(transposeB) \(accumulate), \(tile.name), \(parts) parts")
          }
        }
      }
    }
  }

  /// A matrix that several products read is packed once, from the second on, until it may have changed.
  @Test(arguments: [(1, 1, 1), (14, 32, 16), (29, 40, 600), (120, 300, 9), (17, 31, 1030), (5, 700, 512)])
  func packedOnceChangesNothing(m: Int, n: Int, k: Int) {
    let a = Matrix(m, k, seed: 3)
    let weights = [5, 6].map { Matrix(n, k, seed: $0) }
    let store = PackedWeights(limit: PackedWeights.modelLimit)
    var current = weights[0].values
    current.withUnsafeMutableBufferPointer { current in
      let weight = FloatPointer(current.baseAddress!)
      for round in 0..<3 {
        for b in weights {
          current.baseAddress!.update(from: b.values, count: n * k)
          store.forget()
          let expected = expected(a, b.transposed, alpha: 1, addedTo: nil)
          let matrix = PackedWeights.Matrix(weight: weight, output: n, input: k, isTransposed: true, arithmetic: .fma)
          for use in 0..<3 {
            let panels = store.keepIfSeen(matrix)
            #expect((panels == nil) == (use == 0))
            #expect((store.kept(matrix) == nil) == (use == 0))
            for parts in 1...3 {
              var c = [Float](repeating: .nan, count: m * n)
              Gemm.multiply(
                m, n, k, a.values, lda: k, weight, ldb: k, transposeB: true, &c, ldc: n, packed: panels, .fma, parts: parts)
              #expect(c == expected, "round \(round), use \(use), \(parts) parts")
            }
          }
        }
      }
    }
  }

  /// A matrix itself, not its transpose, is packed as well.
  @Test(arguments: [(1, 1, 1), (14, 32, 16), (29, 40, 600), (120, 300, 9), (17, 31, 1030)], Arithmetic.allCases)
  func packedForInputGradientsChangesNothing(shape: (m: Int, n: Int, k: Int), arithmetic: Arithmetic) {
    let (m, n, k) = shape
    let (dy, w) = (Matrix(m, k, seed: 3).values, Matrix(k, n, seed: 4).values)
    w.withUnsafeBufferPointer { w in
      let weight = w.baseAddress!
      let matrix = PackedWeights.Matrix(
        weight: weight, output: k, input: n, isTransposed: false, arithmetic: arithmetic)
      var wanted = [Float](repeating: .nan, count: m * n)
      Gemm.linearInputGradient(dy, weight: weight, rows: m, input: n, output: k, to: &wanted, arithmetic)
      var c = [Float](repeating: .nan, count: m * n)
      let store = PackedWeights(limit: matrix.floats)
      withExtendedLifetime(store) {
        Gemm.linearInputGradient(
          dy, weight: weight, rows: m, input: n, output: k, to: &c, packed: store.keep(matrix), arithmetic)
      }
      #expect(c == wanted)
    }
  }

  /// Long rows are read in place or copied, as their distance in memory asks for.
  @Test(arguments: [(20, 40, 64, 512), (20, 40, 64, 513), (20, 40, 64, 1024)])
  func distanceOfRowsChangesNothing(m: Int, n: Int, k: Int, stride: Int) {
    let a = Matrix(m, k, seed: 3)
    let b = Matrix(k, n, seed: 5)
    var spread = [Float](repeating: .nan, count: m * stride)
    for i in 0..<m { for j in 0..<k { spread[i * stride + j] = a.values[i * k + j] } }
    var c = [Float](repeating: 0, count: m * n)
    Gemm.multiply(m, n, k, spread, lda: stride, b.values, ldb: n, &c, ldc: n, .fma)
    #expect(c == expected(a, b, alpha: 1, addedTo: nil))
    var across = [Float](repeating: .nan, count: k * stride)
    for i in 0..<m { for j in 0..<k { across[j * stride + i] = a.values[i * k + j] } }
    Gemm.multiply(m, n, k, across, lda: stride, transposeA: true, b.values, ldb: n, &c, ldc: n, .fma)
    #expect(c == expected(a, b, alpha: 1, addedTo: nil))
  }

  @Test func noTermsGiveZeros() {
    var c: [Float] = [1, 2]
    Gemm.multiply(1, 2, 0, c, lda: 1, c, ldb: 2, accumulate: true, &c, ldc: 2, .fma)
    #expect(c == [1, 2])
    Gemm.multiply(1, 2, 0, [0], lda: 1, [0], ldb: 2, &c, ldc: 2, .fma)
    #expect(c == [0, 0])
  }

  @Test func everyTileOfThisCPUGivesTheSameBits() {
    let (terms, columns) = (37, 45)
    let b = Matrix(terms, columns, seed: 7)
    #expect(Tile.all.map(\.name).contains("portable"))
    for tile in Tile.all {
      let memory = UnsafeMutablePointer<Float>.allocate(capacity: PackedMatrix.size(terms: terms, columns: columns, tile))
      defer { memory.deallocate() }
      let packed = PackedMatrix(
        b.values, ldb: columns, transposed: false, terms: terms, columns: columns, in: memory, tile)
      for rows in 1...tile.rows {
        let a = Matrix(rows, terms, seed: rows)
        let before = Matrix(rows, columns, seed: 1)
        for accumulate in [false, true] {
          var c = before.values
          packed.multiply(
            rows: rows, terms: 0..<terms, columns: columns, alpha: 0.7, a.values, strides: (terms, 1), to: &c,
            ldc: columns, accumulate: accumulate)
          #expect(c == expected(a, b, alpha: 0.7, addedTo: accumulate ? before : nil), "\(tile.name), \(rows) rows")
        }
      }
    }
  }
}
