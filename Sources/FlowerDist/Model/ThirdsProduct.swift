import CVector

/// The innermost loop of ``Arithmetic/bf16x6`` for this CPU.
struct ThirdsTile: Sendable {
  /// Rows and columns that are computed together, and terms of a block.
  static let width = Int(flower_thirds_width)
  /// Numbers of a block's thirds.
  static let block = Int(flower_thirds_block)

  var name: String
  /// Whether it needs the tile registers of its thread set up.
  var usesTileRegisters: Bool
  /// See `flower_thirds` in CVector.h.
  var function: @convention(c) @Sendable (
    Int, UnsafePointer<UInt16>?, UnsafePointer<UInt16>?, Int, Int, Float, MutableFloatPointer?, Int, Bool
  ) -> Void

  static let amx = ThirdsTile(name: "AMX", usesTileRegisters: true, function: flower_thirds_amx)
  static let emulated = ThirdsTile(name: "emulated", usesTileRegisters: false, function: flower_thirds_emulated)

  /// All that this CPU can run, the fastest first.
  static let all: [ThirdsTile] = flower_has_amx() ? [amx, emulated] : [emulated]

  static let best = all[0]

  /// Blocks that `count` rows, columns or terms take.
  static func blocks(_ count: Int) -> Int { (count + width - 1) / width }
}

/// A product in the arithmetic ``Arithmetic/bf16x6``: both sides are split into thirds, a in blocks that stay in the second-level
/// cache until they are used.
struct ThirdsProduct {
  let product: Product
  let tile: ThirdsTile

  private static let depth = Gemm.chain
  /// Numbers of a that are split together: 768 KiB.
  private static let area = 1 << 17
  /// Columns of b that are split together: all rows of a are split once for each. They come from beyond the second-level
  /// cache, once for ``height`` rows of it.
  private static let columnsAtOnce = 2048
  /// Columns of which one strip of rows is computed before the next, so that a row of c is one piece of memory.
  private static let group = 128

  /// Bytes of scratch that a product of any size needs at most.
  static let scratchBytes = 6 * (area + columnsAtOnce * depth)

  /// Rows of a that are split together.
  private var height: Int {
    let terms = min(ThirdsTile.blocks(product.k) * ThirdsTile.width, Self.depth)
    return Self.area / terms / ThirdsTile.width * ThirdsTile.width
  }

  func run() {
    let (m, n, k) = (product.m, product.n, product.k)
    let terms = ThirdsTile.blocks(min(k, Self.depth))
    let left = ThirdsTile.blocks(min(m, height)) * terms * ThirdsTile.block
    let right = product.packed == nil ? ThirdsTile.blocks(min(n, Self.columnsAtOnce)) * terms * ThirdsTile.block : 0
    withFloats((left + right) / 2) { memory in
      memory.withMemoryRebound(to: UInt16.self, capacity: left + right) { memory in
        if tile.usesTileRegisters { flower_amx_begin() }
        defer { if tile.usesTileRegisters { flower_amx_end() } }
        for start in stride(from: 0, to: k, by: Self.depth) {
          for column in stride(from: 0, to: n, by: Self.columnsAtOnce) {
            block(
              start..<min(start + Self.depth, k), column..<min(column + Self.columnsAtOnce, n), left: memory,
              right: memory + left)
          }
        }
      }
    }
  }

  /// Adds the products over `terms` for the columns `columns`.
  private func block(
    _ terms: Range<Int>, _ columns: Range<Int>, left: UnsafeMutablePointer<UInt16>, right: UnsafeMutablePointer<UInt16>
  ) {
    let p = product
    let width = ThirdsTile.width
    let blocks = ThirdsTile.blocks(terms.count)
    let panels: UnsafePointer<UInt16>
    if let packed = p.packed {
      panels = packed.thirds(terms, column: p.firstColumn + columns.lowerBound)
    } else {
      flower_thirds_of_columns(
        p.b(terms.lowerBound, columns.lowerBound), p.ldb, p.transposeB, terms.count, columns.count, right)
      panels = UnsafePointer(right)
    }
    for top in stride(from: 0, to: p.m, by: height) {
      let bottom = min(top + height, p.m)
      flower_thirds_of_rows(p.a(top, terms.lowerBound), p.lda, p.transposeA, bottom - top, terms.count, left)
      for group in stride(from: columns.lowerBound, to: columns.upperBound, by: Self.group) {
        let end = min(group + Self.group, columns.upperBound)
        for row in stride(from: top, to: bottom, by: width) {
          for column in stride(from: group, to: end, by: width) {
            tile.function(
              blocks, left + (row - top) / width * blocks * ThirdsTile.block,
              panels + (column - columns.lowerBound) / width * blocks * ThirdsTile.block, min(width, bottom - row),
              min(width, end - column), p.alpha, p.c + row * p.ldc + column, p.ldc,
              p.accumulate || terms.lowerBound > 0)
          }
        }
      }
    }
  }
}
