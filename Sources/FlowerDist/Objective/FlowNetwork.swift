import Foundation

/// The states between which a trajectory is to be in balance, and its residuals there.
///
/// With log r the rewards of tokens, over a title y_1…y_n and its end:
/// - flow `tree`: n + 1 transitions, the last by ⊤; d_t = log π(a_t|s_{t-1}) − log r(a_t|s_{t-1}).
/// - flow `terminating` (every state may end; Deleu et al. 2022, and the published Flower): n transitions,
///   d_t = log R_{t-1} + log π(y_t|s_{t-1}) + log π(⊤|s_t) − log R_t − log π(⊤|s_{t-1}).
///
/// Under the published flow rule the log r of a trajectory depend on its end, and log F(s_0) is that of all rewards.
///
/// States further apart than a token need no rule of their own: the residual of a run of tokens is the sum of theirs, since
/// what lies between cancels.
public struct FlowNetwork: Equatable, Sendable {
  public var flow: Recipe.Objective.Flow
  /// What `terminating` takes for a title that ends inside the trajectory.
  public var prefixTitles: Recipe.Objective.PrefixTitles
  /// Tokens between states; the last run of a title may be shorter, and ⊤ is a transition of its own.
  public var granularity: Int

  public init(
    flow: Recipe.Objective.Flow = .tree, prefixTitles: Recipe.Objective.PrefixTitles = .exact, granularity: Int = 1
  ) {
    self.flow = flow
    self.prefixTitles = prefixTitles
    self.granularity = granularity
  }

  /// log r(⊤|s) of the published code wherever no title ends.
  static let logNoEnd = -15.0

  /// log R_t of the states s_0…s_n, Σ_{j≤t} log r(y_j|s_{j-1}) + log r(⊤|s_t). Where no title ends it is -∞ in the tree.
  public func logStateRewards(_ trajectory: Trajectory, _ rewards: TokenRewards) -> [Double] {
    let ends = rewards.logEnds(toLeaf: trajectory.leaf)
    return zip(rewards.logReach(toLeaf: trajectory.leaf), ends).enumerated().map { index, state in
      let (reach, end) = state
      if flow == .tree { return reach + end }
      let isHidden = prefixTitles == .published && index + 1 < ends.count
      return reach + (end == -.infinity || isHidden ? Self.logNoEnd : end)
    }
  }

  /// d_1…d_m of a trajectory. In `terminating` every state's terminator has been read, as it is over the vocabulary.
  public func residuals(
    _ trajectory: Trajectory, _ logProbabilities: [Double], _ rewards: TokenRewards
  ) -> [Double] {
    let logPolicy = trajectory.logPolicy(logProbabilities)
    var byToken: [Double]
    switch flow {
    case .tree:
      byToken = zip(logPolicy, rewards.logRewards(toLeaf: trajectory.leaf)).map(-)
      byToken[0] += rewards.logTotal
    case .terminating:
      let ends = zip(trajectory.transitions, logStateRewards(trajectory, rewards)).map { transition, logReward in
        logProbabilities[transition.terminatorScore!] - logReward
      }
      byToken = ends.indices.dropLast().map { logPolicy[$0] + ends[$0 + 1] - ends[$0] }
    }
    return transitions(trajectory).map { $0.reduce(0) { $0 + byToken[$1] } }
  }

  /// Adds the derivatives by each residual of a trajectory, handed on to the log-probabilities.
  func add(_ derivatives: [Double], of trajectory: Trajectory, to gradient: inout [Double]) {
    for (steps, derivative) in zip(transitions(trajectory), derivatives) {
      for transition in trajectory.transitions[steps] {
        if let index = transition.score { gradient[index] += derivative }
      }
      if flow == .terminating {
        gradient[trajectory.transitions[steps.upperBound].terminatorScore!] += derivative
        gradient[trajectory.transitions[steps.lowerBound].terminatorScore!] -= derivative
      }
    }
  }

  /// The actions of the trajectory that each transition consists of.
  private func transitions(_ trajectory: Trajectory) -> [Range<Int>] {
    let tokens = trajectory.transitions.count - 1
    let runs = stride(from: 0, to: tokens, by: granularity).map { $0..<min($0 + granularity, tokens) }
    return flow == .tree ? runs + [tokens..<tokens + 1] : runs
  }
}
