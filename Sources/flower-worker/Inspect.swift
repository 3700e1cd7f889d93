import ArgumentParser
import FlowerDist

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Describe a dataset, a model, a checkpoint or a run in words.",
    discussion: """
      Sizes, statistics and problems; of a checkpoint whether its files are
      whole; with a tokenizer and data, the tree of the titles. Ends with an
      error if something is damaged.

      --rewards writes the token rewards of a dataset's titles, {"first":
      {"9": ln r, ...}, "9-4": {"198": 0.0}, ...}: raw counts, without titles
      that never occur in a training history, "\\n" ending a title.
      """)

  @Argument(help: "A dataset directory, a model directory, a checkpoint or a run.")
  var path: String

  @Option(
    help: ArgumentHelp(
      "Of a dataset: show its tree under this tokenizer.json or tiktoken rank file.", valueName: "path"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("Of a dataset: write the table of token rewards.", valueName: "file.json"))
  var rewards: String?

  @Option(help: "Tokens that are one step of the table.")
  var granularity = 1

  @Option(help: "Of a model: show the tree of this dataset directory; of a run, its own unless given.")
  var data: String?

  func validate() throws {
    if rewards != nil && tokenizer == nil { throw ValidationError("--rewards needs --tokenizer") }
    if granularity < 1 { throw ValidationError("--granularity must be at least 1") }
  }

  func run() throws {
    let ranks = try Ranks.join()
    try ranks.together {
      guard ranks.isRoot else { return }
      let inspection = try Inspection(path: path, tokenizer: tokenizer, data: data)
      print(inspection)
      if let damage = inspection.damage { throw damage }
      guard let rewards, let tokenizer else { return }
      let table = try RewardTable(
        Dataset(directory: path), tokenizer: Tokenizer(contentsOf: tokenizer), granularity: granularity)
      try table.write(to: rewards)
      print("\n\(rewards): rewards of \(table.stateCount) states and \(table.titleCount) titles")
    }
  }
}
