import Foundation

/// Measures a model on a fixed sample of the validation split, by all ranks.
final class Validation {
  private let recipe: Recipe
  private let catalogue: Catalogue
  private let evaluator: Evaluator
  private let worker: GrainWorker
  private let communicator: any Communicator
  /// Made by the first validation: a run without any needs no sample.
  private var sample: [Example]?

  /// Examples per batch; fixed, so that results do not depend on the ranks.
  private static let batch = 8
  /// Length of the lists that are judged.
  private static let length = 10

  init(
    recipe: Recipe, catalogue: Catalogue, evaluator: Evaluator, worker: GrainWorker, communicator: any Communicator
  ) {
    self.recipe = recipe
    self.catalogue = catalogue
    self.evaluator = evaluator
    self.worker = worker
    self.communicator = communicator
  }

  /// The metrics after a step, the recipe's first.
  func run() throws -> [Metric] { try evaluator.language.withConstantWeights { try measure() } }

  private func measure() throws -> [Metric] {
    let examples = try sample ?? makeSample()
    sample = examples
    if catalogue.dataset.isDistribution {
      let policy = evaluator.exact([examples[0].prompt])[0].map { exp($0) }
      let metrics = DistributionMetrics(
        policy: policy, target: catalogue.rewards.rewards(history: [], leavingOut: nil).target)
      return [Metric("total_variation", metrics.totalVariation), Metric("js", metrics.js)]
    }
    if recipe.validation.metric == .loss {
      // The sources of the first step, so that losses of different steps compare.
      let sources = worker.sources(
        step: 0, progress: .init(), targets: examples.map { Int(catalogue.tree.leafOfItem[Int($0.item!)]) },
        replay: ReplayBuffer(recipe.replay))
      let losses = try communicator.spread(count: examples.count, batch: Self.batch, width: 1) { range in
        // One by one, so that each example has its own loss.
        examples[range].map { worker.validate([$0], sources).loss }
      }
      return [Metric("loss", losses.reduce(0, +) / Double(max(examples.count, 1)))]
    }
    let lists = try communicator.spread(count: examples.count, batch: Self.batch, width: Self.length) { range in
      let excluded: [Set<Int32>] = examples[range].map {
        recipe.evaluation.excludeHistory ? catalogue.tree.leaves(of: $0.history) : []
      }
      return evaluator.beam(examples[range].map(\.prompt), beam: recipe.evaluation.beam, excluding: excluded).flatMap {
        ranked in
        (0..<Self.length).map { $0 < ranked.count ? Double(ranked[$0].leaf) : -1 }
      }
    }
    var tally = RankingTally(leaves: catalogue.tree.leafCount, cutoffs: [Self.length])
    for (list, example) in zip(lists.chunks(of: Self.length), examples) {
      tally.add(list.map { Int32($0) }.filter { $0 >= 0 }, target: catalogue.tree.leafOfItem[Int(example.item!)])
    }
    let (hitRate, ndcg) = RankingMetrics.accuracy(tally, within: Self.length)
    let both = [Metric("hr@10", hitRate.value), Metric("ndcg@10", ndcg.value)]
    return recipe.validation.metric == .hrAt10 ? both : both.reversed()
  }

  /// The first examples of a permutation of the split that is keyed by the seed; the one prompt without histories.
  private func makeSample() throws -> [Example] {
    if catalogue.dataset.isDistribution {
      return [Example(index: 0, history: [], item: nil, prompt: try catalogue.prompt(history: []).tokens)]
    }
    let split = catalogue.dataset.valid
    let order = CounterRandom(seed: recipe.training.seed, purpose: .evaluation).permutation(of: split.count)
    return try order.prefix(recipe.validation.examples).enumerated().map { index, place in
      let interaction = split[Int(place)]
      return Example(
        index: index, history: interaction.history, item: interaction.item,
        prompt: try catalogue.prompt(history: interaction.history).tokens, place: ExamplePlace(.valid, row: Int(place)))
    }
  }
}
