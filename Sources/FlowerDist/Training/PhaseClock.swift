/// Seconds spent in each phase of a run, and which it is now.
///
/// A phase inside another counts as the outer one: what sampling asks of the model is sampling.
final class PhaseClock {
  enum Phase: String, CaseIterable {
    case start, draws
    /// Prompts, and the titles that are given.
    case forward
    case sampling
    /// What sampled titles have beyond their last choice.
    case branches
    case head, objective, backward, reduction, optimizer, validation, saving
  }

  private(set) var seconds: [Phase: Double] = [:]
  /// Learns of each phase that begins or ends.
  private let heartbeat: Heartbeat?
  private let clock = ContinuousClock()
  private var isMeasuring = false

  init(_ heartbeat: Heartbeat? = nil) { self.heartbeat = heartbeat }

  func measure<Value>(_ phase: Phase, _ body: () throws -> Value) rethrows -> Value {
    if isMeasuring {
      heartbeat?.beat()
      return try body()
    }
    isMeasuring = true
    heartbeat?.enter(phase)
    let start = clock.now
    defer {
      seconds[phase, default: 0] += (clock.now - start).seconds
      isMeasuring = false
    }
    return try body()
  }

  func begin(step: Int) { heartbeat?.enter(step: step) }

  func reset() { seconds.removeAll(keepingCapacity: true) }
}

extension Duration {
  /// As floating-point seconds.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
