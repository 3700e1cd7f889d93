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
  func exchange(
    sends: [(to: Int, floats: UnsafeBufferPointer<Float>)], receives: [(from: Int, count: Int)], bucket: Int,
    received: (_ index: Int, _ start: Int, _ floats: UnsafeBufferPointer<Float>) -> Void
  ) {
    heartbeat.wait {
      base.exchange(sends: sends, receives: receives, bucket: bucket) { index, start, floats in
        received(index, start, floats)
        // What comes over a slow link comes.
        heartbeat.beat()
      }
    }
  }
}
