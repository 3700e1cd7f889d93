import CVector
import Testing

@testable import FlowerDist

/// Products by way of bfloat16 thirds, against the definition of their bits and against the exact result.
@Suite struct ThirdsTests {
  /// Numbers of all sizes that training meets, of both signs.
  private func numbers(_ count: Int, seed: UInt64) -> [Float] {
    let random = CounterRandom(seed: seed, purpose: .initialWeights, step: 0)
    return (0..<count).map { Float(random.normals(UInt64($0)).0 * [1e-3, 1, 30][$0 % 3]) }
  }

  private func bfloat16(_ x: Float) -> Float { Float(bitPattern: (x.bitPattern &+ 0x8000) & 0xffff_0000) }

  private func thirds(_ x: Float) -> [Float] {
    let high = bfloat16(x)
    let middle = bfloat16(x - high)
    return [high, middle, x - high - middle]
  }

  /// Element (i, j) of alpha · a · b + c, operation by operation.
  private func expected(_ a: [Float], _ b: [Float], alpha: Float, addedTo c: Float) -> Float {
    let (left, right) = (a.map(thirds), b.map(thirds))
    var total = c
    for chain in stride(from: 0, to: a.count, by: 512) {
      var sum: Float = 0
      for block in stride(from: chain, to: min(chain + 512, a.count), by: 32) {
        for (p, q) in [(2, 0), (1, 0), (1, 1), (0, 1), (0, 0), (0, 2)] {
          var parts: [Float] = [0, 0]
          for k in block..<min(block + 32, a.count) { parts[k % 2].addProduct(left[k][p], right[k][q]) }
          sum += parts[0] + parts[1]
        }
      }
      total.addProduct(alpha, sum)
    }
    return total
  }

  /// Calls `body` with a `[m, k]` and b `[k, n]` in each order of memory.
  private func forEachOrder(
    _ m: Int, _ n: Int, _ k: Int, _ a: [Float], _ b: [Float],
    _ body: (_ a: [Float], _ transposeA: Bool, _ b: [Float], _ transposeB: Bool) -> Void
  ) {
    func transposed(_ x: [Float], _ rows: Int, _ columns: Int) -> [Float] {
      (0..<columns).flatMap { j in (0..<rows).map { x[$0 * columns + j] } }
    }
    for transposeA in [false, true] {
      for transposeB in [false, true] {
        body(transposeA ? transposed(a, m, k) : a, transposeA, transposeB ? transposed(b, k, n) : b, transposeB)
      }
    }
  }

  @Test(arguments: [
    (1, 1, 1), (3, 7, 5), (16, 16, 32), (17, 33, 31), (40, 16, 64), (9, 70, 96), (33, 40, 600), (300, 35, 9), (2, 3, 1030),
  ])
  func bitsAreThoseOfTheDefinition(m: Int, n: Int, k: Int) {
    let (a, b, before) = (numbers(m * k, seed: 1), numbers(k * n, seed: 2), numbers(m * n, seed: 3))
    for accumulate in [false, true] {
      let alpha: Float = accumulate ? 0.37 : 1
      let wanted = (0..<m * n).map { index in
        expected(
          Array(a[index / n * k..<(index / n + 1) * k]), (0..<k).map { b[$0 * n + index % n] }, alpha: alpha,
          addedTo: accumulate ? before[index] : 0)
      }
      forEachOrder(m, n, k, a, b) { a, transposeA, b, transposeB in
        for tile in ThirdsTile.all {
          for parts in 1...3 {
            var c = before
            Gemm.multiply(
              m, n, k, alpha: alpha, a, lda: transposeA ? m : k, transposeA: transposeA, b, ldb: transposeB ? k : n,
              transposeB: transposeB, accumulate: accumulate, &c, ldc: n, .bf16x6, kernel: .bf16x6(tile), parts: parts)
            #expect(c == wanted, "\(transposeA) \(transposeB) \(accumulate), \(tile.name), \(parts) parts")
          }
        }
      }
    }
  }

