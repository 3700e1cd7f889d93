/// Seconds spent in each phase of a step.
///
/// A phase inside another counts as the outer one: what sampling asks of the model is sampling.
final class PhaseClock {
  enum Phase: String, CaseIterable {
    case draws, sampling, forward, head, objective, backward, reduction, optimizer
  }

  private(set) var seconds: [Phase: Double] = [:]
  private let clock = ContinuousClock()
  private var isMeasuring = false

  func measure<Value>(_ phase: Phase, _ body: () throws -> Value) rethrows -> Value {
    if isMeasuring { return try body() }
    isMeasuring = true
    let start = clock.now
    defer {
      seconds[phase, default: 0] += (clock.now - start).seconds
      isMeasuring = false
    }
    return try body()
  }

  func reset() { seconds.removeAll(keepingCapacity: true) }
}

extension Duration {
  /// As floating-point seconds.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
