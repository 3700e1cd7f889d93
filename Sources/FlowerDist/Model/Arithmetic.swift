/// How numbers of a matrix product are multiplied and added. Each gives the same bits on every x86 CPU.
public enum Arithmetic: String, CaseIterable, Sendable {
  /// Fused multiply-adds of fp32: fast on every CPU.
  case fma
  /// Six products of bfloat16 thirds, added in fp32: for sums of some 32 terms or more on average nearer to the exact result
  /// than ``fma``, and faster where the CPU has tile registers (AMX). Elsewhere it is emulated, which is slow. Products
  /// below 2^-126 are lost, numbers above 3.39e38 become NaN.
  case bf16x6

  /// With the kernel that this CPU computes it with.
  var onThisCPU: String {
    switch self {
    case .fma: "\(Tile.best.name) tiles"
    case .bf16x6: "bf16x6, \(ThirdsTile.best.name)"
    }
  }

  /// Whether it is slow here.
  var isEmulated: Bool { self == .bf16x6 && !ThirdsTile.best.usesTileRegisters }

  /// What the user should know where it is slow.
  /// - Parameter host: where that is.
  func warning(_ host: String) -> String {
    "warning: \(host) has no tile registers (AMX) for \(rawValue), or its system withholds them, so it is emulated: the same"
      + " bits, but slower than \(Arithmetic.fma.rawValue)"
  }
}
