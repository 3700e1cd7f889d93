/// How long the ranks compute, compared every so often: a rank on a slow or busy host holds up all the others.
struct RankTimes {
  /// Seconds of training between two comparisons.
  private static let interval = 10.0
  /// A rank is slow if the others wait for it for this share of the time.
  private static let share = 0.2

  private var lastSeconds: Double
  private var last: [PhaseClock.Phase: Double] = [:]
  private var slow: Set<Int> = []

  /// - Parameter seconds: of training so far.
  init(seconds: Double) { lastSeconds = seconds }

  /// Compares once in a while. Collective.
  ///
  /// - Parameters:
  ///   - seconds: of training so far, the same on every rank.
  ///   - learners: the first so many ranks do the same work and are compared.
  /// - Returns: a line with the seconds that each rank spent in each phase since the last one, and what is to be said about
  ///   ranks that have become slow or no longer are; `nil` if it is not yet time.
  mutating func compare(
    step: Int, seconds: Double, _ clock: PhaseClock, learners: Int, _ communicator: any Communicator
  ) throws -> (line: JSON, notes: [String])? {
    let window = seconds - lastSeconds
    guard communicator.size > 1, window >= Self.interval else { return nil }
    let phases = PhaseClock.Phase.allCases.map { clock.seconds[$0, default: 0] - last[$0, default: 0] }
    (last, lastSeconds) = (clock.seconds, seconds)
    let ranks = try communicator.gather(JSON.array(phases.map { JSON($0) }).serialized()).map { bytes in
      let values = try (JSON(parsing: bytes).array ?? []).map { $0.double ?? 0 }
      return Dictionary(uniqueKeysWithValues: zip(PhaseClock.Phase.allCases, values))
    }
    let line: JSON = [
      "step": JSON(step), "seconds": JSON(window),
      "ranks": .array(
        ranks.map { times in
          .object(PhaseClock.Phase.allCases.filter { times[$0] != 0 }.map { JSON.Member($0.rawValue, JSON(times[$0]!)) })
        }),
    ]
    let outliers = Self.outliers(Array(ranks.prefix(learners)), window: window)
    let notes =
      outliers.filter { !slow.contains($0.rank) }.map { "warning: \($0.words(communicator.hosts))" }
      + slow.subtracting(outliers.map(\.rank)).sorted().map {
        "rank \($0) on \(communicator.hosts[$0]) computes as fast as the others again"
      }
    slow = Set(outliers.map(\.rank))
    return (line, notes)
  }

  struct Outlier: Equatable {
    var rank: Int
    /// How many times as long it computes as the others.
    var ratio: Double
    /// Where most of the difference is.
    var phase: PhaseClock.Phase
    /// Of the time in which the others wait for it.
    var share: Double

    func words(_ hosts: [String]) -> String {
      "rank \(rank) on \(hosts[rank]) computes \(NumberText.short(ratio, digits: 2)) times as long as the others, most of"
        + " it in \(phase.rawValue); they wait for it \(NumberText.short(100 * share, digits: 2)) % of the time"
    }
  }

  /// Ranks that compute much longer than the median of the others.
  static func outliers(_ ranks: [[PhaseClock.Phase: Double]], window: Double) -> [Outlier] {
    if ranks.count < 2 { return [] }
    // What a rank spends in the reduction it spends waiting.
    let phases = PhaseClock.Phase.allCases.filter { ![.reduction, .start, .saving, .validation].contains($0) }
    func others(_ rank: Int, _ value: ([PhaseClock.Phase: Double]) -> Double) -> Double {
      let values = ranks.indices.filter { $0 != rank }.map { value(ranks[$0]) }.sorted()
      return (values[(values.count - 1) / 2] + values[values.count / 2]) / 2
    }
    func busy(_ times: [PhaseClock.Phase: Double]) -> Double { phases.reduce(0) { $0 + times[$1, default: 0] } }
    return ranks.indices.compactMap { rank in
      let (own, usual) = (busy(ranks[rank]), others(rank, busy))
      guard own - usual > share * window else { return nil }
      let phase = phases.max { a, b in
        func excess(_ phase: PhaseClock.Phase) -> Double {
          ranks[rank][phase, default: 0] - others(rank) { $0[phase, default: 0] }
        }
        return excess(a) < excess(b)
      }
      return Outlier(rank: rank, ratio: own / usual, phase: phase!, share: (own - usual) / window)
    }
  }
}
