/// Seconds spent in each phase of a run, and which it is now.
///
/// A phase inside another counts as the outer one, what sampling asks of the model is sampling, unless it interrupts it.
final class PhaseClock {
  enum Phase: String, CaseIterable {
    case start
    /// Reading the examples of a step.
    case data
    case draws
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
  /// What is measured, and since when.
  private var current: (phase: Phase, start: ContinuousClock.Instant)?

  init(_ heartbeat: Heartbeat? = nil) { self.heartbeat = heartbeat }

  func measure<Value>(_ phase: Phase, _ body: () throws -> Value) rethrows -> Value {
    if current != nil {
      heartbeat?.beat()
      return try body()
    }
    enter(phase)
    defer { enter(nil) }
    return try body()
  }

  /// As ``measure(_:_:)``, but what is done inside another phase counts as this one.
  func interrupt(_ phase: Phase, _ body: () -> Void) {
    let outer = current?.phase
    enter(phase)
    body()
    enter(outer)
  }

  private func enter(_ phase: Phase?) {
    let now = clock.now
    if let current { seconds[current.phase, default: 0] += (now - current.start).seconds }
    current = phase.map { ($0, now) }
    if let phase { heartbeat?.enter(phase) }
  }

  func begin(step: Int) { heartbeat?.enter(step: step) }

  func reset() { seconds.removeAll(keepingCapacity: true) }
}

extension Duration {
  /// As floating-point seconds.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
