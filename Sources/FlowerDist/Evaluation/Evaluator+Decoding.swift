import Foundation

extension Evaluator {
  /// The best titles of each prompt, as the decoding ranks them.
  ///
  /// - Parameters:
  ///   - exact: by the score of every title instead of a beam's; not for the published score.
  ///   - guides: one for each prompt, where the decoding is guided.
  public func best(
    _ prompts: [[Int32]], _ decoding: Decoding, exact: Bool, beam: Int, guides: [Guide]?,
    excluding excluded: [Set<Int32>]
  ) -> [[Ranked]] {
    if decoding.score == .published {
      let depth = Int(catalogue.tree.depth.max()!)
      return batches(prompts, rowsOfTitles: min(catalogue.tree.nodeCount, beam * (depth + 1))).flatMap { range in
        published(
          prompts[range], beam: beam, guides: guides.map { $0[range] }, excluding: excluded[range],
          lengthPenalty: decoding.lengthPenalty)
      }
    }
    let tree = catalogue.tree
    func penalized(_ ranked: Ranked) -> Ranked {
      if decoding.lengthPenalty == 0 { return ranked }
      let length = Double(tree.depth[Int(tree.leafNode[Int(ranked.leaf)])]) + 1
      return Ranked(leaf: ranked.leaf, logProbability: ranked.logProbability / pow(length, decoding.lengthPenalty))
    }
    if exact {
      return self.exact(prompts).enumerated().map { prompt, logProbabilities in
        let scores = guides.map { $0[prompt].scores(ofLeaves: logProbabilities) } ?? logProbabilities
        let all = scores.enumerated().map { penalized(Ranked(leaf: Int32($0), logProbability: $1)).logProbability }
        return Self.top(all, count: beam, excluding: excluded[prompt])
      }
    }
    return self.beam(prompts, beam: beam, guides: guides, excluding: excluded).map { ranked in
      decoding.lengthPenalty == 0 ? ranked : ranked.map(penalized).sorted { $1 < $0 }
    }
  }

  /// Beam search as published (constrained beam search of Hugging Face's `transformers`): token by token; a step adds the
  /// log-probability over the whole vocabulary, also where one token alone goes on; what ends among the best `beam`
  /// steps is kept and leaves its place to others. Ranked by sum / length^α, the length being tokens, ⊤ and an end token.
  ///
  /// It ends when nothing that is open can become one of the best `beam` of what has ended: sums only fall, and the longest
  /// title that a hypothesis begins has the largest divisor. Until then all stay, for they keep others out of the beam.
  /// The end token of `transformers` has a log-probability too, which is left out here: models end with ⊤.
  private func published(
    _ prompts: ArraySlice<[Int32]>, beam: Int, guides: ArraySlice<Guide>?, excluding excluded: ArraySlice<Set<Int32>>,
    lengthPenalty: Double
  ) -> [[Ranked]] {
    let tree = catalogue.tree
    var titles = TitleForest(tree)
    let rows =
      prompts.reduce(0) { $0 + $1.count }
      + prompts.count * min(tree.nodeCount, beam * (Int(tree.depth.max()!) + 1))
    language.begin(rows: rows, queries: rows, training: false)
    for prompt in prompts { _ = titles.addPrompt(prompt) }
    struct Step {
      var sum: Double
      var node: Int
      /// Whether it ended the title of `node`.
      var isEnd = false
    }
    var open = prompts.map { _ in [Step(sum: 0, node: 0)] }
    var ended: [[Ranked]] = prompts.map { _ in [] }
    while open.contains(where: { !$0.isEmpty }) {
      for (prompt, steps) in open.enumerated() {
        for step in steps { titles.read(prompt: prompt, node: step.node, support: .vocabulary) }
      }
      let scores = language.score(titles.forest, titles.readouts)
      for (prompt, steps) in open.enumerated() {
        let left = excluded[excluded.startIndex + prompt]
        var next: [Step] = []
        for step in steps {
          var options = scores[titles.scores(prompt: prompt, node: step.node, support: .vocabulary)!]
          if let guides { options = guides[guides.startIndex + prompt].scores(at: step.node, options) }
          for (option, child) in zip(options, tree.children(of: step.node)) {
            next.append(Step(sum: step.sum + option, node: child))
          }
          let leaf = tree.leaf[step.node]
          if leaf >= 0, !left.contains(leaf) {
            next.append(Step(sum: step.sum + options.last!, node: step.node, isEnd: true))
          }
        }
        next.sort { ($1.sum, $0.node) < ($0.sum, $1.node) }
        for step in next.prefix(beam) where step.isEnd {
          let length = Double(tree.depth[step.node]) + 2
          ended[prompt].append(
            Ranked(leaf: tree.leaf[step.node], logProbability: step.sum / pow(length, lengthPenalty)))
        }
        ended[prompt].sort { $1 < $0 }
        // What guides may raise the sum.
        let kept =
          guides != nil || ended[prompt].count < beam ? -.infinity : ended[prompt][beam - 1].logProbability
        open[prompt] = Array(next.lazy.filter { !$0.isEnd }.prefix(beam))
        if open[prompt].allSatisfy({ $0.sum / pow(Double(deepest[$0.node]) + 2, lengthPenalty) < kept }) {
          open[prompt] = []
        }
      }
    }
    return ended.map { Array($0.prefix(beam)) }
  }
}

extension Evaluator.Guide {
  /// As ``scores(at:_:)`` adds up along the whole titles.
  func scores(ofLeaves logProbabilities: [Double]) -> [Double] {
    zip(logProbabilities, rewards.target).map { guidance * $0 + (1 - guidance) * log($1) }
  }
}
