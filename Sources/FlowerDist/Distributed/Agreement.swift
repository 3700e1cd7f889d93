extension Communicator {
  /// Makes sure that all ranks mean the same run: throws on every rank, naming what differs and where.
  ///
  /// - Parameter facts: name and value of everything that must be equal.
  public func agree(_ facts: [(name: String, value: String)]) throws {
    for (name, value) in facts {
      let all = gather(Array(value.utf8))
      guard let other = all.firstIndex(where: { $0 != all[0] }) else { continue }
      throw FlowerError(
        .communication,
        "the ranks do not agree on \(name): rank 0 on \(hosts[0]) has \(String(decoding: all[0], as: UTF8.self)), rank"
          + " \(other) on \(hosts[other]) has \(String(decoding: all[other], as: UTF8.self))")
    }
  }

  /// Computes `width` numbers for each of `count` examples, batch by batch over the ranks, and returns all of them on
  /// every rank. Each number is computed on one rank, so the result does not depend on how many there are.
  public func spread(
    count: Int, batch: Int, width: Int, _ body: (Range<Int>) throws -> [Double]
  ) throws -> [Double] {
    var result = [Double](repeating: 0, count: count * width)
    let batches = (count + batch - 1) / batch
    try together {
      for index in rank * batches / size..<(rank + 1) * batches / size {
        let examples = index * batch..<min((index + 1) * batch, count)
        let values = try body(examples)
        precondition(values.count == examples.count * width)
        result.replaceSubrange(examples.lowerBound * width..<examples.upperBound * width, with: values)
      }
    }
    // In pieces that MPI can count.
    result.withUnsafeMutableBufferPointer { all in
      for start in stride(from: 0, to: all.count, by: 1 << 26) {
        sum(UnsafeMutableBufferPointer(rebasing: all[start..<min(start + 1 << 26, all.count)]))
      }
    }
    return result
  }
}
