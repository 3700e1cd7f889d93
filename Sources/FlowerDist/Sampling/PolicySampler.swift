import Foundation

/// Samples titles from the model over the catalogue, all prompts of a forest together.
///
/// The forest grows as it is sampled: a state's rows are computed once, whichever trajectories visit it, and stay for
/// training. Forced runs are jumped over: a pass of the model takes every trajectory to its next real choice.
struct PolicySampler {
  let language: LanguageModel
  var temperature = 1.0

  /// One title to be written: the k-th of a prompt.
  struct Walk {
    var prompt: Int
    var k: Int
  }

  /// - Parameters:
  ///   - titles: prompts (and maybe titles) already added; the model has begun a forest with room for what is sampled.
  ///   - support: where the states are to be read for training; over the vocabulary every state is read, the draw
  ///     renormalises over the options. Nothing is scored yet: a title's rows after its last choice are not even computed.
  ///   - random: the stream of a walk; position = depth of the state.
  /// - Returns: leaf by walk.
  func sample(
    _ titles: inout TitleForest, _ walks: [Walk], support: Recipe.Objective.Support,
    random: (_ prompt: Int, _ k: Int) -> CounterRandom
  ) -> [Int] {
    struct Walker {
      var index: Int
      var node = 0
    }
    let tree = titles.tree
    var leaves = [Int](repeating: -1, count: walks.count)
    var walkers = walks.indices.map { Walker(index: $0) }

    /// Follows forced steps to the next choice and reads it; `false` when the title ends.
    func advance(_ walker: inout Walker) -> Bool {
      while true {
        titles.read(prompt: walks[walker.index].prompt, node: walker.node, support: support)
        if tree.isChoice(walker.node) { return true }
        guard let child = tree.child(of: walker.node, option: 0) else {
          leaves[walker.index] = Int(tree.leaf[walker.node])
          return false
        }
        walker.node = child
      }
    }

    walkers = walkers.compactMap { walker in
      var walker = walker
      return advance(&walker) ? walker : nil
    }
    while !walkers.isEmpty {
      language.extend(titles.forest)
      // Of the states that somebody stands at now.
      var options: [State: LeafDraws] = [:]
      walkers = walkers.compactMap { walker in
        var walker = walker
        let walk = walks[walker.index]
        let state = State(prompt: walk.prompt, node: walker.node)
        let draws = options[state] ?? self.options(titles, state)
        options[state] = draws
        let option = draws.leaf(random(walk.prompt, walk.k).uniform(UInt64(tree.depth[walker.node])))
        guard let child = tree.child(of: walker.node, option: option) else {
          leaves[walker.index] = Int(tree.leaf[walker.node])
          return nil
        }
        walker.node = child
        return advance(&walker) ? walker : nil
      }
    }
    return leaves
  }

  private struct State: Hashable {
    var prompt: Int
    var node: Int
  }

  /// The policy at a state: softmax of its options' logits over the temperature. Only these are computed, whatever is
  /// normalised over for training, which does that for all states together.
  private func options(_ titles: TitleForest, _ state: State) -> LeafDraws {
    let logits = language.logits(
      titles.query(prompt: state.prompt, node: state.node)!, titles.tree.optionTokens(of: state.node))
    let maximum = Double(logits.max()!)
    let weights = logits.map { exp((Double($0) - maximum) / temperature) }
    // Of a model whose numbers are finite no longer any title will do: the loss says so.
    return LeafDraws(weights.allSatisfy(\.isFinite) ? weights : weights.map { _ in 1 })
  }

  /// `count` titles of each prompt: leaves by prompt and k.
  func sample(
    _ titles: inout TitleForest, prompts: Range<Int>, count: Int, support: Recipe.Objective.Support,
    random: (_ prompt: Int, _ k: Int) -> CounterRandom
  ) -> [[Int]] {
    let walks = prompts.flatMap { prompt in (0..<count).map { Walk(prompt: prompt, k: $0) } }
    let leaves = sample(&titles, walks, support: support, random: random)
    return (0..<prompts.count).map { Array(leaves[$0 * count..<($0 + 1) * count]) }
  }
}
