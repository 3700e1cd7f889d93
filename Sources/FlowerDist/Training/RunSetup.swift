import Foundation

/// Everything that a run starts from, made from its recipe alike on every rank.
public struct RunSetup {
  public var recipe: Recipe
  public var catalogue: Catalogue
  public var transformer: Transformer
  /// Of the directory that the model was read from, for the checkpoints; rank zero needs them alone.
  var sideFiles: SideFiles?
  /// Element type of the weights that training began from; `nil` if it began from random ones.
  private let baseType: SafeTensors.DType?
  /// The directory and the SHA-256 of the model that adapters are trained for.
  private let base: (directory: String, digest: String)?
  /// Whether the ranks of a host hold the weights once.
  let sharesWeights: Bool
  /// For objectives that have one.
  let reference: ReferenceModel?
  /// Whether the ranks of a host hold the reference's weights once.
  let sharesReference: Bool
  /// What a resumed run must share.
  let course: RunCourse
  /// Tokens of the longest title.
  public var longestTitle: Int
  /// Tokens of the longest prompt, and how many prompts drop items for lack of room, in a sample of the training split.
  public var longestPrompt = 0
  public var sampledPrompts = 0
  /// What `reward.file` holds.
  private let titleWeights: TitleWeights?
  public var cutPrompts = 0

  /// - Parameters:
  ///   - checkpoint: where weights and tokenizer come from instead of the recipe's start.
  ///   - host: weights that stay as they are, if they have been read already.
  ///   - referenceHost: the reference model's, likewise.
  public init(
    _ recipe: Recipe, checkpoint: String? = nil, host: HostWeights? = nil, referenceHost: HostWeights? = nil
  ) throws {
    self.recipe = recipe
    let dataset = try Self.dataset(recipe.data, seed: recipe.training.seed)
    let source = checkpoint ?? recipe.model.path
    let adapted = try Self.adapted(recipe)
    let model = try source.map {
      try ModelDirectory(contentsOf: $0, keepingSideFiles: true, base: checkpoint == nil ? nil : adapted, host: host)
    }
    let tokenizer = try model?.tokenizer ?? Self.tokenizer(recipe, dataset)
    let titleWeights = try recipe.reward.file.map { try TitleWeights(contentsOf: $0) }
    self.titleWeights = titleWeights
    try titleWeights?.requireTitles(of: dataset, path: recipe.reward.file!)
    catalogue = try Catalogue(
      dataset: dataset, tokenizer: tokenizer, prompt: recipe.prompt, terminator: recipe.tokenizer.terminator,
      reward: recipe.reward, titleWeights: titleWeights)
    try Self.check(recipe, dataset)
    if catalogue.rewards.isPersonal {
      try catalogue.score?.requireScores(of: .train)
      if recipe.validation.every > 0, recipe.validation.metric == .loss {
        try catalogue.score?.requireScores(of: .valid)
      }
    }
    if let model {
      transformer = model.transformer
    } else {
      let configuration = ModelConfiguration(recipe.model, vocabularySize: tokenizer.vocabularySize)
      try configuration.validate(source: "model")
      try ParameterLayout(configuration).list.requireMemory(.usage, source: "model")
      transformer = Transformer(configuration)
      transformer.initialize(seed: recipe.training.seed, std: recipe.model.initialStd)
    }
    if let model, let adapted {
      try Self.adapt(model, source!, recipe)
      base = (adapted, transformer.frozenDigest)
    } else {
      // What the model has of adapters becomes part of the weights that are trained.
      transformer.mergeAdapter()
      base = nil
    }
    transformer.arithmetic = recipe.training.arithmetic
    sharesWeights = transformer.weights.isShared
    sideFiles = model?.sideFiles
    // The checkpoints of a run from random weights say nothing of a base, the first as well as the later ones.
    baseType = recipe.model.path == nil ? nil : model?.baseType
    reference = try Self.referenceModel(recipe, of: transformer, catalogue, host: referenceHost)
    sharesReference = referenceHost != nil
    course = RunCourse(
      recipe, data: titleWeights.map { (dataset.digest + $0.digest).sha256 } ?? dataset.digest,
      reference: reference?.digest, score: catalogue.score?.digest)
    longestTitle = Int(catalogue.tree.depth.max()!)
    try samplePrompts()
  }

  /// The directory of the model that a recipe's adapters are trained for; `nil` where it asks for none.
  ///
  /// A run that goes on follows its recipe, wherever the model was before: its digest tells whether it is the same.
  /// - Throws: `FlowerError` of kind `usage` for a directory that the adapter's file cannot name, `data` as
  ///   ``Adapter/base(of:)``.
  static func adapted(_ recipe: Recipe) throws -> String? {
    guard recipe.lora.rank > 0, let path = recipe.model.path else { return nil }
    let base = Adapter.isHeld(by: path) ? try Adapter.base(of: path) : path
    // Every checkpoint says it, and must be readable again.
    guard Adapter.canName(base) else {
      throw FlowerError(
        .usage,
        "model.path: expected a directory of \(Adapter.longestName) printable bytes at most, because the adapter's files"
          + " name it; found \(base.quoted)")
    }
    return base
  }

