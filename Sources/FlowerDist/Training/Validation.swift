import Foundation

/// Measures a model on a fixed sample of the validation split, by all ranks.
struct Validation {
  let recipe: Recipe
  let catalogue: Catalogue
  let evaluator: Evaluator
  let worker: GrainWorker
  let communicator: any Communicator

  /// Examples per batch; fixed, so that results do not depend on the ranks.
  private static let batch = 8

  /// The metrics after a step, the recipe's first.
  func run() throws -> [Metric] {
    if catalogue.dataset.isDistribution {
      let policy = try evaluator.exact([catalogue.prompt(history: []).tokens])[0]
      let report = AuditReport(catalogue, policy: policy)
      return [Metric("total_variation", report.metrics.totalVariation), Metric("js", report.metrics.js)]
    }
    let examples = try sample()
    if recipe.validation.metric == .loss {
      let losses = try communicator.spread(count: examples.count, batch: Self.batch, width: 1) { range in
        // One by one, so that each example has its own loss.
        examples[range].map { worker.validate([$0]).loss }
      }
      return [Metric("loss", losses.reduce(0, +) / Double(max(examples.count, 1)))]
    }
    let lists = try communicator.spread(count: examples.count, batch: Self.batch, width: 10) { range in
      evaluator.beam(examples[range].map(\.prompt), beam: recipe.evaluation.beam).flatMap { ranked in
        (0..<10).map { $0 < ranked.count ? Double(ranked[$0].leaf) : -1 }
      }
    }
    var tally = RankingTally(leaves: catalogue.tree.leafCount, cutoffs: [10])
    for (index, example) in examples.enumerated() {
      let list = lists[index * 10..<index * 10 + 10].map { Int32($0) }.filter { $0 >= 0 }
      tally.add(list, target: catalogue.tree.leafOfItem[Int(example.item!)])
    }
    let metrics = RankingMetrics(tally: tally, titles: catalogue.leafTitles, groups: catalogue.groups).atCutoffs[0]
    let both = [Metric("hr@10", metrics.hitRate.value), Metric("ndcg@10", metrics.ndcg.value)]
    return recipe.validation.metric == .hrAt10 ? both : both.reversed()
  }

  /// The first examples of a permutation of the split that is keyed by the seed.
  private func sample() throws -> [Example] {
    let split = catalogue.dataset.valid
    let order = CounterRandom(seed: recipe.training.seed, purpose: .evaluation).permutation(of: split.count)
    return try order.prefix(recipe.validation.examples).enumerated().map { index, place in
      let interaction = split[Int(place)]
      return Example(
        index: index, history: interaction.history, item: interaction.item,
        prompt: try catalogue.prompt(history: interaction.history).tokens)
    }
  }
}

extension AuditReport {
  /// The exact distribution of the one prompt (log-probability by leaf) against the smoothed target.
  init(_ catalogue: Catalogue, policy: [Double]) {
    self.init(
      policy: policy.map { exp($0) }, target: catalogue.rewards.rewards(history: [], leavingOut: nil).target,
      titles: catalogue.leafTitles, counts: catalogue.rewards.counts)
  }
}
