/// One example of a batch: a prompt, what followed it, and the counter of its random numbers.
public struct Example: Sendable {
  /// Position in the global batch.
  public var index: Int
  /// Item ids, oldest first; empty without histories.
  public var history: [Int32]
  /// The item that followed; `nil` without histories.
  public var item: Int32?
  /// Which prompt of training it is: its place in the training split, 0 without histories; `nil` outside training.
  public var place: Int32?
  /// Tokens of the prompt.
  public var prompt: [Int32]
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
        index: index, history: [], item: nil, place: 0, prompt: try catalogue.prompt(history: []).tokens)
    }
    let place = place(step: step, index: index)
    let interaction = train[Int(place)]
    return Example(
      index: index, history: interaction.history, item: interaction.item, place: place,
      prompt: try catalogue.prompt(history: interaction.history).tokens)
  }

  /// The leaves of the next items of the whole batch of a step, by position; needs histories.
  mutating func targets(step: Int) -> [Int] {
    (0..<recipe.globalBatch).map { index in
      let item = catalogue.dataset.train[Int(place(step: step, index: index))].item
      return Int(catalogue.tree.leafOfItem[Int(item)])
    }
  }

  /// The place in the training split of an example of a batch.
  private mutating func place(step: Int, index: Int) -> Int32 {
    let count = catalogue.dataset.train.count
    let (wanted, position) = (step * recipe.globalBatch + index).quotientAndRemainder(dividingBy: count)
    if wanted != epoch {
      epoch = wanted
      order = CounterRandom(seed: recipe.seed, purpose: .dataOrder, step: UInt32(wanted)).permutation(of: count)
    }
    return order[position]
  }
}
