/// Seconds of repeated runs: on the wall, and of processor time, which waiting for others on this machine does not count.
struct Samples {
  private(set) var wall: [Double] = []
  private(set) var busy: [Double] = []

  init() {}

  /// Times `body` once.
  mutating func measure(_ body: () -> Void) {
    let start = ProcessorTime.now
    let seconds = ContinuousClock().measure(body).seconds
    add(wall: seconds, busy: ProcessorTime.now - start)
  }

  mutating func add(wall seconds: Double, busy processor: Double = 0) {
    wall.append(seconds)
    busy.append(processor)
  }

  var minimum: Double { wall.min() ?? 0 }
  var median: Double { Self.median(wall) }
  /// The median of the processor time.
  var processor: Double { Self.median(busy) }

  /// The mean of the two middle ones where their number is even.
  private static func median(_ values: [Double]) -> Double {
    if values.isEmpty { return 0 }
    let sorted = values.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}
