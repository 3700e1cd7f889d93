/// Curves made fit for a small picture.
enum Smoothing {
  /// The mean over a window of about a thirtieth of the curve around each place, cut at the ends; values that are not
  /// finite are left out, and a window without others is not a number.
  static func windowMean(_ values: [Double]) -> [Double] {
    let reach = values.count / 60
    var sums = [0.0]
    var counts = [0]
    for value in values {
      sums.append(sums[sums.count - 1] + (value.isFinite ? value : 0))
      counts.append(counts[counts.count - 1] + (value.isFinite ? 1 : 0))
    }
    return values.indices.map { index in
      let (start, end) = (max(index - reach, 0), min(index + reach + 1, values.count))
      return (sums[end] - sums[start]) / Double(counts[end] - counts[start])
    }
  }

  /// At most about `2 * buckets` indices of a curve that keep its outline: the lowest and the highest of each bucket.
  static func outline(_ values: [Double], buckets: Int) -> [Int] {
    guard values.count > 2 * buckets else { return Array(values.indices) }
    return (0..<buckets).flatMap { bucket -> [Int] in
      let range = values.count * bucket / buckets..<values.count * (bucket + 1) / buckets
      let low = range.min { values[$0] < values[$1] }
      let high = range.max { values[$0] < values[$1] }
      return Set([low, high].compactMap { $0 }).sorted()
    }
  }

  /// At most `count` indices, evenly spaced, with the first and the last.
  static func sample(_ total: Int, count: Int) -> [Int] {
    guard total > count, count > 1 else { return Array(0..<total) }
    return (0..<count).map { $0 * (total - 1) / (count - 1) }
  }
}
