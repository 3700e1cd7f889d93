/// What the ranks of a run say to each other.
///
/// Every call is collective or one half of a pair, on the main thread; all ranks make the same collective calls in the same order.
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
  /// Starts to send bytes, which stay as they are until the message is done. What one rank sends to another under one tag
  /// arrives in the order in which it was sent.
  func send(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int) -> Message
  /// Starts to receive as many bytes as there is room for, which nobody touches until the message is done.
  func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int) -> Message
  /// Whether a message is done; all others move on meanwhile. What was said to be done once is not asked for again.
  func isDone(_ message: Message) -> Bool
  /// Returns when one of the messages is done.
  func wait(forAny messages: [Message])
}

/// One half of a pair of calls, on its way.
public struct Message: Hashable, Sendable {
  /// Counted by the communicator.
  let number: Int
}

extension Communicator {

  public var isRoot: Bool { rank == 0 }

  /// Returns when a message is done.
  func wait(for message: Message) {
    while !isDone(message) { wait(forAny: [message]) }
  }

  /// The sum over ranks.
  public func sum(_ values: [Double]) -> [Double] {
    var result = values
    result.withUnsafeMutableBufferPointer { sum($0) }
    return result
  }

  /// Runs `body` on every rank; if it throws on any, all throw the same error, which says what went wrong on which rank.
  ///
  /// Without it a rank that fails alone would leave the others waiting for ever.
  public func together<Value>(_ body: () throws -> Value) throws -> Value {
    let result = Result { try body() }.mapError { $0 as? FlowerError ?? FlowerError(.data, "\($0)") }
    if size == 1 { return try result.get() }
    var report: [UInt8] = []
    if case .failure(let error) = result {
      report = [UInt8(error.kind.rawValue)] + Array(error.description.utf8)
    }
    if let error = FlowerError(reports: gather(report), hosts: hosts) { throw error }
    return try result.get()
  }

  /// The value of rank zero on every rank; its error, if it fails there.
  public func fromRoot(_ body: () throws -> [UInt8]) throws -> [UInt8] {
    let value = try together { isRoot ? try body() : [] }
    return broadcast(value)
  }
}

extension FlowerError {
  /// What the ranks report to each other: empty, or the kind's code and the message. Each message is said once, after
  /// the first rank that has it unless that is rank zero; the kind is that of the first. `nil` if no rank failed.
  fileprivate init?(reports: [[UInt8]], hosts: [String]) {
    guard let first = reports.first(where: { !$0.isEmpty }) else { return nil }
    var said: [[UInt8]] = []
    var lines: [String] = []
    for (rank, report) in reports.enumerated() where !report.isEmpty && !said.contains(report) {
      said.append(report)
      let others = reports.count { $0 == report } - 1
      let prefix = rank == 0 ? "" : "[rank \(rank) \(hosts[rank])\(others > 0 ? " and \(others) more" : "")] "
      lines.append(prefix + String(decoding: report.dropFirst(), as: UTF8.self))
    }
    self.init(Kind(rawValue: Int32(first[0])) ?? .communication, lines.joined(separator: "\n"))
    isShared = true
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
  public func send(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int) -> Message { nobody() }
  public func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int) -> Message { nobody() }
  public func isDone(_ message: Message) -> Bool { nobody() }
  public func wait(forAny messages: [Message]) { nobody() }
  private func nobody() -> Never { preconditionFailure("a single process has nobody to talk to") }
}
