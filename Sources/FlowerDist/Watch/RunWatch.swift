/// What guards a run while it lives: its directory is nobody else's, and a job that hangs is ended.
final class RunWatch {
  /// For everything that the ranks do together from now on.
  let communicator: any Communicator
  /// For everything that takes time.
  let clock: PhaseClock
  private let watchdog: Watchdog?
  /// On rank zero. The last to go: nobody writes heartbeats after it.
  private let claim: RunClaim?

  /// Collective.
  /// - Throws: `FlowerError` of kind `usage` where the run is there and should not be, or is another process's.
  init(_ recipe: Recipe, _ start: TrainingLoop.Start, _ communicator: any Communicator) throws {
    claim = try communicator.together { communicator.isRoot ? try RunClaim(recipe, goesOn: start != .fresh) : nil }
    guard recipe.training.deadline > 0 else {
      (clock, watchdog, self.communicator) = (PhaseClock(), nil, communicator)
      return
    }
    let directory = RunClaim.heartbeats(recipe)
    let heartbeat = try communicator.together {
      try Heartbeat(writing: Watchdog.path(directory, rank: communicator.rank))
    }
    clock = PhaseClock(heartbeat)
    self.communicator = WatchedCommunicator(communicator, heartbeat)
    watchdog = Watchdog(
      heartbeat, deadline: recipe.training.deadline, directory: directory, rank: communicator.rank,
      hosts: communicator.hosts)
  }
}
