import Foundation

/// Everything that a run starts from, made from its recipe alike on every rank.
public struct RunSetup {
  public var recipe: Recipe
  public var catalogue: Catalogue
  public var transformer: Transformer
  /// What a resumed run must share.
  let course: RunCourse
  /// Tokens of the longest title.
  public var longestTitle: Int
  /// Tokens of the longest prompt, and how many prompts drop items for lack of room, in a sample of the training split.
  public var longestPrompt = 0
  public var sampledPrompts = 0
  public var cutPrompts = 0

  /// - Parameter checkpoint: where weights and tokenizer come from instead of the recipe's start.
  public init(_ recipe: Recipe, checkpoint: String? = nil) throws {
    self.recipe = recipe
    let dataset = try Self.dataset(recipe.data, seed: recipe.training.seed)
    let source = checkpoint ?? recipe.model.path
    let model = try source.map { try ModelDirectory(contentsOf: $0) }
    let tokenizer = try model?.tokenizer ?? Self.tokenizer(recipe, dataset)
    catalogue = try Catalogue(
      dataset: dataset, tokenizer: tokenizer, prompt: recipe.prompt, terminator: recipe.tokenizer.terminator,
      reward: recipe.reward)
    try Self.check(recipe, dataset)
    if let model {
      transformer = model.transformer
    } else {
      let configuration = ModelConfiguration(recipe.model, vocabularySize: tokenizer.vocabularySize)
      try configuration.validate(source: "model")
      transformer = Transformer(configuration)
      transformer.initialize(seed: recipe.training.seed, std: recipe.model.initialStd)
    }
    course = RunCourse(recipe, data: dataset.digest)
    longestTitle = Int(catalogue.tree.depth.max()!)
    try samplePrompts()
  }

  /// What a recipe may ask of these data.
  private static func check(_ recipe: Recipe, _ dataset: Dataset) throws {
    func refuse(_ problem: String) -> FlowerError { FlowerError(.usage, problem) }
    let validates = recipe.validation.every > 0
    if dataset.isDistribution {
      let without = "but \(dataset.name) has none"
      if recipe.reward.weight.isPersonal {
        throw refuse(
          "reward.weight: \(recipe.reward.weight.rawValue) needs histories, \(without); expected popularity or uniform")
      }
      if recipe.training.epochs != nil {
        throw refuse("training.epochs: counts examples with histories, \(without); expected training.steps")
      }
      if validates, recipe.validation.metric != .totalVariation {
        throw refuse(
          "validation.metric: \(recipe.validation.metric.rawValue) needs histories, \(without); expected total_variation"
        )
      }
    } else if validates {
      if recipe.validation.metric == .totalVariation {
        throw refuse(
          "validation.metric: total_variation is for data without histories; expected loss, ndcg@10 or hr@10")
      }
      if dataset.valid.isEmpty {
        throw refuse("validation.every: \(dataset.name) has no validation examples; expected 0")
      }
    }
  }

  /// The data that a recipe names, or made up as it says.
  static func dataset(_ recipe: Recipe.Data, seed: UInt64) throws -> Dataset {
    if let path = recipe.path { return try Dataset(directory: path) }
    return try Dataset.generated(titles: recipe.generated, examples: recipe.generatedExamples, seed: seed)
  }

  /// The recipe's tokenizer: read, bytes, or trained on titles and the first prompts.
  private static func tokenizer(_ recipe: Recipe, _ dataset: Dataset) throws -> Tokenizer {
    if let path = recipe.tokenizer.path { return try Tokenizer(contentsOf: path) }
    if recipe.tokenizer.kind == .bytes { return .bytes }
    let template = PromptTemplate(recipe.prompt)
    var texts = zip(dataset.titles, dataset.counts).map { (text: $0, count: Int($1) + 1) }
    for example in dataset.train.prefix(1000) {
      texts.append((template.text(history: example.history.map { dataset.titles[Int($0)] }), 1))
    }
    if dataset.isDistribution { texts.append((template.text(history: []), 1)) }
    return try Tokenizer.train(texts: texts, vocabularySize: recipe.tokenizer.vocabularySize)
  }

  /// Judges prompts by 1,000 histories spread over the training split.
  private mutating func samplePrompts() throws {
    let train = catalogue.dataset.train
    let histories =
      train.isEmpty ? [[]] : stride(from: 0, to: train.count, by: max(1, train.count / 1000)).map { train[$0].history }
    for history in histories {
      let prompt = try catalogue.prompt(history: history)
      longestPrompt = max(longestPrompt, prompt.tokens.count)
      cutPrompts += prompt.dropped > 0 ? 1 : 0
    }
    sampledPrompts = histories.count
  }

  /// The model as a directory would hold it.
  public var modelDirectory: ModelDirectory {
    ModelDirectory(
      transformer: transformer, tokenizer: catalogue.tokenizer,
      metadata: FlowerMetadata(
        prompt: recipe.prompt, terminator: recipe.tokenizer.terminator, terminatorToken: catalogue.tree.terminator,
        support: recipe.objective.support, reward: recipe.reward, catalogueDigest: catalogue.dataset.digest))
  }

  /// Longest sequence of prompt and title.
  var maximumPositions: Int { recipe.prompt.maxTokens + longestTitle + 1 }
}

extension ModelConfiguration {
  /// The shape that a recipe describes.
  init(_ recipe: Recipe.Model, vocabularySize: Int) {
    self.init(
      architecture: recipe.architecture == .qwen2 ? .qwen2 : .llama, vocabularySize: vocabularySize,
      hiddenSize: recipe.hiddenSize, layers: recipe.layers, heads: recipe.heads, kvHeads: recipe.kvHeads,
      headDim: recipe.headDim ?? recipe.hiddenSize / recipe.heads, intermediateSize: recipe.intermediateSize,
      attentionBias: recipe.architecture == .qwen2, tieEmbeddings: recipe.tieEmbeddings, ropeTheta: recipe.ropeTheta,
      rmsNormEps: recipe.rmsNormEps)
  }
}
