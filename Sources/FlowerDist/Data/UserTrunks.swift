/// Training examples whose histories go on from one another, so that one prompt holds the prompts of all.
///
/// An example follows another if its history is the other's with the other's item at the end (and, where histories are
/// windows, without the oldest). So a user's examples form a chain; a trunk is a piece of it. It does not matter whether
/// the data names its users, or whether two users have the same history.
struct UserTrunks {
  /// Rows of the training split, trunk by trunk, in the order of their histories.
  private(set) var rows: [Int32] = []
  /// Where each trunk begins in `rows`; one more than there are trunks.
  private(set) var starts: [Int] = [0]

  var count: Int { starts.count - 1 }

  /// - Parameter longest: the most examples of a trunk.
  init(_ train: [Interaction], longest: Int) {
    let window = train.reduce(0) { max($0, $1.history.count) }
    /// Chains that wait for an example with this history, the oldest first.
    var waiting: [[Int32]: [Int]] = [:]
    var chains: [[Int32]] = []
    for (row, example) in train.enumerated() {
      let chain: Int
      if var open = waiting[example.history], let first = open.first, chains[first].count < longest {
        chain = first
        open.removeFirst()
        waiting[example.history] = open.isEmpty ? nil : open
      } else {
        chain = chains.count
        chains.append([])
      }
      chains[chain].append(Int32(row))
      if chains[chain].count < longest {
        waiting[Array((example.history + [example.item]).suffix(max(window, 1))), default: []].append(chain)
      }
    }
    for chain in chains {
      rows += chain
      starts.append(rows.count)
    }
  }

  subscript(trunk: Int) -> ArraySlice<Int32> { rows[starts[trunk]..<starts[trunk + 1]] }
}
