import ArgumentParser
import FlowerDist

struct Explain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "How a title's reward and probability are split over its tokens.",
    discussion: """
      A row for each choice on the way through the tree of titles: the flow
      that is left (the share of all rewards that begin like this), the reward
      r of the token (the share of the flow that it keeps), the probability π
      that the model gives it, and the residual ln π/r, which training drives
      to zero. Forced tokens, without another option, share a row.
      """)

  @OptionGroup var options: ModelOptions

  @Option(help: "The title, exactly as the catalogue has it.")
  var item: String

  @Option(parsing: .upToNextOption, help: "Titles that the user has seen, oldest first.")
  var history: [String] = []

  @Flag(help: "Print JSON, with a step for each token.")
  var json = false

  func run() throws {
    let ranks = try Ranks.join()
    let served = try options.load(ranks)
    let explanation = try ranks.together {
      try Explanation(served.catalogue, LanguageModel(served.transformer), title: item, history: history)
    }
    guard ranks.isRoot else { return }
    print(json ? String(decoding: explanation.json.serialized(pretty: true), as: UTF8.self) : explanation.table)
  }
}
