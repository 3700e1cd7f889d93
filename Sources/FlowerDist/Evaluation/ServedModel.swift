/// A trained model with the data that it recommends from: what every verb but `train` works on.
public struct ServedModel {
  public let path: String
  public let catalogue: Catalogue
  public let transformer: Transformer
  public let metadata: FlowerMetadata
  /// What the user should know, e.g. that the data are not those of the training.
  public let notes: [String]

  /// - Parameters:
  ///   - path: a model directory, a checkpoint, or a run (its best checkpoint, else its newest).
  ///   - directory: what ``modelDirectory(_:)`` makes of it, so that all ranks mean the same checkpoint.
  ///   - data: a dataset directory; `nil` takes the data that a run was trained on.
  ///   - catalogue: a file with the titles that can be recommended; `nil` takes those of the data.
  ///   - host: the weights, if they have been read already.
  ///   - loadsScore: whether the preference score of the rewards is needed.
  ///   - scorePath: where its model or file is, instead of where training found it.
  ///   - arithmetic: how its matrices are multiplied; `nil` takes that of the run's recipe, or ``Arithmetic/fma``.
  public init(
    path: String, directory: String? = nil, data: String?, catalogue file: String? = nil, host: HostWeights? = nil,
    loadsScore: Bool = true, scorePath: String? = nil, arithmetic: Arithmetic? = nil
  ) throws {
    self.path = try directory ?? Self.modelDirectory(path)
    let dataset = try Self.dataset(data, of: path)
    let model = try ModelDirectory(contentsOf: self.path, host: host)
    var metadata = try model.trainedMetadata(self.path)
    if let scorePath {
      guard metadata.reward.score.hasPath else {
        throw FlowerError(
          .usage,
          "--score-path: the preference score of \(self.path) is \(metadata.reward.score.rawValue), which needs none")
      }
      metadata.reward.scorePath = scorePath
    }
    self.metadata = metadata
    let offered = try file.map { try OfferedTitles(contentsOf: $0) }
    catalogue = try Catalogue(
      dataset: dataset, tokenizer: model.tokenizer, prompt: metadata.prompt, terminator: metadata.terminator,
      reward: metadata.reward, titleWeights: metadata.titleWeights, loadsScore: loadsScore, offered: offered)
    transformer = model.transformer
    transformer.arithmetic = try arithmetic ?? Arithmetic.ofRun(path)
    var notes: [String] = []
    if transformer.arithmetic.isEmulated { notes.append(transformer.arithmetic.warning("this machine")) }
    if dataset.digest != metadata.catalogueDigest {
      notes.append("note: \(dataset.name) is not the data that \(self.path) was trained on")
    }
    if let offered, let file { notes.append("note: \(file): \(offered.comparison(with: dataset.titles))") }
    self.notes = notes
  }

  /// Collective. Loads the same on every rank: the checkpoint that rank zero finds, its weights once per host.
  ///
  /// - Parameters: as those of the initializer.
  public static func load(
    _ path: String, data: String? = nil, catalogue: String? = nil, loadsScore: Bool = true, scorePath: String? = nil,
    arithmetic: Arithmetic? = nil, _ communicator: any Communicator
  ) throws -> ServedModel {
    let directory = String(
      decoding: try communicator.fromRoot { Array(try modelDirectory(path).utf8) }, as: UTF8.self)
    let host = try HostWeights.load(directory, communicator)
    return try communicator.together {
      try ServedModel(
        path: path, directory: directory, data: data, catalogue: catalogue, host: host, loadsScore: loadsScore,
        scorePath: scorePath, arithmetic: arithmetic)
    }
  }

  private static func dataset(_ data: String?, of path: String) throws -> Dataset {
    if let data { return try Dataset(directory: data) }
    if let recipe = try Recipe.ofRun(path) {
      return try RunSetup.dataset(recipe.data, seed: recipe.training.seed)
    }
    throw FlowerError(.usage, "--data: \(path) does not say which dataset directory it was trained on; name one")
  }

  /// Where the model of `path` is.
  public static func modelDirectory(_ path: String) throws -> String {
    if File.exists("\(path)/config.json") || Adapter.isHeld(by: path) { return path }
    if File.exists("\(path)/checkpoints") {
      let store = CheckpointStore(runDirectory: path)
      if let best = try store.best() { return best.path }
      if let latest = try store.latest().checkpoint { return latest.path }
      throw FlowerError(.data, "\(path): this run has no whole checkpoint yet")
    }
    throw FlowerError(.data, "\(path): expected a model directory (with config.json), a checkpoint or a run")
  }
}

extension ModelDirectory {
  /// What a model of ours was trained with.
  /// - Throws: `FlowerError` of kind `data` where the directory `path` does not say it.
  func trainedMetadata(_ path: String) throws -> FlowerMetadata {
    guard let metadata else {
      throw FlowerError(
        .data,
        "\(path)/\(FlowerMetadata.fileName): not found; expected the prompt and rewards that the model was trained"
          + " with (a model that FlowerDist has trained has them)")
    }
    return metadata
  }
}

extension Arithmetic {
  /// What the recipe of a run says; ``fma`` where `path` is no run.
  static func ofRun(_ path: String) throws -> Arithmetic { try Recipe.ofRun(path)?.training.arithmetic ?? .fma }
}

extension Recipe {
  /// The resolved recipe of a run; `nil` where `path` is no run.
  public static func ofRun(_ path: String) throws -> Recipe? {
    File.exists("\(path)/checkpoints") && File.exists("\(path)/config.yaml")
      ? try read(path: "\(path)/config.yaml") : nil
  }
}
