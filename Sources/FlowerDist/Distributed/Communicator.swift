/// What the ranks of a run say to each other.
///
/// Every call is collective or one half of a pair; all ranks make the same calls in the same order, on the main thread.
public protocol Communicator: AnyObject {
  var rank: Int { get }
  var size: Int { get }
  /// Host name of every rank.
  var hosts: [String] { get }

  func barrier()
  /// The elementwise sum over ranks, in place.
  func sum(_ values: UnsafeMutableBufferPointer<Double>)
  /// The elementwise maximum over ranks.
  func max(_ values: [Int64]) -> [Int64]
  /// The bytes of every rank, by rank, on every rank.
  func gather(_ bytes: [UInt8]) -> [[UInt8]]
  /// The bytes of rank zero.
  func broadcast(_ bytes: [UInt8]) -> [UInt8]
  /// Sends and receives the floats of one round: all sends are started, then receives are taken in order, each handed
  /// to `received` in pieces of at most `bucket` floats.
  func exchange(
    sends: [(to: Int, floats: UnsafeBufferPointer<Float>)], receives: [(from: Int, count: Int)], bucket: Int,
    received: (_ index: Int, _ start: Int, _ floats: UnsafeBufferPointer<Float>) -> Void)
}

extension Communicator {
  public var isRoot: Bool { rank == 0 }

  /// The sum over ranks.
  public func sum(_ values: [Double]) -> [Double] {
    var result = values
    result.withUnsafeMutableBufferPointer { sum($0) }
    return result
  }

  /// Runs `body` on every rank; if it throws on any, all throw: the failing rank its own error, the others one that names it.
  ///
  /// Without it a rank that fails alone would leave the others waiting for ever.
  public func together<Value>(_ body: () throws -> Value) throws -> Value {
    let result = Result { try body() }
    var message: [UInt8] = []
    if case .failure(let error) = result {
      let flower = error as? FlowerError ?? FlowerError(.data, "\(error)")
      message = [UInt8(flower.kind.rawValue)] + Array(flower.description.utf8)
    }
    if size == 1 { return try result.get() }
    for (other, bytes) in gather(message).enumerated() where !bytes.isEmpty {
      if other == rank { return try result.get() }
      let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
      throw FlowerError(
        FlowerError.Kind(rawValue: Int32(bytes[0])) ?? .communication, "rank \(other) on \(hosts[other]): \(text)")
    }
    return try result.get()
  }

  /// The value of rank zero on every rank; its error, if it fails there.
  public func fromRoot(_ body: () throws -> [UInt8]) throws -> [UInt8] {
    let value = try together { isRoot ? try body() : [] }
    return broadcast(value)
  }
}

/// The communicator of a run of one process.
public final class SingleProcess: Communicator {
  public let rank = 0
  public let size = 1
  public let hosts: [String]

  public init() { hosts = [hostName()] }

  public func barrier() {}
  public func sum(_ values: UnsafeMutableBufferPointer<Double>) {}
  public func max(_ values: [Int64]) -> [Int64] { values }
  public func gather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }
  public func broadcast(_ bytes: [UInt8]) -> [UInt8] { bytes }
  public func exchange(
    sends: [(to: Int, floats: UnsafeBufferPointer<Float>)], receives: [(from: Int, count: Int)], bucket: Int,
    received: (_ index: Int, _ start: Int, _ floats: UnsafeBufferPointer<Float>) -> Void
  ) {
    precondition(sends.isEmpty && receives.isEmpty, "a single process has nobody to talk to")
  }
}
