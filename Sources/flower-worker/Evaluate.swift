import ArgumentParser
import FlowerDist

/// Options shared by the verbs that use a trained model.
struct ModelOptions: ParsableArguments {
  @Option(help: "A model directory, a checkpoint, or a run.")
  var model: String

  @Option(help: "The dataset directory to recommend from; of a run, its own unless given.")
  var data: String?

  /// The recipe, where the model is a run.
  func recipe() throws -> Recipe? { try Recipe.ofRun(model) }

  /// Loads model and data on every rank.
  /// - Parameters:
  ///   - loadsScore: whether the preference score of its rewards is needed.
  ///   - scorePath: where its model or file is now.
  func load(
    _ ranks: any Communicator, loadsScore: Bool = true, scorePath: String? = nil
  ) throws -> ServedModel {
    let directory = String(
      decoding: try ranks.fromRoot { Array(try ServedModel.modelDirectory(model).utf8) }, as: UTF8.self)
    let host = try HostWeights.load(directory, ranks)
    let served = try ranks.together {
      try ServedModel(
        path: model, directory: directory, data: data, host: host, loadsScore: loadsScore, scorePath: scorePath)
    }
    if ranks.isRoot { for note in served.notes { print(note) } }
    return served
  }
}

/// Options shared by the verbs that compare a model with the preference score of its rewards.
struct ScoreOptions: ParsableArguments {
  @Option(
    name: .customLong("score-path"),
    help: ArgumentHelp("Where the model or file of reward.score_path is now.", valueName: "path"))
  var path: String?
}

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Accuracy, fairness and diversity of a model's recommendations.")

  @OptionGroup var options: ModelOptions

  @OptionGroup var score: ScoreOptions

  @Option(help: "The split: train, valid or test.")
  var split = Dataset.Split.test

  @Option(help: "Number of examples, the first of a fixed permutation; 0 takes all. Of a run, as its recipe says.")
  var examples: Int?

  @Flag(help: "Rank by the exact distribution over all titles instead of a beam.")
  var exact = false

  @Option(help: "Width of the beam. (default: 20; of a run, as its recipe says)")
  var beam: Int?

  @Flag(inversion: .prefixedNo, help: "Leave titles of the history out. (default: no; of a run, as its recipe says)")
  var excludeHistory: Bool?

  @Flag(help: "Print all metrics of the model, not only those at 10.")
  var details = false

  @Option(help: ArgumentHelp("Write the numbers here too.", valueName: "file.json"))
  var output: String?

  func validate() throws {
    if let examples, examples < 0 { throw ValidationError("--examples: expected 0 or more, found \(examples)") }
    if let beam, !(20...1000 ~= beam) { throw ValidationError("--beam: expected 20 to 1000, found \(beam)") }
  }

  func run() throws {
    let ranks = try Ranks.join()
    let served = try options.load(ranks, scorePath: score.path)
    var settings = EvaluationRun.Options()
    let recipe = try ranks.together { try options.recipe()?.evaluation ?? Recipe.Evaluation() }
    settings.split = split
    settings.examples = examples ?? recipe.examples
    settings.exact = exact
    settings.beam = beam ?? recipe.beam
    settings.excludeHistory = excludeHistory ?? recipe.excludeHistory
    let run = try EvaluationRun(served.catalogue, LanguageModel(served.transformer), ranks, settings)
    let rows = try run.run(name: runName(options.model))
    try ranks.together {
      guard ranks.isRoot else { return }
      print(EvaluationReport.comparisons(rows))
      if details { for row in rows where !row.isReference { print("\n\(row.table)") } }
      try write(.array(rows.map(\.json)), to: output)
    }
  }
}

extension Dataset.Split: ExpressibleByArgument {}

/// The last part of a path, without a trailing slash.
func runName(_ path: String) -> String { path.split(separator: "/").last.map { String($0) } ?? path }

/// Writes JSON to the file that the user named, if any.
func write(_ json: JSON, to path: String?) throws {
  guard let path else { return }
  try AtomicFile.write(json.serialized(pretty: true) + [0x0A], to: path)
}
