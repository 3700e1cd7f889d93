/// One prompt of a scored forest: its trajectories, its targets, and the rewards they are measured against.
public struct ScoredPrompt: Sendable {
  /// Titles drawn for the flow term.
  public var trajectories: [Trajectory]
  /// Titles that SFT imitates: one next item, or draws where there are no histories.
  public var targets: [Trajectory]
  public var rewards: TokenRewards

  public init(trajectories: [Trajectory], targets: [Trajectory], rewards: TokenRewards) {
    self.trajectories = trajectories
    self.targets = targets
    self.rewards = rewards
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
  /// Loss of each prompt: θ · SFT + (1-θ) · flow.
  public var losses: [Double]
  /// The two terms of each prompt before mixing; zero where one is not computed.
  public var supervised: [Double]
  public var flow: [Double]
  /// ∂(Σ losses · scale) / ∂(log π), as long as the log-probabilities.
  public var gradient: [Double]
}

/// The training loss of an example: `θ · SFT + (1-θ) · flow`; log-probabilities in, loss and gradients out.
public struct TrainingObjective: Equatable, Sendable {
  /// What is asked of the drawn trajectories.
  public enum FlowTerm: Equatable, Sendable {
    case balance(BalanceLoss)
    /// Cross-entropy of π against r(·|s), summed over the states that the draws visit: the control for the balance losses.
    case soft
  }

  /// The flow term; `nil` trains by SFT alone.
  public var flow: FlowTerm?
  /// θ, the weight of SFT.
  public var theta: Double
  /// SFT's sum over a target is divided by this constant of the run.
  public var supervisedScale: Double

  public init(flow: FlowTerm?, theta: Double, supervisedScale: Double = 1) {
    self.flow = flow
    self.theta = theta
    self.supervisedScale = supervisedScale
  }

  public var usesFlow: Bool { flow != nil && theta < 1 }
  public var usesTargets: Bool { flow == nil || theta > 0 }

  /// Losses and gradients; the gradient is of the sum of the losses times `scale`.
  public func evaluate(_ scored: ScoredForest, scale: Double = 1) -> ObjectiveOutput {
    var output = ObjectiveOutput(
      losses: [], supervised: [], flow: [], gradient: [Double](repeating: 0, count: scored.logProbabilities.count))
    let supervisedWeight = flow == nil ? 1 : theta
    for prompt in scored.prompts {
      let supervised = usesTargets ? supervise(prompt, scored, scale: scale * supervisedWeight, &output.gradient) : 0
      let balance = usesFlow ? balance(prompt, scored, scale: scale * (1 - supervisedWeight), &output.gradient) : 0
      output.supervised.append(supervised)
      output.flow.append(balance)
      output.losses.append(supervisedWeight * supervised + (1 - supervisedWeight) * balance)
    }
    return output
  }

  /// The sum of -log π over tokens and terminator, over the run's constant; the mean over the prompt's targets.
  private func supervise(
    _ prompt: ScoredPrompt, _ scored: ScoredForest, scale: Double, _ gradient: inout [Double]
  ) -> Double {
    let share = 1 / (Double(prompt.targets.count) * supervisedScale)
    var loss = 0.0
    for target in prompt.targets {
      for index in target.transitions.lazy.compactMap(\.score) {
        loss -= scored.logProbabilities[index] * share
        gradient[index] -= share * scale
      }
    }
    return loss
  }

  private func balance(
    _ prompt: ScoredPrompt, _ scored: ScoredForest, scale: Double, _ gradient: inout [Double]
  ) -> Double {
    let share = 1 / Double(prompt.trajectories.count)
    switch flow {
    case nil: return 0
    case .soft:
      var loss = 0.0
      for transition in prompt.trajectories.lazy.flatMap(\.transitions) {
        guard let scores = transition.scores else { continue }
        for (index, reward) in zip(scores, prompt.rewards.rewards(at: transition.node)) where reward > 0 {
          loss -= reward * scored.logProbabilities[index] * share
          gradient[index] -= reward * share * scale
        }
      }
      return loss
    case .balance(let objective):
      let residuals = prompt.trajectories.map { trajectory in
        zip(trajectory.logPolicy(scored.logProbabilities), prompt.rewards.logRewards(toLeaf: trajectory.leaf)).map(-)
      }
      let (losses, gradients) = objective.evaluate(residuals)
      for (trajectory, derivatives) in zip(prompt.trajectories, gradients) {
        for (transition, derivative) in zip(trajectory.transitions, derivatives) {
          if let index = transition.score { gradient[index] += derivative * share * scale }
        }
      }
      return losses.reduce(0, +) * share
    }
  }
}
