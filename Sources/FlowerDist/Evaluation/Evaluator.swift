import Foundation

/// What the model does after a prompt: exact distributions over the catalogue, best lists, samples. No gradients.
public final class Evaluator {
  let catalogue: Catalogue
  let language: LanguageModel
  /// States in which more than one title is possible: the most rows that titles of one prompt need.
  let openStates: Int
  /// Depth of the deepest node below each node of the tree, or its own.
  private(set) lazy var deepest: [Int32] = {
    let tree = catalogue.tree
    var deepest = tree.depth
    // Children have larger numbers than their parents.
    for node in (1..<tree.nodeCount).reversed() {
      let parent = Int(tree.parent[node])
      deepest[parent] = max(deepest[parent], deepest[node])
    }
    return deepest
  }()
  /// Rows that more than a few prompts which are computed together may have: enough for products at full speed, in 256 MB.
  private let rowsAtOnce: Int

  public init(_ catalogue: Catalogue, _ language: LanguageModel) {
    self.catalogue = catalogue
    self.language = language
    let leaves = catalogue.tree.flows(of: [Double](repeating: 1, count: catalogue.tree.leafCount))
    openStates = leaves.count { $0 > 1 }
    let thousand = Activations.bytes(language.configuration, rows: 1000, queries: 1000, keeping: .nothing)
    rowsAtOnce = min(16_384, 256_000_000 / (thousand / 1000))
  }

  /// log p(leaf | prompt) under the catalogue policy, for every leaf of every prompt: one forest over all choices.
  /// - Parameter temperature: at every choice.
  public func exact(_ prompts: [[Int32]], temperature: Double = 1) -> [[Double]] {
    let tree = catalogue.tree
    let choices = (0..<tree.nodeCount).filter { tree.isChoice($0) }
    return batches(prompts, rowsOfTitles: openStates).flatMap { range in
      let prompts = prompts[range]
      var titles = TitleForest(tree)
      for prompt in prompts { _ = titles.addPrompt(prompt) }
      for prompt in prompts.indices {
        for node in choices { titles.read(prompt: prompt - prompts.startIndex, node: node, support: .catalogue) }
      }
      let logProbabilities = language.score(titles, training: false)
      return prompts.indices.map {
        leafLogProbabilities(logProbabilities, titles, prompt: $0 - prompts.startIndex, temperature: temperature)
      }
    }
  }

