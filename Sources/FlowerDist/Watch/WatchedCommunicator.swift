/// A communicator that tells a heartbeat when it waits for the other ranks.
final class WatchedCommunicator: Communicator {
  private let base: any Communicator
  private let heartbeat: Heartbeat

  init(_ base: any Communicator, _ heartbeat: Heartbeat) {
    self.base = base
    self.heartbeat = heartbeat
  }

  var rank: Int { base.rank }
  var size: Int { base.size }
  var hosts: [String] { base.hosts }

  func barrier() { heartbeat.wait { base.barrier() } }
  func sum(_ values: UnsafeMutableBufferPointer<Double>) { heartbeat.wait { base.sum(values) } }
  func max(_ values: [Int64]) -> [Int64] { heartbeat.wait { base.max(values) } }
  func gather(_ bytes: [UInt8]) -> [[UInt8]] { heartbeat.wait { base.gather(bytes) } }
  func broadcast(_ bytes: [UInt8]) -> [UInt8] { heartbeat.wait { base.broadcast(bytes) } }
  func send(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int) -> Message { base.send(bytes, to: rank, tag: tag) }
  func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int) -> Message {
    base.receive(bytes, from: rank, tag: tag)
  }
  func isDone(_ message: Message) -> Bool { base.isDone(message) }
  func wait(forAny messages: [Message]) { heartbeat.wait { base.wait(forAny: messages) } }
}
