/// The frozen model that preference losses and policy gradients measure the policy against: log π_ref of titles.
///
/// Each prompt is computed by itself, so that a number depends on the prompt and its titles alone: whether it was kept
/// from an earlier step, on whichever rank and in whichever attempt, makes no difference to a bit. What is kept: without
/// histories all titles of the one prompt, computed once; with histories the titles of each training example whose pairs
/// are the same whenever the example comes round.
final class ReferenceModel {
  /// SHA-256 of its weights.
  let digest: String
  let transformer: Transformer
  private let language: LanguageModel
  private let tree: CatalogueTree
  private let support: Recipe.Objective.Support
  /// By leaf, of the one prompt without histories.
  private var catalogue: [Double]?
  private var byExample: [ExamplePlace: [Double]] = [:]

  init(_ transformer: Transformer, _ tree: CatalogueTree, support: Recipe.Objective.Support) {
    self.transformer = transformer
    self.tree = tree
    self.support = support
    language = LanguageModel(transformer)
    // Of an adapter and of what it adapts.
    digest = (transformer.adapter == nil ? "" : transformer.digest + "+") + transformer.frozenDigest
  }

  /// log π_ref of an example's titles.
  /// - Parameter areFixed: whether the example has these titles each time, and may be remembered.
  func titles(_ leaves: [Int], of example: Example, areFixed: Bool) -> [Double] {
    if example.item == nil {
      let all = catalogue ?? titles(Array(0..<tree.leafCount), after: example.prompt)
      catalogue = all
      return leaves.map { all[$0] }
    }
    guard areFixed, let place = example.place else { return titles(leaves, after: example.prompt) }
    if let known = byExample[place] { return known }
    let computed = titles(leaves, after: example.prompt)
    byExample[place] = computed
    return computed
  }

  /// log π_ref of titles after a prompt, summed over tokens and ⊤.
  func titles(_ leaves: [Int], after prompt: [Int32]) -> [Double] {
    var titles = TitleForest(tree)
    _ = titles.addPrompt(prompt)
    for leaf in leaves { titles.addTitle(prompt: 0, leaf: leaf, support: support) }
    let logProbabilities = titles.readouts.count > 0 ? language.score(titles, training: false) : []
    return leaves.map {
      Trajectory(leaf: $0, prompt: 0, in: titles, support: support).logPolicy(logProbabilities).reduce(0, +)
    }
  }
}

extension RunSetup {
  /// Where the reference model of a recipe is; `nil` where the objective has none.
  static func reference(_ recipe: Recipe) throws -> String? {
    guard recipe.objective.name.hasReference else { return nil }
    if let path = recipe.objective.reference { return try ServedModel.modelDirectory(path) }
    return try adapted(recipe) ?? recipe.model.path
  }

  /// The reference model of a recipe: read, or the policy's own weights without its adapters.
  ///
  /// - Parameter host: its weights, if they have been read already.
  /// - Throws: `FlowerError` of kind `usage` where it would read other tokens than the policy.
  static func referenceModel(
    _ recipe: Recipe, of policy: Transformer, _ catalogue: Catalogue, host: HostWeights?
  ) throws -> ReferenceModel? {
    guard let path = try reference(recipe) else { return nil }
    if path == (try adapted(recipe)) {
      let frozen = Transformer(policy.configuration, weights: policy.weights)
      frozen.frozenDigest = policy.frozenDigest
      frozen.arithmetic = policy.arithmetic
      return ReferenceModel(frozen, catalogue.tree, support: recipe.objective.support)
    }
    let model = try ModelDirectory(contentsOf: path, host: host)
    guard model.tokenizer == catalogue.tokenizer else {
      throw FlowerError(
        .usage,
        "objective.reference: \(path.quoted) has another tokenizer than the model that is trained, so titles are other tokens"
          + " for it; expected the same tokenizer")
    }
    if let end = model.metadata?.terminatorToken, end != catalogue.tree.terminator {
      throw FlowerError(
        .usage,
        "objective.reference: \(path.quoted) ends titles with token \(end), the model that is trained with"
          + " \(catalogue.tree.terminator); expected the same tokenizer.terminator")
    }
    model.transformer.arithmetic = policy.arithmetic
    return ReferenceModel(model.transformer, catalogue.tree, support: recipe.objective.support)
  }
}
