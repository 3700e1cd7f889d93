import Foundation

/// Something that a thread of its own does while others go on. It calls no MPI.
final class BackgroundWork<Value: Sendable>: @unchecked Sendable {
  private let condition = NSCondition()
  private var result: Result<Value, FlowerError>?

  /// Begins at once. What `body` uses must be left alone until it is done.
  init(_ body: @escaping () throws -> Value) {
    nonisolated(unsafe) let body = body
    Thread.detachNewThread {
      let result = Result { try body() }.mapError { $0 as? FlowerError ?? FlowerError(.data, "\($0)") }
      self.condition.withLock {
        self.result = result
        self.condition.signal()
      }
    }
  }

  /// Nothing to do.
  init(done value: Value) { result = .success(value) }

  var isDone: Bool { condition.withLock { result != nil } }

  /// Waits for its end.
  func wait() -> Result<Value, FlowerError> {
    condition.withLock {
      while result == nil { condition.wait() }
      return result!
    }
  }
}
