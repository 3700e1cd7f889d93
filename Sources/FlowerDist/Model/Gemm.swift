/// Matrix products; every matrix is row-major with the row length `ld…`.
///
/// An element of a product is one chain of operations over each 512 terms, and the chains are added in order: the same bits
/// on every kind of CPU, for any number of threads and however many rows are computed together. ``Arithmetic`` says what the
/// operations are.
///
/// Blocked as in Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
enum Gemm {
  /// c = alpha · op(a) · op(b) (+ c when `accumulate`), where op(a) is `[m, k]`, op(b) `[k, n]` and c `[m, n]`.
  ///
  /// Neither `kernel` nor `parts`, into which rows or columns are cut for threads, changes a bit, nor that op(b) is there
  /// `packed` already (for the best kernel, which is taken unless another is given).
  static func multiply(
    _ m: Int, _ n: Int, _ k: Int, alpha: Float = 1, _ a: FloatPointer, lda: Int, transposeA: Bool = false,
    _ b: FloatPointer, ldb: Int, transposeB: Bool = false, accumulate: Bool = false, _ c: MutableFloatPointer, ldc: Int,
    packed: PackedWeights.Panels? = nil, _ arithmetic: Arithmetic, kernel: Kernel? = nil, parts: Int? = nil
  ) {
    precondition(packed.map { $0.isTransposed == transposeB } ?? true, "weights are packed for the other product")
    let kernel = kernel ?? .best(arithmetic)
    precondition(kernel.arithmetic == arithmetic, "a kernel for another arithmetic")
    if m == 0 || n == 0 { return }
    if k == 0 {
      if !accumulate { for i in 0..<m { (c + i * ldc).update(repeating: 0, count: n) } }
      return
    }
    let product = Product(
      m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, transposeA: transposeA, b: b, ldb: ldb, transposeB: transposeB,
      accumulate: accumulate, c: c, ldc: ldc, packed: packed)
    let parts = parts ?? (m * n * k < smallestShared ? 1 : Threads.count)
    if parts == 1 { return product.run(kernel) }
    let byRows = m / kernel.rows >= n / kernel.columns
    let (size, unit) = byRows ? (m, kernel.rows) : (n, kernel.columns)
    let units = (size + unit - 1) / unit
    Threads.perform(parts) { part in
      let range = min(size, units * part / parts * unit)..<min(size, units * (part + 1) / parts * unit)
      if range.isEmpty { return }
      (byRows ? product.rows(range) : product.columns(range)).run(kernel)
    }
  }

  /// How a product is computed on this CPU.
  enum Kernel {
    case fma(Tile)
    case bf16x6(ThirdsTile)

    static func best(_ arithmetic: Arithmetic) -> Kernel {
      switch arithmetic {
      case .fma: .fma(.best)
      case .bf16x6: .bf16x6(.best)
      }
    }

    var arithmetic: Arithmetic {
      switch self {
      case .fma: .fma
      case .bf16x6: .bf16x6
      }
    }

    /// Rows and columns of c that are computed together.
    var rows: Int {
      switch self {
      case .fma(let tile): tile.rows
      case .bf16x6: ThirdsTile.width
      }
    }
    var columns: Int {
      switch self {
      case .fma(let tile): tile.columns
      case .bf16x6: ThirdsTile.width
      }
    }
  }

  /// Terms of a chain: part of what decides the bits.
  static let chain = 512

  /// Multiply-adds below which waking other threads costs more than they save.
  private static let smallestShared = 1_000_000

  /// y = x · Wᵀ (+ y when `accumulate`), the forward pass of a linear layer: x `[rows, input]`, W `[output, input]`.
  static func linear(
    _ x: FloatPointer, weight: FloatPointer, rows: Int, input: Int, output: Int, to y: MutableFloatPointer,
    accumulate: Bool = false, packed: PackedWeights.Panels? = nil, _ arithmetic: Arithmetic
  ) {
    multiply(
      rows, output, input, x, lda: input, weight, ldb: input, transposeB: true, accumulate: accumulate, y, ldc: output,
      packed: packed, arithmetic)
  }

  /// dx = dy · W (+ dx when `accumulate`): the gradient of ``linear`` for its input.
  static func linearInputGradient(
    _ dy: FloatPointer, weight: FloatPointer, rows: Int, input: Int, output: Int, to dx: MutableFloatPointer,
    accumulate: Bool = false, packed: PackedWeights.Panels? = nil, _ arithmetic: Arithmetic
  ) {
    multiply(
      rows, input, output, dy, lda: output, weight, ldb: input, accumulate: accumulate, dx, ldc: input, packed: packed,
      arithmetic)
  }

  /// dW += dyᵀ · x: the gradient of ``linear`` for its weight.
  static func linearWeightGradient(
    _ dy: FloatPointer, x: FloatPointer, rows: Int, input: Int, output: Int, to dWeight: MutableFloatPointer,
    _ arithmetic: Arithmetic
  ) {
    multiply(
      output, input, rows, dy, lda: output, transposeA: true, x, ldb: input, accumulate: true, dWeight, ldc: input,
      arithmetic)
  }
}

/// One product, or the part of it that one thread computes.
struct Product {
  var m: Int
  var n: Int
  var k: Int
  var alpha: Float
  var a: FloatPointer
  var lda: Int
  var transposeA: Bool
  var b: FloatPointer
  var ldb: Int
  var transposeB: Bool
  var accumulate: Bool
  var c: MutableFloatPointer
  var ldc: Int
  /// b, if it is packed already, and the column of it that this part begins with.
  var packed: PackedWeights.Panels?
  var firstColumn = 0

  func rows(_ range: Range<Int>) -> Product {
    var part = self
    part.m = range.count
    part.a = a(range.lowerBound, 0)
    part.c += range.lowerBound * ldc
    return part
  }

  func columns(_ range: Range<Int>) -> Product {
    var part = self
    part.n = range.count
    part.b = b(0, range.lowerBound)
    part.c += range.lowerBound
    part.firstColumn += range.lowerBound
    return part
  }

  /// Where op(a)'s element (row, term) lies.
  func a(_ row: Int, _ term: Int) -> FloatPointer { a + (transposeA ? term * lda + row : row * lda + term) }

  /// Where op(b)'s element (term, column) lies.
  func b(_ term: Int, _ column: Int) -> FloatPointer { b + (transposeB ? column * ldb + term : term * ldb + column) }

  func run(_ kernel: Gemm.Kernel) {
    switch kernel {
    case .fma(let tile): TileProduct(product: self, tile: tile).run()
    case .bf16x6(let tile): ThirdsProduct(product: self, tile: tile).run()
    }
  }
}
