import ArgumentParser
import FlowerDist

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Train a model by a recipe, alone or under mpirun.")

  @Argument(help: "A recipe, RECIPE.yaml.")
  var recipe: String

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("Override a key of the recipe; may be repeated.", valueName: "key=value"))
  var overrides: [String] = []

  @Option(help: "The run's name; the recipe's unless given.")
  var name: String?

  @Option(help: ArgumentHelp("Go on from the newest whole checkpoint, or from this one.", valueName: "latest|PATH"))
  var resume: String?

  @Option(help: "How gradients travel between ranks, as communication.compress: none or bf16, for slow networks.")
  var compress: String?

  @Option(
    help: ArgumentHelp(
      "Ranks that only write titles of the policy for the others, as trajectories.samplers.", valueName: "N"))
  var samplers: Int?

  @Option(
    help: ArgumentHelp(
      "Save and end with code 130 after this time, such as 90m or 1d12h, and after the step that is being computed.",
      valueName: "time"))
  var timeLimit: TimeSpan?

  @Flag(help: "Print the resolved recipe, memory and step plan, and train nothing.")
  var dryRun = false

  func run() throws {
    TrainingLoop.catchSignals()
    let ranks = try Ranks.join()
    let recipe = try ranks.together {
      // A name is held to the same rules wherever it is given.
      let name = name.map { ["name='\($0.replacing("'", with: "''"))'"] } ?? []
      let flags =
        [compress.map { "communication.compress=\($0)" }, samplers.map { "trajectories.samplers=\($0)" }].compactMap { $0 }
      return try Recipe.read(path: self.recipe, overrides: overrides + name + flags)
    }
    if dryRun {
      let plan = try TrainingLoop.plan(recipe, ranks)
      if ranks.isRoot { print(plan) }
      return
    }
    let start: TrainingLoop.Start =
      switch resume {
      case nil: .fresh
      case "latest": .latest
      case .some(let path): .checkpoint(path)
      }
    try TrainingLoop(recipe, start: start, timeLimit: timeLimit?.seconds, ranks).train()
  }
}
