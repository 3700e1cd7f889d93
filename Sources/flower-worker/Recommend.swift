import ArgumentParser
import FlowerDist
import Foundation

struct Recommend: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Titles for a history, with their probabilities.")

  @OptionGroup var options: ModelOptions

  @Option(parsing: .upToNextOption, help: "Titles that the user has seen, oldest first.")
  var history: [String] = []

  @Option(help: "Number of best titles.")
  var topK = 10

  @Option(help: "Sample this many titles instead, in proportion to their probability.")
  var samples: Int?

  @Flag(help: "Leave titles of the history out and renormalise.")
  var excludeHistory = false

  @Option(help: "Seed of the samples.")
  var seed: UInt64 = 1

  func validate() throws {
    guard topK > 0 else { throw ValidationError("--top-k: expected 1 or more, found \(topK)") }
    if let samples, samples <= 0 { throw ValidationError("--samples: expected 1 or more, found \(samples)") }
  }

  func run() throws {
    let ranks = try Ranks.join()
    let served = try options.load(ranks, loadsScore: false)
    let recommender = Recommender(served.catalogue, LanguageModel(served.transformer))
    let list = try ranks.together {
      try recommender.recommend(
        history: history, count: samples ?? topK, sampled: samples != nil, excludingHistory: excludeHistory, seed: seed)
    }
    if ranks.isRoot {
      for entry in list { print("\(String(format: "%8.4f %%", 100 * entry.probability))  \(entry.title)") }
    }
  }
}
