/// A run's model as the verbs `evaluate` and `audit` take it, measured by all ranks.
struct TrainedRun {
  private let served: ServedModel
  private let language: LanguageModel
  private let recipe: Recipe
  private let communicator: any Communicator

  /// Collective. Loads the run's best checkpoint, else its newest.
  init(_ recipe: Recipe, _ communicator: any Communicator) throws {
    self.recipe = recipe
    self.communicator = communicator
    served = try ServedModel.load(RunDirectory.path(recipe), communicator)
    language = LanguageModel(served.transformer)
  }

  /// The name of the checkpoint that is measured.
  var checkpoint: String { served.path.split(separator: "/").last.map(String.init) ?? served.path }
  var dataDigest: String { served.catalogue.dataset.digest }
  /// Whether there are titles and weights only, and so no splits.
  var isDistribution: Bool { served.catalogue.dataset.isDistribution }

  func evaluate(_ split: Dataset.Split) throws -> [EvaluationReport] {
    var options = EvaluationRun.Options(recipe.evaluation)
    options.split = split
    return try EvaluationRun(served.catalogue, language, communicator, options).run(name: recipe.name)
  }

  func audit() throws -> AuditReport {
    try EvaluationRun.audit(served.catalogue, language, communicator, EvaluationRun.Options())
  }
}
