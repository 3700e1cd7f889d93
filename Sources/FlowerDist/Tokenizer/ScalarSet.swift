/// A set of Unicode scalars, as regular expressions build them from ranges and categories.
///
/// The scalars are cut into segments, and in each segment a set of atoms belongs to the set. This form is closed under
/// union, intersection and complement, whatever ranges and categories are mixed.
struct ScalarSet: Equatable, Sendable {
  private struct Segment: Equatable {
    /// The segment reaches to the next one's start.
    var start: UInt32
    var atoms: ScalarAtom.Mask
  }

  /// Ascending; the first starts at 0. Neighbours have different atoms.
  private var segments: [Segment]
  /// The members below 128, as bits.
  private var ascii: SIMD2<UInt64> = .zero

  init(_ atoms: ScalarAtom.Mask) { self.init([Segment(start: 0, atoms: atoms)]) }

  init(_ range: ClosedRange<Unicode.Scalar>) {
    var segments = [Segment(start: range.lowerBound.value, atoms: .all)]
    if range.lowerBound.value > 0 { segments.insert(Segment(start: 0, atoms: []), at: 0) }
    segments.append(Segment(start: range.upperBound.value + 1, atoms: []))
    self.init(segments)
  }

  init(_ scalar: Unicode.Scalar) { self.init(scalar...scalar) }

  private init(_ segments: [Segment]) {
    self.segments = segments
    for scalar in UInt32(0)..<0x80 where segment(of: scalar).atoms.contains(ScalarAtom(scalar)) {
      ascii[Int(scalar >> 6)] |= 1 << UInt64(scalar & 63)
    }
  }

  func contains(_ scalar: UInt32) -> Bool {
    if scalar < 0x80 { return ascii[Int(scalar >> 6)] >> UInt64(scalar & 63) & 1 != 0 }
    return segment(of: scalar).atoms.contains(ScalarAtom(scalar))
  }

  private func segment(of scalar: UInt32) -> Segment {
    var (low, high) = (0, segments.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if segments[middle].start <= scalar { low = middle } else { high = middle }
    }
    return segments[low]
  }

  func union(_ other: ScalarSet) -> ScalarSet { combined(other) { $0.union($1) } }
  func intersection(_ other: ScalarSet) -> ScalarSet { combined(other) { $0.intersection($1) } }
  var inverted: ScalarSet {
    ScalarSet(segments.map { Segment(start: $0.start, atoms: .init(rawValue: ~$0.atoms.rawValue)) })
  }

  /// O(segments of both).
  private func combined(
    _ other: ScalarSet, _ combine: (ScalarAtom.Mask, ScalarAtom.Mask) -> ScalarAtom.Mask
  ) -> ScalarSet {
    var result: [Segment] = []
    var (left, right) = (0, 0)
    var start: UInt32 = 0
    while true {
      let atoms = combine(segments[left].atoms, other.segments[right].atoms)
      if result.last?.atoms != atoms { result.append(Segment(start: start, atoms: atoms)) }
      let nextLeft = left + 1 < segments.count ? segments[left + 1].start : .max
      let nextRight = right + 1 < other.segments.count ? other.segments[right + 1].start : .max
      start = min(nextLeft, nextRight)
      if start == .max { return ScalarSet(result) }
      if nextLeft == start { left += 1 }
      if nextRight == start { right += 1 }
    }
  }

  /// The bytes that members begin with in UTF-8, or some more.
  var firstBytes: ByteSet {
    var bytes = ByteSet()
    for scalar in UInt32(0)..<0x80 where contains(scalar) { bytes.insert(UInt8(scalar)) }
    for (index, segment) in segments.enumerated() where !segment.atoms.isEmpty {
      let end = index + 1 < segments.count ? segments[index + 1].start - 1 : 0x10FFFF
      guard end >= 0x80 else { continue }
      for byte in Self.firstByte(max(segment.start, 0x80))...Self.firstByte(min(end, 0x10FFFF)) { bytes.insert(byte) }
    }
    return bytes
  }

  /// Of a scalar from 0x80 on; surrogates, which have none, get that of their neighbours.
  private static func firstByte(_ scalar: UInt32) -> UInt8 {
    if scalar < 0x800 { return UInt8(0xC0 | scalar >> 6) }
    return scalar < 0x1_0000 ? UInt8(0xE0 | scalar >> 12) : UInt8(0xF0 | scalar >> 18)
  }
}

struct ByteSet: Equatable, Sendable {
  private var bits = SIMD4<UInt64>.zero

  static let all: ByteSet = {
    var set = ByteSet()
    set.bits = ~.zero
    return set
  }()

  mutating func insert(_ byte: UInt8) { bits[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
  mutating func formUnion(_ other: ByteSet) { bits |= other.bits }
  func contains(_ byte: UInt8) -> Bool { bits[Int(byte >> 6)] >> UInt64(byte & 63) & 1 != 0 }
}
