/// How numbers of a matrix product are multiplied and added. Each gives the same bits on every kind of CPU.
public enum Arithmetic: String, CaseIterable, Sendable, CustomStringConvertible {
  /// Fused multiply-adds of fp32: fast on every CPU.
  case fma
  /// Six products of bfloat16 thirds, added in fp32: closer to the exact result than ``fma``, and 2 to 3 times as fast where
  /// the CPU has tile registers (AMX). Elsewhere it is emulated, which is slow.
  case bf16x6

  /// With the kernel that this CPU computes it with.
  public var description: String {
    switch self {
    case .fma: "\(Tile.best.name) tiles"
    case .bf16x6: "bf16x6, \(ThirdsTile.best.name)"
    }
  }

  /// Whether this CPU computes so without emulation.
  var isNative: Bool {
    switch self {
    case .fma: true
    case .bf16x6: ThirdsTile.best.name == ThirdsTile.amx.name
    }
  }
}
