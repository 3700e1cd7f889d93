/// Trajectories over a catalogue that a request brings along, and the objective that they are measured by.
public struct TrajectoryRequest: Sendable {
  public struct Prompt: Sendable {
    /// What errors call it.
    var place: String
    public var tokens: [Int32]
    /// Leaves of the trajectories, at least one.
    public var leaves: [Int]
    /// The leaf that SFT imitates beside the flow term; `nil` where the loss has no such part.
    public var target: Int?
    /// `nil` where the request's hold.
    public var rewards: LeafRewards?

    /// The leaves of the trajectories once each, in the order of their first.
    var distinctLeaves: [Int] {
      var seen: Set<Int> = []
      return leaves.filter { seen.insert($0).inserted }
    }
  }

  public var tree: CatalogueTree
  /// For every prompt without rewards of its own.
  public var rewards: LeafRewards
  public var prompts: [Prompt]
  public var objective: Recipe.Objective
  /// Whether the request had a list of prompts, however long, instead of one prompt.
  public var isList: Bool

  /// Longest title in tokens: a row keeps the rows of its branch.
  static let maximumTitle = 1024
  /// Most tokens and terminators of the trajectories of a prompt, which are one forest, and of all together: an answer has
  /// several numbers for each, however short the request is.
  static let maximumPromptSteps = 1 << 18
  static let maximumSteps = 1 << 20
  /// In this range no sum of weights overflows and no share of one underflows.
  static let weightRange = 1e-100...1e100

  /// Reads the values of the keys `trajectories` and `objective`; throws as ``ScoreRequest``.
  init(_ field: JSONField, objective: JSONField, vocabularySize: Int) throws {
    let entries = try field["catalogue"].elements()
    guard !entries.isEmpty else { throw FlowerError(.data, "\(field.place).catalogue is empty; expected a title") }
    let titles = try entries.map { entry in
      try entry.allow(["tokens", "weight"])
      return try entry["tokens"].tokens(1...Self.maximumTitle, vocabularySize: vocabularySize)
    }
    let counts = try entries.map { try $0["weight"].double(in: Self.weightRange) }
    let tree = try CatalogueTree(
      titles: titles, terminator: Int32(try field["terminator"].int(in: 0...vocabularySize - 1))
    ) { "\(field.place).catalogue[\($0)]" }

    let rows = try Row.all(field)
    let recipe = try Self.recipe(objective)
    let mixes = try recipe.objective.name != .sft && objective["theta"].isPresent
    var steps = 0
    prompts = try rows.map { row in
      let items = try row.items.ints(in: 0...titles.count - 1)
      guard !items.isEmpty else { throw FlowerError(.data, "\(row.items.place) is empty; expected an item") }
      let promptSteps = items.reduce(0) { $0 + titles[$1].count + 1 }
      steps += promptSteps
      guard promptSteps <= Self.maximumPromptSteps else {
        throw FlowerError(
          .data,
          "\(row.items.place): the titles have \(promptSteps) tokens; expected at most \(Self.maximumPromptSteps) for a prompt"
        )
      }
      guard steps <= Self.maximumSteps else {
        throw FlowerError(
          .data, "\(row.items.place): the titles so far have over \(Self.maximumSteps) tokens; ask for fewer at once")
      }
      let target = row.target.isPresent ? try row.target.int(in: 0...titles.count - 1) : nil
      let weights = try row.numbers(row.weights, count: titles.count, in: Self.weightRange)
      let scores = try row.numbers(row.scores, count: titles.count, in: 0...Self.weightRange.upperBound)
      try Self.check(recipe, row, objective, trajectories: items.count, mixes: mixes)
      return Prompt(
        place: row.tokens.place,
        tokens: try row.tokens.tokens(1...ScoreRequest.maximumTokens, vocabularySize: vocabularySize),
        leaves: items.map { Int(tree.leafOfItem[$0]) }, target: mixes ? target.map { Int(tree.leafOfItem[$0]) } : nil,
        rewards: weights != nil || recipe.reward.weight.isPersonal
          ? recipe.reward.leafRewards(tree, counts: weights ?? counts, scores: scores) : nil)
    }
    self.tree = tree
    rewards = recipe.reward.leafRewards(tree, counts: counts, scores: nil)
    self.objective = recipe.objective
    isList = try field["prompts"].isPresent
  }

  /// Refuses what does not go together.
  private static func check(
    _ recipe: Recipe, _ row: Row, _ objective: JSONField, trajectories: Int, mixes: Bool
  ) throws {
    if recipe.objective.name == .vargrad, trajectories < 2 {
      throw FlowerError(
        .usage, "\(row.items.place) has one item, but objective.name vargrad compares two or more trajectories")
    }
    if recipe.reward.weight.isPersonal, !row.scores.isPresent {
      throw FlowerError(
        .usage, "\(objective.place).weight \(recipe.reward.weight.rawValue) needs \(row.scores.path), which is missing")
    }
    if mixes, !row.target.isPresent {
      throw FlowerError(.usage, "\(objective.place).theta needs \(row.target.path), which is missing")
    }
  }

