/// When a run has to end, on this rank's clock.
struct TimeLimit {
  private let end: ContinuousClock.Instant

  /// - Parameter seconds: from now.
  init(seconds: Int) { end = ContinuousClock.now + .seconds(seconds) }

  var isOver: Bool { ContinuousClock.now >= end }
}
