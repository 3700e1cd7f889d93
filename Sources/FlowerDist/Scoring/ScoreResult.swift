/// What the verb `score` found out: log-probabilities, losses, gradient norms. In JSON -∞ is `null`: the logarithm of what
/// cannot happen.
public struct ScoreResult: Sendable {
  /// One token sequence.
  public struct Sequence: Sendable {
    /// log p(tokens[t+1] | tokens[..t]) over the vocabulary, t from 0; one fewer than tokens.
    public var logProbabilities: [Double]
    /// The most probable tokens in place of tokens[t+1], best first; `nil` where they were not asked for.
    public var top: [[(token: Int, logProbability: Double)]]?
  }

  /// One title of n tokens and its end.
  public struct Trajectory: Sendable {
    /// log π(a_t|s_{t-1}), t from 1 to n + 1.
    public var logPolicy: [Double]
    /// log π(⊤|s_t), t from 0 to n; -∞ over the catalogue where no title ends.
    public var logTerminate: [Double]
    /// log r(a_t|s_{t-1}), t from 1 to n + 1.
    public var logTokenReward: [Double]
    /// log F(s_t) / F(s_0), t from 0 to n.
    public var logFlow: [Double]
    /// log R_t, t from 0 to n (``FlowNetwork/logStateRewards(_:_:)``).
    public var logReward: [Double]
    /// d_1…d_m; `nil` for objectives without.
    public var residuals: [Double]?
    public var loss: Double
  }

  /// SFT's part of a loss.
  public struct Supervised: Sendable {
    public var logPolicy: [Double]
    /// The sum of -log π.
    public var loss: Double
  }

  public struct Prompt: Sendable {
    public var loss: Double
    /// The mean over the trajectories, where it is not the whole loss.
    public var flowLoss: Double?
    public var trajectories: [Trajectory]
    public var supervised: Supervised?
  }

  public struct Trajectories: Sendable {
    /// The mean over the prompts, of which the gradient is.
    public var loss: Double
    public var prompts: [Prompt]
    /// Whether the request had a list of prompts.
    public var isList: Bool
    /// L2 norms of the gradient by Hugging Face parameter name; `nil` where they were not asked for.
    public var gradientNorms: [(name: String, norm: Double)]?
  }

  public var sequences: [Sequence]?
  public var trajectories: Trajectories?
}

// MARK: - What is no result

extension ScoreResult.Trajectories {
  /// The first of the losses, residuals and gradients that is not finite, in words; `nil` if all are.
  var divergence: String? {
    for (index, prompt) in prompts.enumerated() {
      if let divergence = prompt.divergence { return divergence + (isList ? " of prompts[\(index)]" : "") }
    }
    if !loss.isFinite { return "the loss" }
    return gradientNorms?.first { !$0.norm.isFinite }.map { "the gradient of \($0.name)" }
  }
}

extension ScoreResult.Prompt {
  fileprivate var divergence: String? {
    for (index, trajectory) in trajectories.enumerated() {
      if !(trajectory.residuals ?? []).allSatisfy(\.isFinite) { return "a residual of trajectories[\(index)]" }
      if !trajectory.loss.isFinite { return "the loss of trajectories[\(index)]" }
    }
    if let flowLoss, !flowLoss.isFinite { return "the flow loss" }
    if let supervised, !supervised.loss.isFinite { return "the SFT loss" }
    return loss.isFinite ? nil : "the loss"
  }
}

// MARK: - JSON

extension ScoreResult {
  public var json: JSON {
    var members: [JSON.Member] = []
    if let sequences { members.append(.init("sequences", .array(sequences.map(\.json)))) }
    if let trajectories { members += trajectories.members }
    return .object(members)
  }
}

extension ScoreResult.Sequence {
  fileprivate var json: JSON {
    var members = [JSON.Member("log_probs", JSON(logProbabilities))]
    if let top {
      let lists = top.map { list in
        JSON(list.map { ["token": JSON($0.token), "log_prob": JSON($0.logProbability)] })
      }
      members.append(.init("top", .array(lists)))
    }
    return .object(members)
  }
}

extension ScoreResult.Trajectories {
  fileprivate var members: [JSON.Member] {
    var members =
      isList
      ? [JSON.Member("loss", JSON(loss)), .init("prompts", .array(prompts.map { .object($0.members) }))]
      : prompts[0].members
    if let gradientNorms {
      members.append(.init("gradient_norms", .object(gradientNorms.map { .init($0.name, JSON($0.norm)) })))
    }
    return members
  }
}

extension ScoreResult.Prompt {
  fileprivate var members: [JSON.Member] {
    var members = [JSON.Member("loss", JSON(loss))]
    if let flowLoss { members.append(.init("flow_loss", JSON(flowLoss))) }
    members.append(.init("trajectories", .array(trajectories.map(\.json))))
    if let supervised {
      members.append(.init("sft", ["log_policy": JSON(supervised.logPolicy), "loss": JSON(supervised.loss)]))
    }
    return members
  }
}

extension ScoreResult.Trajectory {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [
      .init("log_policy", JSON(logPolicy)), .init("log_terminate", JSON(logTerminate)),
      .init("log_token_reward", JSON(logTokenReward)), .init("log_flow", JSON(logFlow)),
      .init("log_reward", JSON(logReward)),
    ]
    if let residuals { members.append(.init("residuals", JSON(residuals))) }
    return .object(members + [.init("loss", JSON(loss))])
  }
}

extension JSON {
  fileprivate init(_ values: [Double]) { self = .array(values.map { JSON($0) }) }
}
