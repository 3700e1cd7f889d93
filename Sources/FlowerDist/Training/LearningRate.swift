import Foundation

extension Recipe.Optimizer {
  /// The learning rate of step `step` (from 0) of `total`: linear warm-up, then the schedule down to
  /// `finalFraction · learningRate` at the last step.
  public func rate(step: Int, of total: Int) -> Double {
    if step < warmupSteps { return learningRate * Double(step + 1) / Double(warmupSteps) }
    let progress = min(1, Double(step - warmupSteps) / Double(max(total - 1 - warmupSteps, 1)))
    let left =
      switch schedule {
      case .constant: 1.0
      case .linear: 1 - progress
      case .cosine: 0.5 * (1 + cos(.pi * progress))
      }
    return learningRate * (schedule == .constant ? 1 : finalFraction + (1 - finalFraction) * left)
  }
}
