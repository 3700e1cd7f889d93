import Foundation

/// Losses that ask for a chosen title to become more probable than rejected ones, relative to a reference model.
///
/// With h = log π(title) − log π_ref(title), both sums over tokens and ⊤, of the chosen title (h_0) and the rejected (h_1…h_n):
/// - `pairwise`: the mean over rejected i of −(1−ε) log σ(z_i) − ε log σ(−z_i), z_i = β(h_0 − h_i). With ε = 0 DPO (Rafailov et al.
///   2023, "Direct preference optimization"); ε is the probability that a pair is the wrong way round (Mitchell 2023, "A
///   note on DPO with noisy preferences").
/// - `softmax`: log(1 + Σ_i exp(−z_i)), S-DPO (Chen et al. 2024, "On softmax direct preference optimization for
///   recommendation").
/// - `mean`: −log σ(mean of z_i), DMPO (Bai et al. 2024, "Aligning large language model with direct multi-preference
///   optimization for recommendation").
///
/// With one rejected title and ε = 0 the three are the same.
public struct PreferenceLoss: Equatable, Sendable {
  public enum Form: Equatable, Sendable {
    case pairwise(labelSmoothing: Double)
    case softmax
    case mean
  }

  public var form: Form
  /// How closely the policy is held to its reference: β of the papers.
  public var beta: Double

  public init(_ form: Form, beta: Double) {
    self.form = form
    self.beta = beta
  }

  /// The loss of one prompt, and its derivatives by each h.
  /// - Parameter logRatios: h_0…h_n, n at least 1.
  public func evaluate(_ logRatios: [Double]) -> (loss: Double, gradient: [Double]) {
    let margins = logRatios.dropFirst().map { beta * (logRatios[0] - $0) }
    let share = 1 / Double(margins.count)
    let loss: Double
    // By each margin.
    let slopes: [Double]
    switch form {
    case .pairwise(let epsilon):
      loss = margins.reduce(0) { $0 + share * ((1 - epsilon) * softplus(-$1) + epsilon * softplus($1)) }
      slopes = margins.map { share * (epsilon - sigmoid(-$0)) }
    case .softmax:
      // The chosen title's own term of the sum is exp(0).
      let largest = max(0, -margins.min()!)
      let total = margins.reduce(exp(-largest)) { $0 + exp(-$1 - largest) }
      loss = largest + log(total)
      slopes = margins.map { -exp(-$0 - largest) / total }
    case .mean:
      let margin = margins.reduce(0, +) * share
      loss = softplus(-margin)
      slopes = margins.map { _ in -share * sigmoid(-margin) }
    }
    return (loss, [beta * slopes.reduce(0, +)] + slopes.map { -beta * $0 })
  }
}

/// log(1 + e^x) = −log σ(−x).
private func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
