import ArgumentParser
import FlowerDist

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Describe a dataset in words: sizes, statistics, problems.")

  @Argument(help: "A dataset directory.")
  var path: String

  func run() throws {
    let dataset = try Dataset(directory: path)
    let problems = try DatasetManifest(directory: path)?.problems ?? dataset.problems()
    print(DatasetSummary(dataset, problems: problems))
  }
}
