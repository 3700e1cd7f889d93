import ArgumentParser
import FlowerDist

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare every file of a checkpoint with its manifest.",
    discussion: """
      Prints a line for each file. Ends with exit code 3 if one is missing or
      damaged.
      """)

  @Argument(help: "A checkpoint, a model directory with a manifest, or a run: then all its checkpoints.")
  var path: String

  func run() throws {
    let ranks = try Ranks.join()
    try ranks.together {
      guard ranks.isRoot else { return }
      let verification = try Verification(path: path)
      for line in verification.lines { print(line) }
      if let damage = verification.damage { throw damage }
    }
  }
}
