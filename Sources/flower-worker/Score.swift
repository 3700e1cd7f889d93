import ArgumentParser
import FlowerDist

struct Score: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Log-probabilities, losses and gradient norms of given tokens.",
    discussion: """
      The input is a JSON object with "sequences", of which the log-probability
      of every token is written, or "trajectories" and "objective", of which
      rewards, residuals, losses and, with "gradients": true, the norm of every
      parameter's gradient are; docs/formats.md has the keys.
      """)

  @Option(help: "A model directory, a checkpoint, or a run.")
  var model: String

  @Option(help: ArgumentHelp("What to score.", valueName: "file.json"))
  var input: String

  @Option(help: ArgumentHelp("Where the scores go.", valueName: "file.json"))
  var output: String

  @OptionGroup var products: ArithmeticOption

  func run() throws {
    let ranks = try Ranks.join()
    try ranks.together {
      guard ranks.isRoot else { return }
      let result = try Scorer.result(model: model, input: input, arithmetic: products.arithmetic)
      try AtomicFile.write(result.json.serialized() + [0x0A], to: output)
    }
  }
}
