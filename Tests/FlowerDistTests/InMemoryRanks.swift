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

    private var mail: [Route: [[UInt8]]] = [:]

    func send(_ bytes: [UInt8], _ route: Route) {
      condition.withLock {
        mail[route, default: []].append(bytes)
        condition.broadcast()
      }
    }

    func take(_ route: Route) -> [UInt8]? {
      condition.withLock { mail[route]?.isEmpty == false ? mail[route]!.removeFirst() : nil }
    }

    func wait(forAny routes: [Route]) {
      condition.withLock {
        while !routes.contains(where: { mail[$0]?.isEmpty == false }) { condition.wait() }
      }
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

  private struct Route: Hashable {
    var from: Int
    var to: Int
    var tag: Int
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

    /// Bytes leave when they are asked for, as late as MPI may send them: whoever changes them before that is found out.
    func send(_ bytes: UnsafeRawBufferPointer, to other: Int, tag: Int) -> Message {
      let message = next()
      leaving.append((message, Route(from: rank, to: other, tag: tag), bytes))
      return message
    }

    func receive(_ bytes: UnsafeMutableRawBufferPointer, from other: Int, tag: Int) -> Message {
      let message = next()
      expected[message] = (Route(from: other, to: rank, tag: tag), bytes)
      return message
    }

    private var messages = 0
    private var leaving: [(message: Message, route: Route, bytes: UnsafeRawBufferPointer)] = []
    private var expected: [Message: (Route, UnsafeMutableRawBufferPointer)] = [:]

    private func next() -> Message {
      messages += 1
      return Message(number: messages)
    }

    func isDone(_ message: Message) -> Bool {
      if let place = leaving.firstIndex(where: { $0.message == message }) {
        // Those before it on the same way leave first.
        let route = leaving[place].route
        for sent in leaving[...place] where sent.route == route { board.send(Array(sent.bytes), route) }
        leaving = leaving[...place].filter { $0.route != route } + leaving[(place + 1)...]
        return true
      }
      guard let (route, bytes) = expected[message] else { return true }
      guard let sent = board.take(route) else { return false }
      precondition(sent.count == bytes.count, "a rank sends what another does not expect")
      bytes.copyBytes(from: sent)
      expected[message] = nil
      return true
    }

    func wait(forAny messages: [Message]) {
      for sent in leaving { board.send(Array(sent.bytes), sent.route) }
      leaving.removeAll()
      if messages.contains(where: { expected[$0] == nil }) { return }
      board.wait(forAny: messages.map { expected[$0]!.0 })
    }
  }
}
