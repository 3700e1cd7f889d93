/// What of the matrix products decides their last bits.
struct BlasIdentity: Equatable {
  var kernel: String
  var threads: Int

  /// Of this process.
  static var own: BlasIdentity { BlasIdentity(kernel: Gemm.kernelName, threads: Gemm.threads) }

  /// What is to be said where a run goes on with another one than before; `nil` if it is the same, or is not known.
  func difference(from earlier: BlasIdentity?) -> String? {
    guard let earlier, earlier != self else { return nil }
    return "warning: until here the run had \(earlier.words), now it has \(words): its last bits will differ from those of"
      + " a run that was not interrupted"
  }

  private var words: String { "the \(kernel) kernel of OpenBLAS with \(threads) thread\(threads == 1 ? "" : "s")" }
}
