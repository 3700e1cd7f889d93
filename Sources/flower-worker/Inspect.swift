import ArgumentParser
import FlowerDist

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Describe a dataset, a model, a checkpoint or a run in words.",
    discussion: """
      Sizes, statistics and problems; of a checkpoint whether its files are
      whole; with a tokenizer and data, the tree of the titles. Ends with an
      error if something is damaged.
      """)

  @Argument(help: "A dataset directory, a model directory, a checkpoint or a run.")
  var path: String

  @Option(help: ArgumentHelp("Of a dataset: show its tree under this tokenizer.", valueName: "tokenizer.json"))
  var tokenizer: String?

  @Option(help: "Of a model: show the tree of this dataset directory; of a run, its own unless given.")
  var data: String?

  func run() throws {
    let ranks = try Ranks.join()
    try ranks.together {
      guard ranks.isRoot else { return }
      let inspection = try Inspection(path: path, tokenizer: tokenizer, data: data)
      print(inspection)
      if let damage = inspection.damage { throw damage }
    }
  }
}
