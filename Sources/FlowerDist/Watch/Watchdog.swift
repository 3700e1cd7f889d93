import Foundation

/// Ends a job in which nothing happens any more: a thread on every rank, which calls no MPI.
///
/// Each watches its own main thread. When that has done nothing for the whole deadline, whether it computes or waits, and
/// neither has any other for the last half of it, the first to notice says which ranks are the cause, and every process
/// ends with the code of ``FlowerError/Kind/hang``.
final class Watchdog {
  private let end = DispatchSemaphore(value: 0)

  /// - Parameters:
  ///   - deadline: in seconds, above 0.
  ///   - directory: of the heartbeats.
  init(_ heartbeat: Heartbeat, deadline: Int, directory: String, rank: Int, hosts: [String]) {
    let patrol = Patrol(heartbeat: heartbeat, deadline: deadline, directory: directory, rank: rank, hosts: hosts)
    let end = end
    Thread.detachNewThread { patrol.run(until: end) }
  }

  deinit { end.signal() }

  static func path(_ directory: String, rank: Int) -> String { "\(directory)/rank-\(rank)" }
}

private struct Patrol {
  /// Looks in a deadline. Time is counted in looks, so a process that was stopped and goes on has not missed any.
  static let looks = 20

  var heartbeat: Heartbeat
  var deadline: Int
  var directory: String
  var rank: Int
  var hosts: [String]

  func run(until end: DispatchSemaphore) {
    let interval = DispatchTimeInterval.milliseconds(deadline * 1000 / Self.looks)
    let isFarApart = Set(hosts).count > 1
    var last = heartbeat.reading.beats
    var idle = 0
    var judge: HangJudge?
    while end.wait(timeout: .now() + interval) == .timedOut {
      heartbeat.tick()
      if isFarApart { heartbeat.synchronize() }
      let beats = heartbeat.reading.beats
      idle = beats == last ? idle + 1 : 0
      last = beats
      if idle < Self.looks / 2 {
        judge = nil
        continue
      }
      judge = judge ?? HangJudge(ranks: hosts.count, limit: Self.looks / 2)
      judge?.look(hosts.indices.map { Heartbeat.reading(of: Watchdog.path(directory, rank: $0)) })
      if idle >= Self.looks, let verdict = judge?.verdict(hosts: hosts) { leave(verdict) }
    }
  }

  private func leave(_ verdict: String) -> Never {
    // One speaks for all.
    let isFirst = open("\(directory)/verdict", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666) >= 0
    if isFirst || errno != EEXIST {
      let message =
        "error: nothing has happened for \(deadline) seconds (training.deadline): \(verdict). --resume latest goes on from"
        + " the newest checkpoint\n"
      FileHandle.standardError.write(Data(message.utf8))
    } else {
      // mpirun ends the others as soon as one ends.
      sleep(1)
    }
    _exit(FlowerError.Kind.hang.rawValue)
  }
}
