/// One prompt of a scored forest: its trajectories, its targets, and the rewards they are measured against.
public struct ScoredPrompt: Sendable {
  /// Titles drawn for the term beside SFT; of preference losses the chosen one, then the rejected.
  public var trajectories: [Trajectory]
  /// Titles that SFT imitates: one next item, or draws where there are no histories.
  public var targets: [Trajectory]
  public var rewards: TokenRewards
  /// log π_ref of each trajectory's title, summed over tokens and ⊤; empty where the objective has no reference.
  public var reference: [Double]
  /// What this prompt's SFT is multiplied by.
  public var supervisedWeight: Double

  public init(
    trajectories: [Trajectory], targets: [Trajectory], rewards: TokenRewards, reference: [Double] = [],
    supervisedWeight: Double = 1
  ) {
    self.trajectories = trajectories
    self.targets = targets
    self.rewards = rewards
    self.reference = reference
    self.supervisedWeight = supervisedWeight
  }
}

/// Log-probabilities of a forest's states together with the trajectories that run through them.
public struct ScoredForest: Sendable {
  /// log π of every option that was read, indexed by the transitions' `scores`.
  public var logProbabilities: [Double]
  public var prompts: [ScoredPrompt]
}

/// Losses of a scored forest and their derivatives by each of its log-probabilities.
public struct ObjectiveOutput: Sendable {
  /// Loss of each prompt: θ · SFT + (1-θ) · the other term.
  public var losses: [Double]
  /// The two terms of each prompt before mixing, SFT's with the prompt's weight; zero where there are no targets to
  /// imitate, or no trajectories.
  public var supervised: [Double]
  public var flow: [Double]
  /// The flow term of each trajectory of each prompt.
  public var flowByTrajectory: [[Double]]
  /// ∂(Σ losses · scale) / ∂(log π), as long as the log-probabilities.
  public var gradient: [Double]
}

/// The training loss of an example: `θ · SFT + (1-θ) · flow`; log-probabilities in, loss and gradients out.
///
/// In place of the flow there may be any other term over titles that were drawn.
public struct TrainingObjective: Equatable, Sendable {
  /// What is asked of the drawn trajectories.
  public enum FlowTerm: Equatable, Sendable {
    case balance(BalanceLoss)
    /// Cross-entropy of π against r(·|s), summed over the states that the draws visit: the control for the balance losses.
    case soft
    case preference(PreferenceLoss)
    case policyGradient(PolicyGradient)
  }

  /// The term beside SFT; `nil` trains by SFT alone.
  public var flow: FlowTerm?
  /// Between which states the balance losses are measured.
  public var network: FlowNetwork
  /// θ, the weight of SFT.
  public var theta: Double
  /// SFT's sum over a target is divided by this constant of the run.
  public var supervisedScale: Double

  public init(flow: FlowTerm?, theta: Double, network: FlowNetwork = FlowNetwork(), supervisedScale: Double = 1) {
    self.flow = flow
    self.network = network
    self.theta = theta
    self.supervisedScale = supervisedScale
  }

  public var usesFlow: Bool { flow != nil && theta < 1 }
  public var usesTargets: Bool { flow == nil || theta > 0 }

  /// Losses and gradients; the gradient is of the sum of the losses times `scale`.
  public func evaluate(_ scored: ScoredForest, scale: Double = 1) -> ObjectiveOutput {
    var output = ObjectiveOutput(
      losses: [], supervised: [], flow: [], flowByTrajectory: [],
      gradient: [Double](repeating: 0, count: scored.logProbabilities.count))
    let supervisedWeight = flow == nil ? 1 : theta
    for prompt in scored.prompts {
      let supervised = usesTargets ? supervise(prompt, scored, scale: scale * supervisedWeight, &output.gradient) : 0
      let flow = flow(prompt, scored, scale: scale * (1 - supervisedWeight), &output.gradient)
      let balance = flow.mean
      output.supervised.append(supervised)
      output.flow.append(balance)
      output.flowByTrajectory.append(flow)
      output.losses.append(supervisedWeight * supervised + (1 - supervisedWeight) * balance)
    }
    return output
  }

  /// The sum of -log π over tokens and terminator, over the run's constant; the mean over the prompt's targets.
  private func supervise(
    _ prompt: ScoredPrompt, _ scored: ScoredForest, scale: Double, _ gradient: inout [Double]
  ) -> Double {
    let share = prompt.supervisedWeight / (Double(prompt.targets.count) * supervisedScale)
    var loss = 0.0
    for target in prompt.targets {
      for index in target.transitions.lazy.compactMap(\.score) {
        loss -= scored.logProbabilities[index] * share
        gradient[index] -= share * scale
      }
    }
    return loss
  }

  /// The flow term of each trajectory, of a preference loss that of all together, none without such a term; its mean over
  /// the trajectories is what `gradient` is of.
  private func flow(
    _ prompt: ScoredPrompt, _ scored: ScoredForest, scale: Double, _ gradient: inout [Double]
  ) -> [Double] {
    guard let flow, !prompt.trajectories.isEmpty else { return [] }
    let share = 1 / Double(prompt.trajectories.count)
    switch flow {
    case .soft:
      return prompt.trajectories.map { trajectory in
        var loss = 0.0
        for transition in trajectory.transitions {
          guard let scores = transition.scores else { continue }
          for (index, reward) in zip(scores, prompt.rewards.rewards(at: transition.node)) where reward > 0 {
            loss -= reward * scored.logProbabilities[index]
            gradient[index] -= reward * share * scale
          }
        }
        return loss
      }
    case .balance(let objective):
      let residuals = prompt.trajectories.map { network.residuals($0, scored.logProbabilities, prompt.rewards) }
      let (losses, derivatives) = objective.evaluate(residuals)
      for (trajectory, derivatives) in zip(prompt.trajectories, derivatives) {
        network.add(derivatives.map { $0 * share * scale }, of: trajectory, to: &gradient)
      }
      return losses
    case .preference(let objective):
      let (loss, derivatives) = objective.evaluate(prompt.logRatios(scored.logProbabilities))
      prompt.add(derivatives.map { $0 * scale }, to: &gradient)
      return [loss]
    case .policyGradient(let objective):
      let (losses, derivatives) = objective.evaluate(
        prompt.logRatios(scored.logProbabilities),
        rewards: prompt.rewards.scaledWeights(of: prompt.trajectories.map(\.leaf)))
      prompt.add(derivatives.map { $0 * scale }, to: &gradient)
      return losses
    }
  }
}

extension ScoredPrompt {
  /// log π − log π_ref of each trajectory's title.
  fileprivate func logRatios(_ logProbabilities: [Double]) -> [Double] {
    zip(trajectories, reference).map { $0.logPolicy(logProbabilities).reduce(0, +) - $1 }
  }

  /// Hands derivatives by log π of whole titles on to those of their steps.
  fileprivate func add(_ derivatives: [Double], to gradient: inout [Double]) {
    for (trajectory, derivative) in zip(trajectories, derivatives) {
      for index in trajectory.transitions.lazy.compactMap(\.score) { gradient[index] += derivative }
    }
  }
}

extension Collection<Double> {
  /// The mean; 0 of nothing.
  fileprivate var mean: Double { isEmpty ? 0 : reduce(0, +) * (1 / Double(count)) }
}
