import Foundation

/// Student's t distribution.
enum StudentT {
  /// The value that is exceeded with probability `1 - p`.
  ///
  /// - Parameters:
  ///   - p: from 1/2 to below 1.
  ///   - degrees: degrees of freedom, above 0; not necessarily whole.
  static func quantile(_ p: Double, degrees: Double) -> Double {
    precondition(0.5..<1 ~= p && degrees > 0)
    var (low, high) = (0.0, 1.0)
    while cumulative(high, degrees: degrees) < p && high < 1e300 { high *= 2 }
    // As often as halving changes something.
    while true {
      let middle = (low + high) / 2
      if middle <= low || middle >= high { return middle }
      if cumulative(middle, degrees: degrees) < p { low = middle } else { high = middle }
    }
  }

  /// P(T ≤ t), `1 - I_x(ν/2, 1/2) / 2` with `x = ν / (ν + t²)`, for t ≥ 0 (Abramowitz & Stegun 26.7.1).
  static func cumulative(_ t: Double, degrees: Double) -> Double {
    // 1 - x, for which ν + t² is too large a number to subtract from.
    let rest = t * t / (degrees + t * t)
    return 1 - (1 - incompleteBeta(rest, 0.5, degrees / 2)) / 2
  }

  /// The regularised incomplete beta function `I_x(a, b)`, by the continued fraction (Abramowitz & Stegun 26.5.8),
  /// evaluated after Lentz.
  static func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
    if x <= 0 { return 0 }
    if x >= 1 { return 1 }
    // The fraction converges fast on this side.
    if x > (a + 1) / (a + b + 2) { return 1 - incompleteBeta(1 - x, b, a) }
    let tiny = 1e-300
    var (c, d) = (1.0, 0.0)
    var fraction = 1.0
    for index in 0..<10_000 {
      let m = Double(index / 2)
      let coefficient =
        index == 0
        ? 1
        : index.isMultiple(of: 2)
          ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
          : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
      d = 1 + coefficient * d
      d = 1 / (abs(d) < tiny ? tiny : d)
      c = 1 + coefficient / c
      if abs(c) < tiny { c = tiny }
      fraction *= c * d
      if index > 0 && abs(c * d - 1) < 1e-15 { break }
    }
    let front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    return front * (fraction - 1)
  }
}
