/// How fast this machine multiplies matrices and copies memory, here and now.
///
/// Measured between the steps that it is compared with, because what a shared machine gives changes within seconds.
struct MachineCeiling {
  /// Square matrices of 2048 with OpenBLAS.
  private(set) var sgemm = Samples()
  private(set) var copy = Samples()
  let threads: Int

  static let size = 2048
  private static let copied = 1 << 24
  private let a = Self.filled(size * size)
  private let b = Self.filled(size * size)
  private let c = Self.filled(size * size)
  private let source = Self.filled(copied)
  private let target = Self.filled(copied)

  /// Memory that the measurement takes.
  static let bytes = 4 * (3 * size * size + 2 * copied)

  init(threads: Int) {
    self.threads = threads
    // Wakes the library up.
    OpenBLAS.multiply(256, a.base, b.base, to: c.base, threads: threads)
  }

  mutating func measure() {
    sgemm.measure { OpenBLAS.multiply(Self.size, a.base, b.base, to: c.base, threads: threads) }
    copy.measure { target.base.update(from: source.base, count: Self.copied) }
  }

  private static let operations = 2 * Double(size) * Double(size) * Double(size)

  /// GFLOP/s of sgemm by the median on the wall, and by that of the processor time.
  var gigaflops: Double { Self.operations / sgemm.median / 1e9 }
  var processorGigaflops: Double { Self.operations / sgemm.processor / 1e9 }
  var bestGigaflops: Double { Self.operations / sgemm.minimum / 1e9 }

  /// GB/s, read and written bytes together.
  var bandwidth: Double { 2 * 4 * Double(Self.copied) / copy.median / 1e9 }

  /// Zeros that are in memory: pages that nobody has written share one.
  private static func filled(_ count: Int) -> FloatArena {
    let arena = FloatArena(count: count)
    arena.zero()
    return arena
  }
}
