import COpenBLAS

/// Matrix products on OpenBLAS; every matrix is row-major with the row length `ld…`.
enum Gemm {
  /// c = alpha · op(a) · op(b) + beta · c, where op(a) is `[m, k]`, op(b) `[k, n]` and c `[m, n]`.
  @inline(__always)
  static func multiply(
    _ m: Int, _ n: Int, _ k: Int, alpha: Float = 1, _ a: FloatPointer, lda: Int, transposeA: Bool = false,
    _ b: FloatPointer, ldb: Int, transposeB: Bool = false, beta: Float = 0, _ c: MutableFloatPointer, ldc: Int
  ) {
    if m == 0 || n == 0 { return }
    cblas_sgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
      blasint(m), blasint(n), blasint(k), alpha, a, blasint(lda), b, blasint(ldb), beta, c, blasint(ldc))
  }

  /// y = x · Wᵀ (+ y when `accumulate`), the forward pass of a linear layer: x `[rows, input]`, W `[output, input]`.
  static func linear(
    _ x: FloatPointer, weight: FloatPointer, rows: Int, input: Int, output: Int, to y: MutableFloatPointer,
    accumulate: Bool = false
  ) {
    multiply(
      rows, output, input, x, lda: input, weight, ldb: input, transposeB: true, beta: accumulate ? 1 : 0, y, ldc: output
    )
  }

  /// dx = dy · W (+ dx when `accumulate`): the gradient of ``linear`` for its input.
  static func linearInputGradient(
    _ dy: FloatPointer, weight: FloatPointer, rows: Int, input: Int, output: Int, to dx: MutableFloatPointer,
    accumulate: Bool = false
  ) {
    multiply(rows, input, output, dy, lda: output, weight, ldb: input, beta: accumulate ? 1 : 0, dx, ldc: input)
  }

  /// dW += dyᵀ · x: the gradient of ``linear`` for its weight.
  static func linearWeightGradient(
    _ dy: FloatPointer, x: FloatPointer, rows: Int, input: Int, output: Int, to dWeight: MutableFloatPointer
  ) {
    multiply(output, input, rows, dy, lda: output, transposeA: true, x, ldb: input, beta: 1, dWeight, ldc: input)
  }

  /// Threads that one rank's products use; results depend on it in the last bit.
  static var threads: Int {
    get { Int(openblas_get_num_threads()) }
    set { openblas_set_num_threads(Int32(newValue)) }
  }

  /// OpenBLAS's version and build options.
  static var configuration: String { String(cString: openblas_get_config()) }

  /// The name of the kernel that OpenBLAS chose for this CPU, e.g. `SkylakeX`.
  static var kernelName: String { String(cString: openblas_get_corename()) }
}
