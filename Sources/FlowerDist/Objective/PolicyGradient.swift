import Foundation

/// Reward maximisation by titles that the policy itself has sampled, held to a reference model:
/// `ppo` max E_π[R] − β KL(π ‖ π_ref), `grpo` as published, a title being one action.
///
/// With K titles of a prompt, their rewards R_i and h_i = log π − log π_ref of each, the gradient is that of
/// −1/K Σ_i A_i log π(title_i) (Williams 1992, REINFORCE), A_i being constants:
/// - `ppo` (Schulman et al. 2017; with the KL in the reward: Ouyang et al. 2022): A_i = G_i − mean of G_j over j ≠ i,
///   G_i = R_i − β h_i. There is no network that predicts values: the other titles of the prompt are the baseline (Kool et
///   al. 2019; Ahmadian et al. 2024, "Back to basics"), which leaves the gradient unbiased.
/// - `grpo` (Shao et al. 2024, "DeepSeekMath"): A_i = (R_i − mean R) / (std R + 1e-4), and the loss has β k_i,
///   k_i = exp(−h_i) + h_i − 1 ≥ 0, which has the KL as its mean (Schulman 2020, "Approximating KL divergence").
///   As its samples are taken for constants, its gradient is that of KL(π_ref ‖ π), and rewards are divided by their spread:
///   the best policy is not that of `ppo`.
///
/// Every sample is used for one update, so the ratio of new to old probability is 1 and PPO's clip never binds: there is none.
public struct PolicyGradient: Equatable, Sendable {
  public enum Form: Equatable, Sendable { case ppo, grpo }

  public var form: Form
  /// Weight of the KL divergence.
  public var beta: Double

  public init(_ form: Form, beta: Double) {
    self.form = form
    self.beta = beta
  }

  /// Added to GRPO's standard deviation, so that rewards that hardly differ are not blown up (as in Hugging Face's TRL).
  private static let deviationFloor = 1e-4

  /// What each title contributes to −E[R] + β KL, and the estimate of that mean's derivatives by each title's log π.
  ///
  /// The derivatives are not the slopes of the losses: these depend on the policy also through what it samples.
  /// - Parameters:
  ///   - logRatios: h_1…h_K, K at least 2.
  ///   - rewards: R_1…R_K.
  public func evaluate(_ logRatios: [Double], rewards: [Double]) -> (losses: [Double], gradient: [Double]) {
    let count = Double(rewards.count)
    switch form {
    case .ppo:
      let gains = zip(rewards, logRatios).map { $0 - beta * $1 }
      let mean = gains.reduce(0, +) / count
      // A_i = G_i − (K mean − G_i) / (K − 1).
      return (gains.map { -$0 }, gains.map { (mean - $0) / (count - 1) })
    case .grpo:
      let mean = rewards.reduce(0, +) / count
      let variance = rewards.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
      let deviation = variance.squareRoot() + Self.deviationFloor
      let losses = zip(rewards, logRatios).map { -$0 + beta * (exp(-$1) + $1 - 1) }
      let gradient = zip(rewards, logRatios).map { ((mean - $0) / deviation + beta * (1 - exp(-$1))) / count }
      return (losses, gradient)
    }
  }
}

extension TokenRewards {
  /// What `ppo` and `grpo` pay for titles: their leaf weights, scaled to 0…1 over the catalogue; 0 where all are equal.
  func scaledWeights(of leaves: [Int]) -> [Double] {
    let (low, high) = (weights.min()!, weights.max()!)
    return leaves.map { high > low ? (weights[$0] - low) / (high - low) : 0 }
  }
}
