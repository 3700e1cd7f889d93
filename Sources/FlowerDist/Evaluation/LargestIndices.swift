extension Collection<Double> where Index == Int {
  /// Indices of the `count` largest values, best first, the first of equals before the second; only those that are
  /// allowed. O(n log count).
  func indicesOfLargest(_ count: Int, where isAllowed: (Int) -> Bool = { _ in true }) -> [Int] {
    // The best so far, the worst of them on top.
    var best = BinaryHeap<IndexedValue>()
    for index in indices {
      let candidate = IndexedValue(index: index, value: self[index])
      let isFull = best.count == count
      if isFull, best.first.map({ candidate < $0 }) ?? true { continue }
      if !isAllowed(index) { continue }
      if isFull { _ = best.pop() }
      best.push(candidate)
    }
    var rising: [Int] = []
    while let worst = best.pop() { rising.append(worst.index) }
    return rising.reversed()
  }
}

/// The better of two is the larger: of the larger value, or the first of equals.
private struct IndexedValue: Comparable {
  var index: Int
  var value: Double

  static func < (a: IndexedValue, b: IndexedValue) -> Bool { (a.value, b.index) < (b.value, a.index) }
}
