/// Seconds spent in each phase of a step.
final class PhaseClock {
  enum Phase: String, CaseIterable {
    case draws, sampling, forward, objective, backward, reduction, optimizer
  }

  private(set) var seconds: [Phase: Double] = [:]
  private let clock = ContinuousClock()

  func measure<Value>(_ phase: Phase, _ body: () throws -> Value) rethrows -> Value {
    let start = clock.now
    defer { seconds[phase, default: 0] += (clock.now - start).seconds }
    return try body()
  }

  func reset() { seconds.removeAll() }
}

extension Duration {
  /// As floating-point seconds.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
