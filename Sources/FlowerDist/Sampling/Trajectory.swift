/// A title and its end as the transitions of a flow network over the catalogue's tree.
public struct Trajectory: Sendable {
  /// One action: a token of the title, or at last the terminator.
  public struct Transition: Sendable {
    /// The state that is left.
    public var node: Int
    /// Which of the state's options is taken.
    public var option: Int
    /// Indices of the log-probabilities of the state's options; `nil` for a forced step over the catalogue, whose
    /// probability is one.
    public var scores: Range<Int>?
    /// Index of log π(⊤|s) at the state that is left; `nil` where it is not read.
    public var terminatorScore: Int?

    /// Index of the log-probability of the action.
    public var score: Int? { scores.map { $0.lowerBound + option } }
  }

  public var leaf: Int
  /// n + 1 transitions of a title of n tokens.
  public var transitions: [Transition]

  /// The way to `leaf`, with the places where `titles` reads its states.
  public init(leaf: Int, prompt: Int, in titles: TitleForest, support: Recipe.Objective.Support) {
    let tree = titles.tree
    let path = tree.path(toLeaf: leaf)
    self.leaf = leaf
    transitions = path.indices.map { index in
      let node = path[index]
      let next = index + 1 < path.count ? path[index + 1] : nil
      return Transition(
        node: node, option: tree.option(of: node, leadingTo: next),
        scores: titles.scores(prompt: prompt, node: node, support: support),
        terminatorScore: titles.terminatorScore(prompt: prompt, node: node, support: support))
    }
  }

  /// log π of every action; zero where it is forced.
  public func logPolicy(_ logProbabilities: [Double]) -> [Double] {
    transitions.map { $0.score.map { logProbabilities[$0] } ?? 0 }
  }
}
