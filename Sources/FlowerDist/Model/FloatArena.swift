import Glibc

/// One flat block of floats, page-aligned and zero at first.
///
/// Pages that were never touched take no memory, so reserving generously is nearly free: where the system offers large
/// ones, they are 2 MB, and blocks that no other process sees get them. A step strides through more small ones than the
/// processor keeps addresses of.
public final class FloatArena {
  public let count: Int
  public let base: UnsafeMutablePointer<Float>
  /// Whether other processes see the block too.
  let isShared: Bool

  public convenience init(count: Int) {
    guard let mapping = Self.map(Self.bytes(count), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1) else {
      fatalError("out of memory: \(count) floats")
    }
    // Advice: a system without large pages ignores it.
    madvise(mapping, Self.bytes(count), MADV_HUGEPAGE)
    self.init(count: count, mapping: mapping, isShared: false)
  }

  private init(count: Int, mapping: UnsafeMutableRawPointer, isShared: Bool) {
    self.count = count
    self.isShared = isShared
    base = mapping.bindMemory(to: Float.self, capacity: max(count, 1))
  }

  /// Memory that others have too: who created it fills it, for the others it can only be read.
  /// - Returns: `nil` where the system has no room.
  convenience init?(_ memory: SharedMemory, count: Int) {
    let protection = memory.isCreator ? PROT_READ | PROT_WRITE : PROT_READ
    guard let mapping = Self.map(Self.bytes(count), protection, MAP_SHARED, memory.descriptor) else { return nil }
    self.init(count: count, mapping: mapping, isShared: true)
  }

  /// An arena of its own with the same floats.
  func copy() -> FloatArena {
    let copy = FloatArena(count: count)
    copy.base.update(from: base, count: count)
    return copy
  }

  /// Changes with any bit of the floats. At the speed of memory, unlike a digest; it does not keep forgers away.
  var fingerprint: String {
    var lanes = [SIMD8<UInt32>](repeating: .zero, count: 4)
    let words = UnsafeRawPointer(base)
    let whole = count / 32 * 32
    lanes.withUnsafeMutableBufferPointer { lanes in
      for start in stride(from: 0, to: whole, by: 32) {
        for lane in 0..<4 {
          let word = words.load(fromByteOffset: 4 * (start + 8 * lane), as: SIMD8<UInt32>.self)
          // An odd factor, and a shifted copy of oneself, lose nothing of what was there.
          let mixed = (lanes[lane] ^ word) &* 0x9E37_79B1
          lanes[lane] = mixed ^ (mixed &>> 15)
        }
      }
    }
    var hash = SHA256()
    lanes.withUnsafeBytes { hash.update($0) }
    hash.update(UnsafeRawBufferPointer(start: words + 4 * whole, count: 4 * (count - whole)))
    return hash.finish()
  }

  static func bytes(_ count: Int) -> Int { max(count, 1) * MemoryLayout<Float>.stride }

  private static func map(
    _ bytes: Int, _ protection: Int32, _ flags: Int32, _ descriptor: Int32
  ) -> UnsafeMutableRawPointer? {
    guard let mapping = mmap(nil, bytes, protection, flags, descriptor, 0), mapping != MAP_FAILED else { return nil }
    return mapping
  }

  /// Whether the system would give that much now: where it would not, making the arena ends the process.
  static func canReserve(count: Int) -> Bool {
    let (bytes, overflow) = max(count, 1).multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
    guard !overflow, let mapping = map(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1) else {
      return false
    }
    munmap(mapping, bytes)
    return true
  }

  deinit { munmap(base, Self.bytes(count)) }

  /// The floats of `range`, checked in debug builds.
  public func view(_ range: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
    assert(range.lowerBound >= 0 && range.upperBound <= count)
    return UnsafeMutableBufferPointer(start: base + range.lowerBound, count: range.count)
  }

  public var all: UnsafeMutableBufferPointer<Float> { view(0..<count) }

  public func zero() { memset(base, 0, count * MemoryLayout<Float>.stride) }
}
