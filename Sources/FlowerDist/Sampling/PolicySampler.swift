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
  ///     renormalises over the options.
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
      let logProbabilities = language.score(titles.forest, titles.readouts)
      walkers = walkers.compactMap { walker in
        var walker = walker
        let walk = walks[walker.index]
        let scores = titles.scores(prompt: walk.prompt, node: walker.node, support: support)!
        let uniform = random(walk.prompt, walk.k).uniform(UInt64(tree.depth[walker.node]))
        let option = choose(logProbabilities[scores], uniform)
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

  /// `count` titles of each prompt: leaves by prompt and k.
  func sample(
    _ titles: inout TitleForest, prompts: Range<Int>, count: Int, support: Recipe.Objective.Support,
    random: (_ prompt: Int, _ k: Int) -> CounterRandom
  ) -> [[Int]] {
    let walks = prompts.flatMap { prompt in (0..<count).map { Walk(prompt: prompt, k: $0) } }
    let leaves = sample(&titles, walks, support: support, random: random)
    return (0..<prompts.count).map { Array(leaves[$0 * count..<($0 + 1) * count]) }
  }

  private func choose(_ logProbabilities: ArraySlice<Double>, _ uniform: Double) -> Int {
    let maximum = logProbabilities.max()!
    return LeafDraws(logProbabilities.map { exp(($0 - maximum) / temperature) }).leaf(uniform)
  }
}
