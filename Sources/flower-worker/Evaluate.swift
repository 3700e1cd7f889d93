import ArgumentParser
import FlowerDist
import Foundation

/// Options that say what is recommended.
struct TitleOptions: ParsableArguments {
  @Option(help: "The dataset directory to recommend from; of a run, its own unless given.")
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Titles to recommend, instead of those of the data: items.jsonl or title_counts.jsonl.", valueName: "file.jsonl"))
  var catalogue: String?

  @OptionGroup var products: ArithmeticOption

  /// Loads a model and the data on every rank.
  /// - Parameters:
  ///   - loadsScore: whether the preference score of its rewards is needed.
  ///   - scorePath: where its model or file is now.
  func load(
    _ model: String, _ ranks: any Communicator, loadsScore: Bool = true, scorePath: String? = nil
  ) throws -> ServedModel {
    let served = try ServedModel.load(
      model, data: data, catalogue: catalogue, loadsScore: loadsScore, scorePath: scorePath,
      arithmetic: products.arithmetic, ranks)
    // Beside what the verb prints, which may be JSON.
    if ranks.isRoot { FileHandle.standardError.write(Data(served.notes.map { $0 + "\n" }.joined().utf8)) }
    return served
  }
}

/// How a model is computed.
struct ArithmeticOption: ParsableArguments {
  @Option(help: "How matrices are multiplied: fma, or bf16x6. (default: fma; of a run, as its recipe says)")
  var arithmetic: Arithmetic?
}

/// Options shared by the verbs that use a trained model.
struct ModelOptions: ParsableArguments {
  @Option(help: "A model directory, a checkpoint, or a run.")
  var model: String

  @OptionGroup var titles: TitleOptions

  /// Loads model and data on every rank.
  func load(
    _ ranks: any Communicator, loadsScore: Bool = true, scorePath: String? = nil
  ) throws -> ServedModel {
    try titles.load(model, ranks, loadsScore: loadsScore, scorePath: scorePath)
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
    abstract: "Accuracy, fairness and diversity of recommendations.",
    discussion: """
      Of a model, or with --predictions of the lists that any recommender has
      written, an example a line, the best title first:
        {"target":"title","predictions":["title","title"]}
      Titles that the data do not have count as invalid.
      """)

  @Option(help: "A model directory, a checkpoint, or a run.")
  var model: String?

  @Option(help: ArgumentHelp("Score the lists of this file instead of a model's.", valueName: "file.jsonl"))
  var predictions: String?

  @OptionGroup var titles: TitleOptions

  @OptionGroup var preference: ScoreOptions

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

  @Option(help: "policy, or published: over the whole vocabulary, as other programs do. Of a run, as its recipe says.")
  var score: Decoding.Score?

  @Option(help: "Rank by score / length^this. (default: 0; of a run, as its recipe says)")
  var lengthPenalty: Double?

  @Option(help: "Weight of the policy against the preference score. (default: 1; of a run, as its recipe says)")
  var guidance: Double?

  @Option(help: "Temperature of sampled lists. (default: 1; of a run, as its recipe says)")
  var temperature: Double?

  @Flag(inversion: .prefixedNo, help: "Evaluate lists sampled from the policy, too; they take a third of the time.")
  var samples = true

  @Flag(help: "Print all metrics of the model, not only those at 10.")
  var details = false

  @Option(help: ArgumentHelp("Write the numbers here too.", valueName: "file.json"))
  var output: String?

  func validate() throws {
    guard (model == nil) != (predictions == nil) else {
      throw ValidationError("expected exactly one of --model and --predictions")
    }
    if predictions != nil {
      if titles.data == nil { throw ValidationError("--predictions needs --data: its training counts make the groups") }
      if examples != nil || exact || beam != nil || excludeHistory != nil || preference.path != nil {
        throw ValidationError("--examples, --exact, --beam, --exclude-history and --score-path go with --model only")
      }
      if titles.products.arithmetic != nil || !samples {
        throw ValidationError("--arithmetic and --no-samples go with --model only")
      }
      if score != nil || lengthPenalty != nil || guidance != nil || temperature != nil {
        throw ValidationError("--score, --length-penalty, --guidance and --temperature go with --model only")
      }
    }
    if let examples, examples < 0 { throw ValidationError("--examples: expected 0 or more, found \(examples)") }
    let least = score == .published ? Decoding.publishedBeam : 20
    if let beam, !(least...1000 ~= beam) { throw ValidationError("--beam: expected \(least) to 1000, found \(beam)") }
    if let lengthPenalty, !(0...10 ~= lengthPenalty) {
      throw ValidationError("--length-penalty: expected 0 to 10, found \(lengthPenalty)")
    }
    if let guidance, !(0...1 ~= guidance) {
      throw ValidationError("--guidance: expected 0 to 1, found \(guidance)")
    }
    if temperature != nil, !samples {
      throw ValidationError("--temperature is that of sampled lists, which --no-samples leaves out")
    }
    if let temperature, !(temperature > 0 && temperature <= 1000) {
      throw ValidationError("--temperature: expected above 0, at most 1000, found \(temperature)")
    }
  }

  func run() throws {
    let ranks = try Ranks.join()
    guard let model else {
      try ranks.together { if ranks.isRoot { try evaluate(predictions!) } }
      return
    }
    let served = try titles.load(model, ranks, scorePath: preference.path)
    var recipe = try ranks.together { try Recipe.ofRun(model)?.evaluation ?? Recipe.Evaluation() }
    recipe.score = score ?? recipe.score
    recipe.lengthPenalty = lengthPenalty ?? recipe.lengthPenalty
    recipe.guidance = guidance ?? recipe.guidance
    recipe.temperature = temperature ?? recipe.temperature
    recipe.examples = examples ?? recipe.examples
    recipe.excludeHistory = excludeHistory ?? recipe.excludeHistory
    var settings = EvaluationRun.Options(recipe)
    settings.split = split
    settings.exact = exact
    settings.samples = samples
    settings.beam = beam ?? settings.beam
    let run = try EvaluationRun(served.catalogue, LanguageModel(served.transformer), ranks, settings)
    let rows = try run.run(name: runName(model))
    try ranks.together { if ranks.isRoot { try show(rows) } }
  }

  private func evaluate(_ predictions: String) throws {
    let dataset = try Dataset(directory: titles.data!)
    let rows = try PredictionsFile.evaluate(
      predictions, name: runName(predictions), dataset: dataset,
      offered: titles.catalogue.map { try OfferedTitles(contentsOf: $0) })
    if rows[0].examples != dataset[split].count, !dataset.isDistribution {
      print(
        "note: examples in \(predictions): \(rows[0].examples); in the split \(split.rawValue) of \(dataset.name):"
          + " \(dataset[split].count)")
    }
    try show(rows)
  }

  private func show(_ rows: [EvaluationReport]) throws {
    print(EvaluationReport.comparisons(rows))
    if details { for row in rows where !row.isReference { print("\n\(row.table)") } }
    try write(.array(rows.map(\.json)), to: output)
  }
}

extension Dataset.Split: ExpressibleByArgument {}
extension Decoding.Score: ExpressibleByArgument {}

/// The last part of a path, without a trailing slash.
func runName(_ path: String) -> String { path.split(separator: "/").last.map { String($0) } ?? path }

/// Writes JSON to the file that the user named, if any.
func write(_ json: JSON, to path: String?) throws {
  guard let path else { return }
  try AtomicFile.write(json.serialized(pretty: true) + [0x0A], to: path)
}
