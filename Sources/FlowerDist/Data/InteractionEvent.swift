/// One user took one item at one time.
struct InteractionEvent: Equatable, Sendable {
  var user: Int32
  var item: Int32
  /// In the unit of the source; only the order matters.
  var time: Double
}

extension [InteractionEvent] {
  /// The largest part in which every user and every item has at least `k` events: those with fewer are left out
  /// again and again until none is.
  func core(_ k: Int) -> [InteractionEvent] {
    var kept = self
    while true {
      let users = kept.counts(of: \.user)
      let items = kept.counts(of: \.item)
      let next = kept.filter { users[Int($0.user)] >= k && items[Int($0.item)] >= k }
      guard next.count < kept.count else { return kept }
      kept = next
    }
  }

  /// Every event after a user's first as an example whose history is the user's last `historyLength` items before it.
  /// A user's events are ordered by time, and so are all examples; events of one time keep their order, examples of
  /// one time the order in which their users first occur. Users are numbered in that order.
  func examples(historyLength: Int) -> [Interaction] {
    var numbers = [Int](repeating: -1, count: counts(of: \.user).count)
    var users: [[InteractionEvent]] = []
    for event in self {
      if numbers[Int(event.user)] < 0 {
        numbers[Int(event.user)] = users.count
        users.append([])
      }
      users[numbers[Int(event.user)]].append(event)
    }
    var examples: [Interaction] = []
    examples.reserveCapacity(count)
    for (user, events) in users.enumerated() {
      let events = events.sorted { $0.time < $1.time }
      for index in events.indices.dropFirst() {
        examples.append(
          Interaction(
            history: events[..<index].suffix(historyLength).map(\.item), item: events[index].item,
            user: Int32(user), timestamp: events[index].time))
      }
    }
    return examples.sorted { $0.timestamp! < $1.timestamp! }
  }

  /// Events by the number of their user or item.
  private func counts(of key: KeyPath<InteractionEvent, Int32>) -> [Int] {
    var counts: [Int] = []
    for event in self {
      let number = Int(event[keyPath: key])
      if number >= counts.count { counts += repeatElement(0, count: number + 1 - counts.count) }
      counts[number] += 1
    }
    return counts
  }
}

extension Dataset {
  /// The first 80 % of the examples are for training, the next 10 % for validation, the last for testing.
  init(name: String, titles: [String], ordered examples: [Interaction]) {
    let valid = examples.count * 8 / 10
    let test = examples.count * 9 / 10
    self.init(
      name: name, titles: titles, train: Array(examples[..<valid]), valid: Array(examples[valid..<test]),
      test: Array(examples[test...]))
  }
}
