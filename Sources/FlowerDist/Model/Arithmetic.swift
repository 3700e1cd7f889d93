/// How numbers of a matrix product are multiplied and added. Each gives the same bits on every kind of CPU.
public enum Arithmetic: String, CaseIterable, Sendable {
  /// Fused multiply-adds of fp32: fast on every CPU.
  case fma
  /// Six products of bfloat16 thirds, added in fp32: closer to the exact result than ``fma``, and 2 to 3 times as fast where
  /// the CPU has tile registers (AMX). Elsewhere it is emulated, which is slow.
  case bf16x6

  /// With the kernel that this CPU computes it with.
  var onThisCPU: String {
    switch self {
    case .fma: "\(Tile.best.name) tiles"
    case .bf16x6: "bf16x6, \(ThirdsTile.best.name)"
    }
  }

  /// What the user should know where this CPU is slow with it.
  var warning: String? {
    if self == .fma || ThirdsTile.best.usesRegisters { return nil }
    return
      "warning: this CPU has no tile registers (AMX) for \(rawValue), which is emulated: the same bits, but slower than"
      + " \(Arithmetic.fma.rawValue)"
  }
}
