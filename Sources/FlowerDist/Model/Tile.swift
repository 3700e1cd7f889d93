import CVector

/// The innermost loop of a product for this CPU, and the size of what it keeps in registers.
struct Tile: Sendable {
  var name: String
  var rows: Int
  var columns: Int
  /// See `flower_tile` in CVector.h.
  var function: @convention(c) @Sendable (
    Int, Int, Float, FloatPointer?, Int, Int, FloatPointer?, Int, MutableFloatPointer?, Int, Bool,
    UnsafePointer<flower_next>?
  ) -> Void

  /// All that this CPU can run, the fastest first; all give the same bits.
  static let all: [Tile] =
    (flower_has_avx512() ? [Tile(name: "AVX-512", rows: 14, columns: 32, function: flower_tile_avx512)] : [])
    + (flower_has_avx2() ? [Tile(name: "AVX2", rows: 6, columns: 16, function: flower_tile_avx2)] : [])
    + [Tile(name: "portable", rows: 6, columns: 16, function: flower_tile_portable)]

  static let best = all[0]

  /// `count` rounded up to whole panels.
  func padded(_ count: Int) -> Int { (count + columns - 1) / columns * columns }
}
