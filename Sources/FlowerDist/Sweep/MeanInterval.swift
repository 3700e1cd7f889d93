import Foundation

/// A mean with a 95 % confidence interval around it.
public struct MeanInterval: Equatable, Sendable {
  public let mean: Double
  /// Half the width of the interval; `nil` where the data do not tell.
  public let halfWidth: Double?

  init(mean: Double, halfWidth: Double?) {
    (self.mean, self.halfWidth) = (mean, halfWidth)
  }

  /// The mean of independent values, such as one per seed, ± t · s / √n with n - 1 degrees of freedom.
  ///
  /// - Parameter values: at least one.
  init(_ values: [Double]) {
    let n = Double(values.count)
    let mean = values.reduce(0, +) / n
    self.mean = mean
    guard values.count > 1 else {
      halfWidth = nil
      return
    }
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    halfWidth = StudentT.quantile(0.975, degrees: n - 1) * (squares / (n * (n - 1))).squareRoot()
  }

  /// Whether zero is outside; `false` where the data do not tell.
  public var excludesZero: Bool { halfWidth.map { abs(mean) > $0 } ?? false }
}
