import Foundation

/// Whether SIGTERM, SIGINT or SIGUSR1 has asked the run to finish its step, save and end; a second signal, a second or
/// more later, ends it at once.
enum StopSignal {
  // A handler may do no more than set a flag.
  nonisolated(unsafe) private static var received: sig_atomic_t = 0
  nonisolated(unsafe) private static var moment = timespec()

  /// To be called before anything is written, so that a run is either left as it was or saved.
  static func install() {
    for number in [SIGTERM, SIGINT, SIGUSR1] {
      signal(number) { number in
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        // mpirun and a terminal may both pass the same wish on.
        if StopSignal.received != 0, now.tv_sec > StopSignal.moment.tv_sec + 1 { _exit(130) }
        if StopSignal.received == 0 { StopSignal.moment = now }
        StopSignal.received = number
      }
    }
    // Somebody who stops reading the progress does not stop the training.
    signal(SIGPIPE, SIG_IGN)
  }

  /// Whether this rank was asked.
  static var wasReceived: Bool { received != 0 }

  /// Whether any rank was asked, so that all stop after the same step.
  static func isRequested(_ communicator: any Communicator) -> Bool {
    communicator.max([wasReceived ? 1 : 0])[0] != 0
  }
}
