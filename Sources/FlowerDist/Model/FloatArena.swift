import Glibc

/// One flat block of floats, aligned to 64 bytes and zero at first.
///
/// Pages that were never touched take no memory, so reserving generously is free.
public final class FloatArena {
  public let count: Int
  public let base: UnsafeMutablePointer<Float>
  private let isMapped: Bool

  public init(count: Int) {
    self.count = count
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    // A private mapping is zero, page-aligned, and returns its memory when released.
    let mapping = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapping, mapping != MAP_FAILED else { fatalError("out of memory: \(bytes) bytes") }
    base = mapping.bindMemory(to: Float.self, capacity: max(count, 1))
    isMapped = true
  }

  /// Whether the system would give that much now: where it would not, making the arena ends the process.
  static func canReserve(count: Int) -> Bool {
    let (bytes, overflow) = max(count, 1).multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
    guard !overflow, let mapping = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      mapping != MAP_FAILED
    else { return false }
    munmap(mapping, bytes)
    return true
  }

  /// A block that somebody else made, zero at first, and keeps for as long as the program runs.
  init(count: Int, borrowing base: UnsafeMutablePointer<Float>) {
    self.count = count
    self.base = base
    isMapped = false
  }

  deinit { if isMapped { munmap(base, max(count, 1) * MemoryLayout<Float>.stride) } }

  /// The floats of `range`, checked in debug builds.
  public func view(_ range: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
    assert(range.lowerBound >= 0 && range.upperBound <= count)
    return UnsafeMutableBufferPointer(start: base + range.lowerBound, count: range.count)
  }

  public var all: UnsafeMutableBufferPointer<Float> { view(0..<count) }

  public func zero() { memset(base, 0, count * MemoryLayout<Float>.stride) }
}
