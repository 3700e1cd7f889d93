/// Which examples of a batch go to which grain, so that all grains are about the same work and no rank waits long for another.
///
/// Longest processing time first (Graham 1969, "Bounds on multiprocessing timing anomalies"), with equally many examples in
/// every grain: from the largest on, an example goes to the grain with the least work that has room. O(n log n + n · grains).
enum GrainBalance {
  /// Positions in the order of the grains, in each as they came.
  ///
  /// - Parameters:
  ///   - work: of each example, in any unit.
  ///   - grains: a divisor of their number.
  static func order(work: [Int], grains: Int) -> [Int] {
    precondition(work.count.isMultiple(of: grains), "grains of different sizes")
    let size = work.count / grains
    var members = [[Int]](repeating: [], count: grains)
    var total = [Int](repeating: 0, count: grains)
    for position in work.indices.sorted(by: { (-work[$0], $0) < (-work[$1], $1) }) {
      let grain = (0..<grains).filter { members[$0].count < size }.min { (total[$0], $0) < (total[$1], $1) }!
      members[grain].append(position)
      total[grain] += work[position]
    }
    return members.flatMap { $0.sorted() }
  }
}
