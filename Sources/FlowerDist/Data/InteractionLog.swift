/// Who took what and when, as importers read it from raw data.
struct InteractionLog {
  var events: [InteractionEvent]
  /// The source's name of each user.
  var users: [String]
  /// The title of each item.
  var titles: [String]

  /// The dataset by the published rules: the `core` of users and items; every interaction after a user's first is an
  /// example; all examples ordered by time and split 80 / 10 / 10. Items keep their order.
  ///
  /// - Parameter path: what errors name.
  /// - Throws: `FlowerError` of kind `data` if nothing is left.
  func dataset(
    name: String, options: Preparation.Options, path: String, _ log: inout ProblemLog
  ) throws -> Dataset {
    let core = events.core(options.core)
    guard !core.isEmpty else {
      throw FlowerError(.data, "\(path): no user and item have \(options.core) interactions (--core)")
    }
    noteOutside(of: core, &log)
    let kept = Set(core.map(\.item)).sorted()
    let numbers = Dictionary(uniqueKeysWithValues: zip(kept, Int32(0)...))
    let renumbered = core.map { InteractionEvent(user: $0.user, item: numbers[$0.item]!, time: $0.time) }
    return Dataset(
      name: name, titles: kept.map { titles[Int($0)] },
      ordered: renumbered.examples(historyLength: options.historyLength))
  }

  private func noteOutside(of core: [InteractionEvent], _ log: inout ProblemLog) {
    let (coreUsers, coreItems) = (Set(core.map(\.user)), Set(core.map(\.item)))
    for item in Set(events.map(\.item)).subtracting(coreItems).sorted() {
      log.note(.itemsOutsideCore, titles[Int(item)])
    }
    for user in Set(events.map(\.user)).subtracting(coreUsers).sorted() {
      log.note(.usersOutsideCore, users[Int(user)])
    }
  }
}