  // MARK: - Objective

  /// Fields that mean something only where there is a reference model, or a training split.
  private static let ofTraining = [
    "objective.sft_weight", "objective.beta", "objective.rejected", "objective.label_smoothing", "objective.reference",
  ]

  /// Fields of a recipe that the keys of `objective` are.
  private static let fields: [RecipeField] =
    RecipeField.all.filter { $0.section == "objective" && !ofTraining.contains($0.key) }
    + ["reward.weight", "reward.flow_rule", "reward.beta", "reward.gamma", "reward.c"].map { RecipeField.named($0)! }

  /// The parts `objective` and `reward` of a recipe; the rest of it means nothing.
  private static func recipe(_ field: JSONField) throws -> Recipe {
    try field.allow(fields.map { String($0.name) })
    guard try field["name"].isPresent else { throw try field["name"].expected(Recipe.Objective.Name.expected) }
    var recipe = Recipe()
    for recipeField in fields {
      let value = try field[String(recipeField.name)]
      guard value.isPresent else { continue }
      guard let scalar = value.value.flatMap(RecipeScalar.init), recipeField.read(scalar, &recipe) else {
        throw value.expected(recipeField.expected)
      }
    }
    guard !recipe.objective.name.hasReference else {
      throw FlowerError(
        .usage, "\(field.place).name \(recipe.objective.name.rawValue) needs a reference model, which only `train` has")
    }
    guard recipe.reward.weight != .file else {
      throw FlowerError(.usage, "\(field.place).weight file is of recipes; here the catalogue brings its weights")
    }
    for rule in RecipeRule.objective where !rule.holds(recipe) {
      throw FlowerError(.usage, "\(field.place): \(rule.message)")
    }
    // Here SFT is the whole loss, and `support` its support.
    if recipe.objective.name == .sft { recipe.objective.sftSupport = recipe.objective.support }
    return recipe
  }
}

/// The fields of one prompt, read from the keys of one prompt or from those of several.
private struct Row {
  var tokens: JSONField
  var items: JSONField
  var target: JSONField
  var weights: JSONField
  var scores: JSONField

  static func all(_ field: JSONField) throws -> [Row] {
    guard try field["prompts"].isPresent else {
      try field.allow(["prompt", "terminator", "catalogue", "items", "target", "scores"])
      return [
        Row(
          tokens: try field["prompt"], items: try field["items"], target: try field["target"],
          weights: JSONField(file: field.file, path: "\(field.path).weights", value: nil), scores: try field["scores"])
      ]
    }
    try field.allow(["prompts", "terminator", "catalogue", "items", "targets", "weights", "scores"])
    let prompts = try field["prompts"].elements()
    guard !prompts.isEmpty else { throw FlowerError(.data, "\(field.place).prompts is empty; expected a prompt") }
    func list(_ key: String) throws -> [JSONField] {
      let list = try field[key]
      guard list.isPresent else { return prompts.map { _ in list } }
      let elements = try list.elements()
      guard elements.count == prompts.count else {
        throw FlowerError(
          .data, "\(list.place) has \(elements.count) entries; expected \(prompts.count), one for each prompt")
      }
      return elements
    }
    let (items, targets, weights, scores) = try (list("items"), list("targets"), list("weights"), list("scores"))
    return prompts.indices.map {
      Row(tokens: prompts[$0], items: items[$0], target: targets[$0], weights: weights[$0], scores: scores[$0])
    }
  }

  /// One number for each entry of the catalogue; `nil` where there are none.
  func numbers(_ field: JSONField, count: Int, in range: ClosedRange<Double>) throws -> [Double]? {
    guard field.isPresent else { return nil }
    let numbers = try field.doubles(in: range)
    guard numbers.count == count else {
      throw FlowerError(
        .data, "\(field.place) has \(numbers.count) numbers; expected \(count), one for each entry of the catalogue")
    }
    return numbers
  }
}

extension Recipe.Reward {
  /// Leaf rewards from counts and preference scores by item. Scores are summed by leaf, divided by their sum, and at least
  /// 1e-6 of the popularity, as in training.
  fileprivate func leafRewards(_ tree: CatalogueTree, counts: [Double], scores: [Double]?) -> LeafRewards {
    let byLeaf = tree.leafSums(counts)
    guard weight.isPersonal, let scores else {
      return LeafRewards(weights: weight.isPersonal ? byLeaf : sharedWeights(byLeaf))
    }
    let popularity = byLeaf.map { [total = byLeaf.reduce(0, +)] in $0 / total }
    let preference = tree.leafSums(scores)
    let total = preference.reduce(0, +)
    let shares = total > 0 ? preference.map { $0 / total } : preference
    return personalRewards(preference: Self.floored(shares, popularity: popularity), popularity: popularity)
  }
}

extension RecipeScalar {
  /// A number or a string of JSON; `nil` for anything else.
  fileprivate init?(_ json: JSON) {
    switch json {
    case .number(let text): self.init(text: text, isPlain: true)
    case .string(let text): self.init(text: text, isPlain: false)
    default: return nil
    }
  }
}
