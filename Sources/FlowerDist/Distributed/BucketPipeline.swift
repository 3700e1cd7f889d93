/// Rounds of messages for many buckets at once: a bucket's next round begins when all of its last one has arrived.
///
/// At most a few buckets are under way, which bounds the memory; every rank takes them up in one order, so the oldest one can
/// always go on.
final class BucketPipeline {
  /// A message, and what is to be done once it is.
  typealias Pending = (message: Message, whenDone: () -> Void)

  /// What a rank starts for one round of a bucket.
  struct Round {
    var sends: [Pending] = []
    var receives: [Pending] = []
  }

  private struct Bucket {
    var index: Int
    var round: Int
    var receives: [Pending]
  }

  /// Buckets under way at once.
  static let width = 8

  private let communicator: any Communicator
  private let roundCount: Int
  private let begin: (_ bucket: Int, _ round: Int) -> Round
  /// What was sent is needed until it has left, which nothing here waits for.
  private var sends: [Pending] = []
  private var active: [Bucket] = []
  private var queue: ArraySlice<Int> = []

  /// - Parameter begin: starts the messages of a round of a bucket.
  init(_ communicator: any Communicator, rounds: Int, begin: @escaping (_ bucket: Int, _ round: Int) -> Round) {
    self.communicator = communicator
    roundCount = rounds
    self.begin = begin
  }

  /// Whether nothing is left to be done.
  private var isEmpty: Bool { active.isEmpty && queue.isEmpty && sends.isEmpty }

  /// A bucket may begin; all ranks add them in the same order.
  func add(_ bucket: Int) { queue.append(bucket) }

  /// Goes on with everything that can go on, and waits for nothing.
  func advance() {
    repeat {
      while active.count < Self.width, let index = queue.popFirst() {
        active.append(Bucket(index: index, round: -1, receives: []))
      }
      for place in active.indices { advance(&active[place]) }
      active.removeAll { $0.round == roundCount }
    } while active.count < Self.width && !queue.isEmpty
    sends = unfinished(sends)
  }

  private func advance(_ bucket: inout Bucket) {
    while bucket.round < roundCount {
      bucket.receives = unfinished(bucket.receives)
      if !bucket.receives.isEmpty { return }
      bucket.round += 1
      if bucket.round == roundCount { return }
      let round = begin(bucket.index, bucket.round)
      sends += round.sends
      bucket.receives = round.receives
    }
  }

  private func unfinished(_ pending: [Pending]) -> [Pending] {
    pending.filter {
      let isDone = communicator.isDone($0.message)
      if isDone { $0.whenDone() }
      return !isDone
    }
  }

  /// Returns when the buckets up to `index` went through all their rounds; for buckets that are added in
  /// ascending order.
  func finish(through index: Int) {
    advance()
    while (active.first?.index ?? queue.first ?? .max) <= index {
      communicator.wait(forAny: active.flatMap(\.receives).map(\.message))
      advance()
    }
  }

  /// Returns when every bucket went through all its rounds and everything has left.
  func finish() {
    advance()
    while !isEmpty {
      let receives = active.flatMap(\.receives)
      communicator.wait(forAny: (receives.isEmpty ? sends : receives).map(\.message))
      advance()
    }
  }
}
