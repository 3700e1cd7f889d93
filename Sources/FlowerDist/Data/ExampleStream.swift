/// One example of a batch: a prompt, what followed it, and the counter of its random numbers.
public struct Example: Sendable {
  /// Position in the global batch, as the cursor walks it.
  public var index: Int
  /// Item ids, oldest first; empty without histories.
  public var history: [Int32]
  /// The item that followed; `nil` without histories.
  public var item: Int32?
  /// Tokens of the prompt.
  public var prompt: [Int32]
  /// Examples of the same trunk, one after the other, have prompts that begin alike; `nil` of windows.
  public var trunk: Int32? = nil
  /// Where in the dataset it is; the one prompt without histories is row 0 of the training split.
  public var place: ExamplePlace?

  /// Its row in the training split; `nil` of another split.
  var trainingRow: Int32? { place.flatMap { $0.split == .train ? Int32($0.row) : nil } }
}

/// The order of the training examples: a permutation per epoch keyed by (seed, epoch), walked by one global cursor; of
/// single examples, or of trunks with their examples in order.
///
/// A step's batch depends on seed and step only, so any rank can name its share and a resumed run goes on where it was. Single
/// examples are dealt to the grains by ``GrainBalance``; the trunks of a batch stay in their order.
public struct ExampleStream {
  let catalogue: Catalogue
  let recipe: Recipe.Training
  /// Where the prompts are, if they are computed already.
  var prompts: PromptTable?
  private let trunks: UserTrunks?
  /// Tokens of each item's title.
  private let titleTokens: [Int]
  private var epoch = -1
  /// Of this epoch: rows of the training split, and the trunks that they are of.
  private var order: [Int32] = []
  private var trunkOfPosition: [Int32] = []
  /// The last step that was asked for, and its batch in the order of the grains.
  private var batch: (step: Int, places: [Place]) = (-1, [])

  /// An example of a batch: its position there, its row in the training split, and the trunk that it is of.
  private struct Place {
    var index: Int
    var row: Int
    var trunk: Int32?
  }

  public init(_ catalogue: Catalogue, _ recipe: Recipe.Training) {
    self.catalogue = catalogue
    self.recipe = recipe
    let tree = catalogue.tree
    titleTokens = tree.leafOfItem.map { $0 < 0 ? 0 : Int(tree.depth[Int(tree.leafNode[Int($0)])]) }
    trunks =
      recipe.batching == .user ? UserTrunks(catalogue.dataset.train, longest: recipe.userTargets) : nil
  }

  /// Steps of the run: as the recipe says, or as many as its epochs need.
  public static func steps(_ recipe: Recipe.Training, examples: Int) -> Int {
    recipe.steps ?? max(1, (recipe.epochs! * examples + recipe.globalBatch - 1) / recipe.globalBatch)
  }

  /// The micro-batches of a grain at `step` (from 0), in order.
  public mutating func microBatches(step: Int, grain: Int) throws -> [[Example]] {
    let size = recipe.globalBatch / recipe.grains
    let examples = try places(step)[grain * size..<(grain + 1) * size].map { try example($0) }
    return examples.chunks(of: recipe.microBatch == 0 ? size : recipe.microBatch).map { Array($0) }
  }

  private func example(_ place: Place) throws -> Example {
    let train = catalogue.dataset.train
    if train.isEmpty {
      return Example(
        index: place.index, history: [], item: nil, prompt: try catalogue.prompt(history: []).tokens,
        place: ExamplePlace(.train, row: 0))
    }
    let interaction = train[place.row]
    return Example(
      index: place.index, history: interaction.history, item: interaction.item,
      prompt: try prompts?[place.row] ?? prompt(ofRow: place.row, trunk: place.trunk),
      trunk: place.trunk, place: ExamplePlace(.train, row: place.row))
  }

  /// The tokens that a row of the training split shows.
  func prompt(ofRow row: Int, trunk: Int32?) throws -> [Int32] {
    try catalogue.prompt(history: trunk.map { shown(row, of: Int($0)) } ?? catalogue.dataset.train[row].history).tokens
  }

  /// By row of the training split; `nil` of windows.
  var trunkOfRow: [Int32]? {
    trunks.map { trunks in
      var result = [Int32](repeating: 0, count: catalogue.dataset.train.count)
      for trunk in 0..<trunks.count { for row in trunks[trunk] { result[Int(row)] = Int32(trunk) } }
      return result
    }
  }

  /// The history that an example of a trunk shows: all of them begin with the same item, and the longest shows as many
  /// as any prompt does.
  private func shown(_ row: Int, of trunk: Int) -> [Int32] {
    let train = catalogue.dataset.train
    let rows = trunks![trunk]
    let before = max(1, catalogue.template.historyLength - rows.count + 1)
    return train[Int(rows.first!)].history.suffix(before) + rows.prefix { $0 != row }.map { train[Int($0)].item }
  }

  /// The positions of a step's examples in the order of the grains.
  mutating func positions(step: Int) -> [Int] { places(step).map(\.index) }

  /// The leaves of the next items of the whole batch of a step, by position; needs histories.
  mutating func targets(step: Int) -> [Int] {
    var leaves = [Int](repeating: 0, count: recipe.globalBatch)
    for place in places(step) {
      leaves[place.index] = Int(catalogue.tree.leafOfItem[Int(catalogue.dataset.train[place.row].item)])
    }
    return leaves
  }

  /// The batch of a step in the order of the grains.
  private mutating func places(_ step: Int) -> [Place] {
    if step == batch.step { return batch.places }
    var places = (0..<recipe.globalBatch).map { place(step: step, index: $0) }
    if trunks == nil, !catalogue.dataset.train.isEmpty {
      places = GrainBalance.order(work: places.map { work($0.row) }, grains: recipe.grains).map { places[$0] }
    }
    batch = (step, places)
    return places
  }

  /// About how many rows an example has in a forest: the tokens of the titles that it shows, and of its target. Not exactly, as
  /// prompts that are computed already would tell: whether they are must not decide.
  private func work(_ row: Int) -> Int {
    let interaction = catalogue.dataset.train[row]
    let shown = interaction.history.suffix(catalogue.template.historyLength)
    let prompt = shown.reduce(0) { $0 + titleTokens[Int($1)] }
    return min(prompt, catalogue.template.maxTokens) + titleTokens[Int(interaction.item)]
  }

  private mutating func place(step: Int, index: Int) -> Place {
    let count = catalogue.dataset.train.count
    if count == 0 { return Place(index: index, row: 0) }
    let (wanted, position) = (step * recipe.globalBatch + index).quotientAndRemainder(dividingBy: count)
    if wanted != epoch {
      epoch = wanted
      let random = CounterRandom(seed: recipe.seed, purpose: .dataOrder, step: UInt32(wanted))
      if let trunks {
        let shuffled = random.permutation(of: trunks.count)
        order = shuffled.flatMap { trunks[Int($0)] }
        trunkOfPosition = shuffled.flatMap { [Int32](repeating: $0, count: trunks[Int($0)].count) }
      } else {
        order = random.permutation(of: count)
      }
    }
    return Place(index: index, row: Int(order[position]), trunk: trunks.map { _ in trunkOfPosition[position] })
  }
}
