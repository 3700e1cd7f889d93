import Foundation

/// What a random number is for; part of its counter, so that two purposes never share numbers.
enum RandomPurpose: UInt32, Sendable {
  case initialWeights, dataOrder, draws, targets, policy, evaluation, generatedData, initialAdapter, pairs
}

/// Random numbers without state: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
///
/// The key is the seed, the counter is (step, example, purpose and sample, position), so a number depends on what it is
/// for and never on which rank asks, or in which order.
struct CounterRandom: Sendable {
  private let key: SIMD2<UInt32>
  private let step: UInt32
  private let example: UInt32
  private let purposeAndSample: UInt32

  /// `sample` is below 2^24.
  init(seed: UInt64, purpose: RandomPurpose, step: UInt32 = 0, example: UInt32 = 0, sample: UInt32 = 0) {
    key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    self.step = step
    self.example = example
    purposeAndSample = purpose.rawValue << 24 | sample & 0xFF_FFFF
  }

  /// Four independent 32-bit words for `position`.
  static func philox(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var c = counter
    var k = key
    for _ in 0..<10 {
      let first = UInt64(0xD251_1F53) * UInt64(c[0])
      let second = UInt64(0xCD9E_8D57) * UInt64(c[2])
      c = SIMD4(
        UInt32(second >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: second),
        UInt32(first >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: first))
      k = SIMD2(k[0] &+ 0x9E37_79B9, k[1] &+ 0xBB67_AE85)
    }
    return c
  }

  private func words(_ position: UInt32) -> SIMD4<UInt32> {
    Self.philox(counter: SIMD4(step, example, purposeAndSample, position), key: key)
  }

  /// A 64-bit word.
  func word(_ position: UInt64) -> UInt64 {
    let w = words(UInt32(truncatingIfNeeded: position))
    return UInt64(w[0]) << 32 | UInt64(w[1])
  }

  /// Uniform in [0, 1), a multiple of 2^-53.
  func uniform(_ position: UInt64) -> Double { Double(word(position) >> 11) * 0x1p-53 }

  /// Uniform in 0..<bound by multiplication (bias below bound / 2^64).
  func integer(_ position: UInt64, below bound: Int) -> Int {
    Int(word(position).multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// Two independent standard normals (Box & Muller).
  func normals(_ position: UInt64) -> (Double, Double) {
    let w = words(UInt32(truncatingIfNeeded: position))
    let u = (Double(UInt64(w[0]) << 21 | UInt64(w[1]) >> 11) + 0.5) * 0x1p-53
    let v = Double(UInt64(w[2]) << 21 | UInt64(w[3]) >> 11) * 0x1p-53
    let radius = (-2 * log(u)).squareRoot()
    return (radius * cos(2 * .pi * v), radius * sin(2 * .pi * v))
  }

  /// A permutation of 0..<count (Fisher & Yates).
  func permutation(of count: Int) -> [Int32] {
    var order = (0..<Int32(count)).map { $0 }
    for i in stride(from: count - 1, to: 0, by: -1) { order.swapAt(i, integer(UInt64(i), below: i + 1)) }
    return order
  }
}