  /// Neighbouring prompts that are computed together, 8 to 64 of them, given the rows that one's titles may take. Which ones
  /// they are changes no bit of the results.
  func batches(_ prompts: [[Int32]], rowsOfTitles: Int) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var rows = 0
    for (index, prompt) in prompts.enumerated() {
      rows += prompt.count + rowsOfTitles
      if let last = result.last, last.count < 8 || last.count < 64 && rows <= rowsAtOnce {
        result[result.count - 1] = last.lowerBound..<index + 1
      } else {
        result.append(index..<index + 1)
        rows = prompt.count + rowsOfTitles
      }
    }
    return result
  }

  private func leafLogProbabilities(
    _ scores: [Double], _ titles: TitleForest, prompt: Int, temperature: Double
  ) -> [Double] {
    let tree = catalogue.tree
    var reach = [Double](repeating: 0, count: tree.nodeCount)
    var leaves = [Double](repeating: 0, count: tree.leafCount)
    for node in 0..<tree.nodeCount {
      let range = titles.scores(prompt: prompt, node: node, support: .catalogue)
      let options = range.map { Self.tempered(scores[$0], temperature) }
      var index = 0
      for child in tree.children(of: node) {
        reach[child] = reach[node] + (options.map { $0[index] } ?? 0)
        index += 1
      }
      if tree.leaf[node] >= 0 {
        leaves[Int(tree.leaf[node])] = reach[node] + (options.map { $0.last! } ?? 0)
      }
    }
    return leaves
  }

  /// Log-probabilities of a choice at a temperature.
  private static func tempered(_ logProbabilities: ArraySlice<Double>, _ temperature: Double) -> [Double] {
    if temperature == 1 { return Array(logProbabilities) }
    let maximum = logProbabilities.max()!
    let logits = logProbabilities.map { ($0 - maximum) / temperature }
    let logSum = log(logits.reduce(0) { $0 + exp($1) })
    return logits.map { $0 - logSum }
  }

  /// A leaf and its log-probability. The better of two is the larger: more probable, or the first of equals.
  public struct Ranked: Comparable, Sendable {
    public var leaf: Int32
    public var logProbability: Double

    public static func < (a: Ranked, b: Ranked) -> Bool {
      (a.logProbability, b.leaf) < (b.logProbability, a.leaf)
    }
  }

  /// The best `count` leaves by log p(title) (or any score), best first; ties by leaf. O(leaves log count).
  public static func top(_ logProbabilities: [Double], count: Int, excluding excluded: Set<Int32> = []) -> [Ranked] {
    logProbabilities.indicesOfLargest(count) { !excluded.contains(Int32($0)) }.map {
      Ranked(leaf: Int32($0), logProbability: logProbabilities[$0])
    }
  }

  /// Probabilities without the leaves that are left out, divided by their sum; `nil` if nothing is left.
  static func renormalized(_ logProbabilities: [Double], excluding excluded: Set<Int32>) -> [Double]? {
    var kept = logProbabilities
    for leaf in excluded { kept[Int(leaf)] = -.infinity }
    guard let largest = kept.max(), largest > -.infinity else { return nil }
    // Relative to the largest: what is left may be too improbable for a Double.
    let weights = kept.map { exp($0 - largest) }
    let total = weights.reduce(0, +)
    return weights.map { $0 / total }
  }

  /// Beam search over the catalogue: at most `beam` titles or beginnings of titles are kept per prompt after each real
  /// choice; ranked by log p(title), no length penalty.
  /// - Parameter guides: one for each prompt; what is ranked by is then g · log π + (1 − g) · log r of every step.
  public func beam(
    _ prompts: [[Int32]], beam: Int, guides: [Guide]? = nil, excluding excluded: [Set<Int32>]? = nil
  ) -> [[Ranked]] {
    batches(prompts, rowsOfTitles: openStates).flatMap { range in
      beamSearch(
        prompts[range], beam: beam, guides: guides.map { Array($0[range]) }, excluding: excluded.map { $0[range] })
    }
  }

  /// A preference that goes beside the policy, step by step (``Decoding/guidance``).
  public struct Guide: Sendable {
    /// Of the preference score as leaf weights.
    public var rewards: TokenRewards
    /// g.
    public var guidance: Double

    public init(_ rewards: TokenRewards, guidance: Double) {
      self.rewards = rewards
      self.guidance = guidance
    }

    /// What the options of a state count, from their log-probabilities.
    func scores(at node: Int, _ logProbabilities: ArraySlice<Double>) -> ArraySlice<Double> {
      zip(logProbabilities, rewards.rewards(at: node)).map { guidance * $0 + (1 - guidance) * log($1) }[...]
    }
  }

  private struct Hypothesis {
    var logProbability: Double
    var node: Int
    /// The leaf, once the title has ended.
    var leaf: Int32?
  }

  private func beamSearch(
    _ prompts: ArraySlice<[Int32]>, beam: Int, guides: [Guide]?, excluding excluded: ArraySlice<Set<Int32>>?
  ) -> [[Ranked]] {
    let tree = catalogue.tree
    var titles = TitleForest(tree)
    // A beam may compute long titles and give them up again, so its width does not bound its rows.
    let rows = prompts.reduce(0) { $0 + $1.count } + prompts.count * openStates
    language.begin(rows: rows, queries: rows, training: false)
    for prompt in prompts { _ = titles.addPrompt(prompt) }
    var open: [[Hypothesis]] = prompts.map { _ in [] }

    /// Follows forced steps; a title that ends, or ends a choice, becomes a hypothesis.
    func advance(_ hypothesis: Hypothesis, prompt: Int) -> Hypothesis? {
      var next = hypothesis
      while !tree.isChoice(next.node) {
        guard let child = tree.child(of: next.node, option: 0) else {
          next.leaf = tree.leaf[next.node]
          return keeps(next, prompt: prompt) ? next : nil
        }
        next.node = child
      }
      return next
    }
    func keeps(_ hypothesis: Hypothesis, prompt: Int) -> Bool {
      guard let leaf = hypothesis.leaf, let excluded else { return true }
      return !excluded[excluded.startIndex + prompt].contains(leaf)
    }

    for prompt in prompts.indices.map({ $0 - prompts.startIndex }) {
      open[prompt] = [advance(Hypothesis(logProbability: 0, node: 0), prompt: prompt)].compactMap { $0 }
    }
    while open.contains(where: { $0.contains { $0.leaf == nil } }) {
      for (prompt, hypotheses) in open.enumerated() {
        for hypothesis in hypotheses where hypothesis.leaf == nil {
          titles.read(prompt: prompt, node: hypothesis.node, support: .catalogue)
        }
      }
      let scores = language.score(titles.forest, titles.readouts)
      for (prompt, hypotheses) in open.enumerated() {
        var next: [Hypothesis] = []
        for hypothesis in hypotheses {
          guard hypothesis.leaf == nil else {
            next.append(hypothesis)
            continue
          }
          var options = scores[titles.scores(prompt: prompt, node: hypothesis.node, support: .catalogue)!]
          if let guides { options = guides[prompt].scores(at: hypothesis.node, options) }
          var index = options.startIndex
          for child in tree.children(of: hypothesis.node) {
            let step = Hypothesis(logProbability: hypothesis.logProbability + options[index], node: child)
            if let step = advance(step, prompt: prompt) { next.append(step) }
            index += 1
          }
          if tree.leaf[hypothesis.node] >= 0 {
            let end = Hypothesis(
              logProbability: hypothesis.logProbability + options[index], node: hypothesis.node,
              leaf: tree.leaf[hypothesis.node])
            if keeps(end, prompt: prompt) { next.append(end) }
          }
        }
        open[prompt] = Array(
          next.sorted { ($1.logProbability, $0.node) < ($0.logProbability, $1.node) }.prefix(beam))
      }
    }
    return open.map { $0.map { Ranked(leaf: $0.leaf!, logProbability: $0.logProbability) } }
  }

  /// `count` titles per prompt sampled from the catalogue policy, in the order drawn.
  ///
  /// - Parameter first: number of the first prompt among all that are sampled; random numbers depend on it, so that it
  ///   does not matter how prompts are spread over ranks.
  public func samples(
    _ prompts: [[Int32]], first: Int, count: Int, seed: UInt64, temperature: Double = 1
  ) -> [[Int32]] {
    let sampler = PolicySampler(language: language, temperature: temperature)
    let depth = Int(catalogue.tree.depth.max()!)
    return batches(prompts, rowsOfTitles: min(openStates, count * depth)).flatMap { range in
      let batch = prompts[range]
      var titles = TitleForest(catalogue.tree)
      let rows = batch.reduce(0) { $0 + $1.count } + batch.count * count * depth
      language.begin(rows: rows, queries: rows, training: false)
      for prompt in batch { _ = titles.addPrompt(prompt) }
      let leaves = sampler.sample(
        &titles, prompts: 0..<batch.count, count: count, support: .catalogue
      ) { prompt, k in
        CounterRandom(
          seed: seed, purpose: .evaluation, example: UInt32(first + range.lowerBound + prompt), sample: UInt32(k))
      }
      return leaves.map { $0.map { Int32($0) } }
    }
  }
}
