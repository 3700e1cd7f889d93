import ArgumentParser
import FlowerDist

struct Audit: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The exact item distribution of a model against the target of its training.")

  @OptionGroup var options: ModelOptions

  @OptionGroup var score: ScoreOptions

  @Option(help: "With histories: number of test prompts that are averaged; 0 takes all.")
  var examples = 256

  @Option(help: ArgumentHelp("Write the numbers here too.", valueName: "file.json"))
  var output: String?

  func validate() throws {
    guard examples >= 0 else { throw ValidationError("--examples: expected 0 or more, found \(examples)") }
  }

  func run() throws {
    let ranks = try Ranks.join()
    let served = try options.load(ranks, scorePath: score.path)
    var settings = EvaluationRun.Options()
    settings.examples = examples
    let report = try EvaluationRun.audit(served.catalogue, LanguageModel(served.transformer), ranks, settings)
    try ranks.together {
      guard ranks.isRoot else { return }
      print(report.table)
      try write(report.json, to: output)
    }
  }
}
