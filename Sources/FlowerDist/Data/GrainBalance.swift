/// Which examples of a batch go to which grain, so that no rank waits long for another.
///
/// The batch is dealt to two halves of as many examples and about the same work, each half again, down to the grains: ranks
/// hold neighbouring grains, so any power of two of them has about the same work, however few examples a grain has. A half is
/// filled longest first (Graham 1969, "Bounds on multiprocessing timing anomalies"): from the largest on, an example goes to
/// the half with less work that has room. O(n log n · log grains).
enum GrainBalance {
  /// Positions in the order of the grains, in each as they came.
  ///
  /// - Parameters:
  ///   - work: of each example, in any unit.
  ///   - grains: a power of two that divides their number.
  static func order(work: [Int], grains: Int) -> [Int] {
    precondition(grains > 0 && grains & (grains - 1) == 0 && work.count.isMultiple(of: grains))
    return deal(Array(work.indices), work, grains)
  }

  private static func deal(_ positions: [Int], _ work: [Int], _ grains: Int) -> [Int] {
    if grains == 1 { return positions.sorted() }
    let room = positions.count / 2
    var (first, second): ([Int], [Int]) = ([], [])
    // Work of the first beyond that of the second.
    var lead = 0
    for position in positions.sorted(by: { (-work[$0], $0) < (-work[$1], $1) }) {
      if second.count == room || first.count < room && lead <= 0 {
        first.append(position)
        lead += work[position]
      } else {
        second.append(position)
        lead -= work[position]
      }
    }
    return deal(first, work, grains / 2) + deal(second, work, grains / 2)
  }
}
