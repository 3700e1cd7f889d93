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
  /// Where in the dataset it is; the one prompt without histories is row 0 of the training split.
  public var place: ExamplePlace?

  /// Its row in the training split; `nil` of another split.
  var trainingRow: Int32? { place.flatMap { $0.split == .train ? Int32($0.row) : nil } }
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
      return Example(
        index: index, history: [], item: nil, prompt: try catalogue.prompt(history: []).tokens,
        place: ExamplePlace(.train, row: 0))
    }
    let row = row(step: step, index: index)
    let interaction = train[row]
    return Example(
      index: index, history: interaction.history, item: interaction.item,
      prompt: try catalogue.prompt(history: interaction.history).tokens, place: ExamplePlace(.train, row: row))
  }

  /// The leaves of the next items of the whole batch of a step, by position; needs histories.
  mutating func targets(step: Int) -> [Int] {
    (0..<recipe.globalBatch).map { index in
      let item = catalogue.dataset.train[row(step: step, index: index)].item
      return Int(catalogue.tree.leafOfItem[Int(item)])
    }
  }

  /// The row in the training split of an example of a batch.
  private mutating func row(step: Int, index: Int) -> Int {
    let count = catalogue.dataset.train.count
    let (wanted, position) = (step * recipe.globalBatch + index).quotientAndRemainder(dividingBy: count)
    if wanted != epoch {
      epoch = wanted
      order = CounterRandom(seed: recipe.seed, purpose: .dataOrder, step: UInt32(wanted)).permutation(of: count)
    }
    return Int(order[position])
  }
}
