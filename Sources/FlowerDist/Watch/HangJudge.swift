/// Judges whether a job hangs, from what the ranks' heartbeats said over time.
struct HangJudge {
  /// Looks without a change after which a rank does nothing.
  let limit: Int

  private struct Watched {
    var reading: Heartbeat.Reading?
    /// Looks since the main thread last did something, and since the process last ran.
    var idle = 0
    var silent = 0
  }

  private var ranks: [Watched]

  init(ranks: Int, limit: Int) {
    self.limit = limit
    self.ranks = [Watched](repeating: Watched(), count: ranks)
  }

  /// Takes what the heartbeats say now, by rank; `nil` for one that cannot be read.
  mutating func look(_ readings: [Heartbeat.Reading?]) {
    for (rank, reading) in readings.enumerated() {
      let last = ranks[rank].reading
      ranks[rank].idle = reading != nil && reading?.beats != last?.beats ? 0 : ranks[rank].idle + 1
      ranks[rank].silent = reading != nil && reading?.ticks != last?.ticks ? 0 : ranks[rank].silent + 1
      if let reading { ranks[rank].reading = reading }
    }
  }

  /// The ranks that do not go on, in words; `nil` as long as one of them does.
  func verdict(hosts: [String]) -> String? {
    guard ranks.allSatisfy({ $0.idle >= limit }) else { return nil }
    let causes = ranks.enumerated().compactMap { rank, watched -> String? in
      guard let reading = watched.reading else { return "rank \(rank) on \(hosts[rank]) was never heard of" }
      let place = "\(reading.phase.rawValue)\(reading.step > 0 ? " of step \(reading.step)" : "")"
      if watched.silent >= limit { return "rank \(rank) on \(hosts[rank]) has stopped in \(place)" }
      return reading.isWaiting ? nil : "rank \(rank) on \(hosts[rank]) does not come to an end with \(place)"
    }
    if !causes.isEmpty { return causes.joined(separator: "; ") }
    let reading = ranks[0].reading!
    return "all ranks wait for each other after \(reading.phase.rawValue) of step \(reading.step): the network between"
      + " them is gone"
  }
}
