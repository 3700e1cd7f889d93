import Foundation

/// How far counts are from what probabilities promise, as a standard normal deviate: Pearson's chi-square in the cube-root
/// form of Wilson & Hilferty. Above 4 happens by chance three times in a hundred thousand.
///
/// Cells of less than five expected counts are pooled; a count where the probability is zero is infinitely far.
func chiSquareDeviate(_ counts: [Int], _ probabilities: [Double]) -> Double {
  precondition(counts.count == probabilities.count)
  let draws = Double(counts.reduce(0, +))
  let scale = draws / probabilities.reduce(0, +)
  var cells: [(observed: Double, expected: Double)] = []
  var pool = (observed: 0.0, expected: 0.0)
  for (count, probability) in zip(counts, probabilities) {
    if probability == 0 {
      if count > 0 { return .infinity }
    } else if probability * scale < 5 {
      pool = (pool.observed + Double(count), pool.expected + probability * scale)
    } else {
      cells.append((Double(count), probability * scale))
    }
  }
  if pool.expected > 0 { cells.append(pool) }
  let statistic = cells.reduce(0) { $0 + ($1.observed - $1.expected) * ($1.observed - $1.expected) / $1.expected }
  let freedom = Double(cells.count - 1)
  let variance = 2 / (9 * freedom)
  return (cbrt(statistic / freedom) - 1 + variance) / variance.squareRoot()
}