  /// Nearer to the exact result than a chain of fp32 fused multiply-adds, relative to the sum of the terms' sizes.
  @Test(arguments: [64, 256, 1408])
  func errorIsBelowThatOfFusedMultiplyAdds(terms: Int) {
    let (m, n) = (24, 24)
    let (a, b) = (numbers(m * terms, seed: 5), numbers(terms * n, seed: 6))
    var squares: [Arithmetic: Double] = [:]
    for arithmetic in Arithmetic.allCases {
      var c = [Float](repeating: 0, count: m * n)
      Gemm.multiply(m, n, terms, a, lda: terms, b, ldb: n, &c, ldc: n, arithmetic)
      for i in 0..<m {
        for j in 0..<n {
          let products = (0..<terms).map { Double(a[i * terms + $0]) * Double(b[$0 * n + j]) }
          let error = (Double(c[i * n + j]) - products.reduce(0, +)) / products.reduce(0) { $0 + abs($1) }
          squares[arithmetic, default: 0] += error * error
        }
      }
    }
    #expect(squares[.bf16x6]! < squares[.fma]!, "\(squares)")
    // Half a unit in the last place of fp32.
    #expect((squares[.bf16x6]! / Double(m * n)).squareRoot() < 0x1p-24)
  }

  /// Numbers and products so small that they are no normal numbers, or so large that they are none at all. (On a CPU
  /// without tile registers there is nothing to compare.)
  @Test(arguments: [[1e-44, 1e-38, 1e-30, 1e-20, 1, 1e20, 3e38, 0, -0.0], [0x1p-55, 0x1p-62, 0x1p-66, 0x1p-75]])
  func hardwareAndEmulationAgreeAtTheEdges(sizes: [Float]) {
    let (m, n, k) = (32, 32, 64)
    let a = numbers(m * k, seed: 7).enumerated().map { $1 * sizes[$0 % sizes.count] }
    let b = numbers(k * n, seed: 8).enumerated().map { $1 * sizes[$0 / 7 % sizes.count] }
    let results = ThirdsTile.all.map { tile in
      var c = [Float](repeating: 0, count: m * n)
      Gemm.multiply(m, n, k, a, lda: k, b, ldb: n, &c, ldc: n, .bf16x6, kernel: .bf16x6(tile))
      return c.map { $0.isNaN ? 0 : $0.bitPattern }
    }
    #expect(Set(results).count == 1)
  }

  @Test(
    arguments: [
      Float.nan, -.nan, .infinity, -.infinity, .greatestFiniteMagnitude, Float(bitPattern: 0x7fff_ffff),
      Float(bitPattern: 0xffff_8001),
    ])
  func whatIsNotFiniteIsNoNumber(value: Float) {
    var special = [Float](repeating: 1, count: 40)
    special[33] = value
    let plain = [Float](repeating: 1e-20, count: 40)
    for tile in ThirdsTile.all {
      for (a, b) in [(special, plain), (plain, special)] {
        var c: [Float] = [0]
        Gemm.multiply(1, 1, 40, a, lda: 40, b, ldb: 1, &c, ldc: 1, .bf16x6, kernel: .bf16x6(tile))
        #expect(c[0].isNaN, "\(tile.name)")
      }
    }
  }

  /// A matrix that is split once serves all products, whatever is cut for threads.
  @Test(arguments: [(1, 1, 1), (14, 32, 16), (29, 40, 600), (120, 300, 9), (17, 31, 1030), (5, 700, 512)])
  func splitOnceChangesNothing(m: Int, n: Int, k: Int) {
    let (a, b) = (numbers(m * k, seed: 9), numbers(n * k, seed: 10))
    b.withUnsafeBufferPointer { b in
      let weight = b.baseAddress!
      var wanted = [Float](repeating: 0, count: m * n)
      Gemm.multiply(m, n, k, a, lda: k, weight, ldb: k, transposeB: true, &wanted, ldc: n, .bf16x6)
      let store = PackedWeights(limit: PackedWeights.modelLimit)
      let matrix = PackedWeights.Matrix(weight: weight, output: n, input: k, isTransposed: true, arithmetic: .bf16x6)
      #expect(store.keepIfSeen(matrix) == nil)
      let panels = store.keepIfSeen(matrix)
      #expect(panels != nil)
      for parts in 1...3 {
        var c = [Float](repeating: .nan, count: m * n)
        Gemm.multiply(
          m, n, k, a, lda: k, weight, ldb: k, transposeB: true, &c, ldc: n, packed: panels, .bf16x6, parts: parts)
        #expect(c == wanted, "\(parts) parts")
      }
    }
  }
}
