/// One example of a batch: a prompt, what followed it, and the counter of its random numbers.
public struct Example: Sendable {
  /// Position in the global batch.
  public var index: Int
  /// Item ids, oldest first; empty without histories.
  public var history: [Int32]
  /// The item that followed; `nil` without histories.
  public var item: Int32?
  /// Tokens of the prompt.
  public var prompt: [Int32]
  /// Where in the dataset it is; `nil` without histories.
  public var place: ExamplePlace?
}

/// The order of the training examples: a permutation per epoch keyed by (seed, epoch), walked by one global cursor.
///
/// A step's batch depends on seed and step only, so any rank can name its share and a resumed run goes on where it was.
public struct ExampleStream {
  private let catalogue: Catalogue
  private let recipe: Recipe.Training
  private var epoch = -1
  private var order: [Int32] = []

  public init(_ catalogue: Catalogue, _ recipe: Recipe.Training) {
    self.catalogue = catalogue
    self.recipe = recipe
  }

  /// Steps of the run: as the recipe says, or as many as its epochs need.
  public static func steps(_ recipe: Recipe.Training, examples: Int) -> Int {
    recipe.steps ?? max(1, (recipe.epochs! * examples + recipe.globalBatch - 1) / recipe.globalBatch)
  }

  /// The micro-batches of a grain at `step` (from 0), in order.
  public mutating func microBatches(step: Int, grain: Int) throws -> [[Example]] {
    let size = recipe.globalBatch / recipe.grains
    let examples = try (grain * size..<(grain + 1) * size).map { try example(step: step, index: $0) }
    return examples.chunks(of: recipe.microBatch == 0 ? size : recipe.microBatch).map { Array($0) }
  }

  private mutating func example(step: Int, index: Int) throws -> Example {
    let train = catalogue.dataset.train
    if train.isEmpty {
      return Example(index: index, history: [], item: nil, prompt: try catalogue.prompt(history: []).tokens)
    }
    let (wanted, position) = (step * recipe.globalBatch + index).quotientAndRemainder(dividingBy: train.count)
    if wanted != epoch {
      epoch = wanted
      order = CounterRandom(seed: recipe.seed, purpose: .dataOrder, step: UInt32(wanted)).permutation(of: train.count)
    }
    let row = Int(order[position])
    let interaction = train[row]
    return Example(
      index: index, history: interaction.history, item: interaction.item,
      prompt: try catalogue.prompt(history: interaction.history).tokens, place: ExamplePlace(.train, row: row))
  }
}
