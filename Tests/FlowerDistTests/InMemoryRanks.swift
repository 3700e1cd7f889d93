import Foundation

@testable import FlowerDist

/// Ranks that are threads of the test: the same calls as over MPI, through one shared board.
enum InMemoryRanks {
  /// Runs `body` on `size` ranks at once and returns their results by rank. Each is a host of its own unless told otherwise.
  static func run<Result: Sendable>(
    _ size: Int, hosts: [String]? = nil, _ body: @escaping @Sendable (any Communicator) throws -> Result
  ) throws -> [Result] {
    let board = Board(hosts ?? (0..<size).map { "host\($0)" })
    let results = Results<Result>(size)
    let group = DispatchGroup()
    for rank in 0..<size {
      group.enter()
      let thread = Thread {
        results.set(rank, Swift.Result { try body(Rank(rank, board)) })
        group.leave()
      }
      thread.stackSize = 4 << 20
      thread.start()
    }
    group.wait()
    return try results.all.map { try $0.get() }
  }

  private final class Results<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [Swift.Result<Value, any Error>?]

    init(_ size: Int) { values = [Swift.Result<Value, any Error>?](repeating: nil, count: size) }

    func set(_ rank: Int, _ value: Swift.Result<Value, any Error>) { lock.withLock { values[rank] = value } }
    var all: [Swift.Result<Value, any Error>] { lock.withLock { values.map { $0! } } }
  }

  /// Where every rank leaves a value and, once all have, finds those of the others.
  private final class Board: @unchecked Sendable {
    let hosts: [String]
    var size: Int { hosts.count }
    private let condition = NSCondition()
    private var values: [Any?]
    private var complete: [Any?] = []
    private var arrived = 0
    private var round = 0

    init(_ hosts: [String]) {
      self.hosts = hosts
      values = [Any?](repeating: nil, count: hosts.count)
    }

    func all<Value>(_ rank: Int, _ value: Value) -> [Value] {
      condition.lock()
      defer { condition.unlock() }
      values[rank] = value
      arrived += 1
      let mine = round
      if arrived == size {
        complete = values
        arrived = 0
        round += 1
        condition.broadcast()
      } else {
        while round == mine { condition.wait() }
      }
      return complete.map { $0 as! Value }
    }
  }

  private final class Rank: Communicator {
    let rank: Int
    private let board: Board
    var size: Int { board.size }
    var hosts: [String] { board.hosts }

    init(_ rank: Int, _ board: Board) { (self.rank, self.board) = (rank, board) }

    func barrier() { _ = board.all(rank, 0) }

    func sum(_ values: UnsafeMutableBufferPointer<Double>) {
      let all = board.all(rank, Array(values))
      for index in values.indices { values[index] = all.reduce(0) { $0 + $1[index] } }
    }

    func max(_ values: [Int64]) -> [Int64] {
      let all = board.all(rank, values)
      return values.indices.map { index in all.map { $0[index] }.max()! }
    }

    func gather(_ bytes: [UInt8]) -> [[UInt8]] { board.all(rank, bytes) }
    func broadcast(_ bytes: [UInt8]) -> [UInt8] { board.all(rank, bytes)[0] }

    func exchange(
      sends: [(to: Int, floats: UnsafeBufferPointer<Float>)], receives: [(from: Int, count: Int)], bucket: Int,
      received: (_ index: Int, _ start: Int, _ floats: UnsafeBufferPointer<Float>) -> Void
    ) {
      let all = board.all(rank, sends.map { (to: $0.to, floats: Array($0.floats)) })
      var taken = [Int](repeating: 0, count: size)
      for (index, receive) in receives.enumerated() {
        let message = all[receive.from].filter { $0.to == rank }[taken[receive.from]].floats
        taken[receive.from] += 1
        precondition(message.count == receive.count, "a rank sends what another does not expect")
        for start in stride(from: 0, to: message.count, by: bucket) {
          let piece = Array(message[start..<Swift.min(start + bucket, message.count)])
          piece.withUnsafeBufferPointer { received(index, start, $0) }
        }
      }
      precondition(all.indices.allSatisfy { from in all[from].count { $0.to == rank } == taken[from] })
    }
  }
}
