/// Byte-pair encoding of one piece: merges the adjacent pair of lowest rank, the leftmost first, until none is left.
struct Merger {
  var table: MergeTable
  /// Above this many bytes the quadratic algorithm loses.
  private let longest: Int
  /// The merge of symbol i with its right neighbour, in `mergeShort`.
  private var pairs: [MergeTable.Merge] = []

  init(_ table: MergeTable, quadraticUpTo longest: Int = 96) {
    self.table = table
    self.longest = longest
  }

  /// Merges the symbols from `start` on.
  mutating func merge(_ symbols: inout [Int32], from start: Int) {
    if symbols.count - start <= longest {
      mergeShort(&symbols, from: start)
    } else {
      mergeLong(&symbols, from: start)
    }
  }

  /// O(n²), with the smallest constant.
  private mutating func mergeShort(_ symbols: inout [Int32], from start: Int) {
    guard symbols.count - start > 1 else { return }
    pairs.removeAll(keepingCapacity: true)
    for index in start..<symbols.count - 1 { pairs.append(table.merge(symbols[index], symbols[index + 1])) }
    while true {
      var best = MergeTable.Merge.none
      var bestIndex = 0
      for (index, pair) in pairs.enumerated() where pair.rank < best.rank {
        best = pair
        bestIndex = index
      }
      guard best.id >= 0 else { return }
      let position = start + bestIndex
      symbols[position] = best.id
      symbols.remove(at: position + 1)
      pairs.remove(at: bestIndex)
      if bestIndex > 0 { pairs[bestIndex - 1] = table.merge(symbols[position - 1], best.id) }
      if bestIndex < pairs.count { pairs[bestIndex] = table.merge(best.id, symbols[position + 1]) }
    }
  }

  /// O(n log n): a linked list of symbols and a heap of candidates, which are checked when they come up.
  private func mergeLong(_ symbols: inout [Int32], from start: Int) {
    var piece = Array(symbols[start...])
    let count = piece.count
    var next = Array(1...count)
    var previous = Array(-1..<count - 1)
    var candidates = BinaryHeap<Candidate>()
    func consider(_ position: Int) {
      guard position >= 0, next[position] < count else { return }
      let merge = table.merge(piece[position], piece[next[position]])
      if merge.id >= 0 { candidates.push(Candidate(merge: merge, position: position)) }
    }
    for position in piece.indices { consider(position) }
    while let candidate = candidates.pop() {
      let position = candidate.position
      let right = next[position]
      guard piece[position] == candidate.merge.left, right < count, piece[right] == candidate.merge.right
      else { continue }
      piece[position] = candidate.merge.id
      piece[right] = -1
      next[position] = next[right]
      if next[right] < count { previous[next[right]] = position }
      consider(previous[position])
      consider(position)
    }
    symbols.replaceSubrange(start..., with: piece.lazy.filter { $0 >= 0 })
  }

  private struct Candidate: Comparable {
    let merge: MergeTable.Merge
    let position: Int

    static func < (a: Candidate, b: Candidate) -> Bool {
      (a.merge.rank, a.position) < (b.merge.rank, b.position)
    }
  }
}