  /// Gives the model the adapters that the recipe asks for: those that it has, or new ones.
  private static func adapt(_ model: ModelDirectory, _ source: String, _ recipe: Recipe) throws {
    let transformer = model.transformer
    let wanted = Adapter.Configuration(recipe.lora)
    if let adapter = transformer.adapter {
      guard adapter.configuration == wanted else {
        throw FlowerError(
          .usage,
          "lora: \(source) has adapters with \(adapter.configuration), the recipe asks for \(wanted); expected the same, or"
            + " lora.rank 0 to train all weights of both together")
      }
    } else {
      try Adapter.layout(wanted, of: transformer.configuration).list.requireMemory(.usage, source: "lora.rank")
      let adapter = Adapter(wanted, of: transformer.configuration)
      adapter.initialize(seed: recipe.training.seed)
      transformer.adapter = adapter
    }
  }

  /// What a recipe may ask of these data.
  private static func check(_ recipe: Recipe, _ dataset: Dataset) throws {
    func refuse(_ problem: String) -> FlowerError { FlowerError(.usage, problem) }
    let usesFlow = TrainingObjective(recipe.objective, supervisedScale: 1).usesFlow
    let validates = recipe.validation.every > 0
    if dataset.isDistribution {
      let without = "but \(dataset.name) has none"
      if recipe.objective.name == .rosePO {
        throw refuse("objective.name: rose_po needs histories, \(without); expected dpo")
      }
      if recipe.objective.sftWeight != .equal {
        throw refuse("objective.sft_weight: \(recipe.objective.sftWeight.rawValue) needs histories, \(without)")
      }
      if recipe.reward.weight.isPersonal {
        throw refuse(
          "reward.weight: \(recipe.reward.weight.rawValue) needs histories, \(without); expected popularity, uniform or file"
        )
      }
      if usesFlow, recipe.trajectories.source.uses(.targets) {
        throw refuse("trajectories.source: targets are next items of histories, \(without)")
      }
      if recipe.training.batching == .user {
        throw refuse("training.batching: user needs histories, \(without); expected window")
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
    if recipe.replays, !dataset.isDistribution {
      let (steps, epoch) = (
        ExampleStream.steps(recipe.training, examples: dataset.train.count),
        dataset.train.count / recipe.training.globalBatch
      )
      if min(recipe.replay.staleness, steps - 1) < epoch {
        throw refuse(
          "trajectories.source: replay is of an example's own titles, and an example comes again after about \(epoch)"
            + " steps; expected a longer run, and replay.staleness above that")
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
    switch recipe.tokenizer.kind {
    case .bytes: return .bytes
    case .items: return try .items(titles: dataset.titles)
    case .bpe: break
    }
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
  public var modelDirectory: ModelDirectory { modelDirectory(transformer) }

  /// The same of other weights.
  func modelDirectory(_ transformer: Transformer) -> ModelDirectory {
    ModelDirectory(
      transformer: transformer, tokenizer: catalogue.tokenizer,
      metadata: FlowerMetadata(
        prompt: recipe.prompt, terminator: recipe.tokenizer.terminator, terminatorToken: catalogue.tree.terminator,
        support: recipe.objective.support, reward: recipe.reward, titleWeights: titleWeights,
        catalogueDigest: catalogue.dataset.digest,
        baseType: baseType, baseDigest: base?.digest),
      sideFiles: sideFiles, base: base?.directory)
  }

  /// Longest sequence of prompt and title.
  var maximumPositions: Int { recipe.prompt.maxTokens + longestTitle + 1 }
}

extension ModelConfiguration {
  /// The shape that a recipe describes.
  init(_ recipe: Recipe.Model, vocabularySize: Int) {
    self.init(
      architecture: recipe.architecture.configuration, vocabularySize: vocabularySize,
      hiddenSize: recipe.hiddenSize, layers: recipe.layers, heads: recipe.heads, kvHeads: recipe.kvHeads,
      headDim: recipe.headDim ?? recipe.hiddenSize / recipe.heads, intermediateSize: recipe.intermediateSize,
      attentionBias: recipe.architecture == .qwen2, tieEmbeddings: recipe.tieEmbeddings, ropeTheta: recipe.ropeTheta,
      rmsNormEps: recipe.rmsNormEps)
  }
}

extension Adapter.Configuration {
  init(_ recipe: Recipe.LoRA) { self.init(rank: recipe.rank, alpha: recipe.alpha, targets: recipe.targets) }
}

extension Recipe.Model.Architecture {
  fileprivate var configuration: ModelConfiguration.Architecture {
    switch self {
    case .qwen2: .qwen2
    case .qwen3: .qwen3
    case .llama: .llama
    }
  }
}
