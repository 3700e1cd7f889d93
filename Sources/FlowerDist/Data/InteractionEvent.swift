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
  ///
  /// Linear in the number of events: one user or item at a time is left out, and only what it had events with is looked
  /// at again. A chain would need a round over all events for each of its links otherwise.
  func core(_ k: Int) -> [InteractionEvent] {
    let keys = [\InteractionEvent.user, \InteractionEvent.item]
    var counts = keys.map { self.counts(of: $0) }
    let places = zip(keys, counts).map { self.places(of: $0, $1) }
    var isLeft = [Bool](repeating: true, count: count)
    var leaving = keys.indices.flatMap { side in
      counts[side].indices.filter { counts[side][$0] < k }.map { (side: side, number: $0) }
    }
    while let (side, number) = leaving.popLast() {
      for place in places[side][number] where isLeft[place] {
        isLeft[place] = false
        let other = Int(self[place][keyPath: keys[1 - side]])
        counts[1 - side][other] -= 1
        // Once, when it goes below.
        if counts[1 - side][other] == k - 1 { leaving.append((1 - side, other)) }
      }
    }
    return zip(self, isLeft).filter(\.1).map(\.0)
  }

  /// Where the events of each user or item are.
  private func places(of key: KeyPath<InteractionEvent, Int32>, _ counts: [Int]) -> [ArraySlice<Int>] {
    var starts = [0]
    for count in counts { starts.append(starts[starts.count - 1] + count) }
    var next = starts
    var places = [Int](repeating: 0, count: count)
    for (place, event) in enumerated() {
      let number = Int(event[keyPath: key])
      places[next[number]] = place
      next[number] += 1
    }
    return counts.indices.map { places[starts[$0]..<starts[$0 + 1]] }
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
