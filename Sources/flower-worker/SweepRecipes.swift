import ArgumentParser
import FlowerDist

struct SweepRecipes: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sweep", abstract: "Train and compare the runs of a grid of recipe values and seeds.",
    discussion: """
      Every combination of the --over values, of every recipe and for every
      seed, is a run in a directory of its own, RUNS/NAME/RUN, and leaves a
      small row, RUNS/NAME/results/RUN.json. The same command again passes
      over what is done and goes on with what is not. A run that diverges is
      a row that says so.

      All runs are measured on the validation split, which selects the best
      setting of each recipe; the selected ones are measured on the test
      split too. Under mpirun all ranks train each run together.
      """)

  @Argument(help: "Recipes, RECIPE.yaml.")
  var recipes: [String]

  @Option(
    help: ArgumentHelp(
      "A key of the recipe and its values; may be repeated: every combination is run.", valueName: "key=a,b,…"))
  var over: [String] = []

  @Option(help: ArgumentHelp("Seeds. (default: that of the recipe)", valueName: "1,2,…"))
  var seeds: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("Override a key of the recipes for all runs; may be repeated.", valueName: "key=value"))
  var overrides: [String] = []

  @Option(help: "The sweep's name. (default: made of the recipes' names)")
  var name: String?

  @Option(
    help: ArgumentHelp(
      "What selects on the validation split. (default: ndcg@10; without histories total_variation)",
      valueName: "metric"))
  var select: String?

  @Option(help: "Which settings are measured on the test split: selected, all or none.")
  var test = Sweep.Tested.selected

  @Option(
    help: "Number of examples of each split, the first of a fixed permutation; 0 takes all. (default: the recipe's)")
  var examples: Int?

  func run() throws {
    TrainingLoop.catchSignals()
    let ranks = try Ranks.join()
    let plan = try ranks.together {
      try SweepPlan(
        recipes: recipes, over: over.map(SweepAxis.init(parsing:)), seeds: seedNumbers(),
        overrides: overrides + (examples.map { ["evaluation.examples=\($0)"] } ?? []), name: name)
    }
    var options = Sweep.Options()
    options.select = select
    options.tested = test
    if let table = try Sweep(plan, options, ranks).run() {
      print("\n\(table.text)")
      let differences = MethodComparison.table(table.differencesFromFirst)
      if !differences.isEmpty { print(differences) }
      print("rows: \(plan.results)")
    }
  }

  private func seedNumbers() throws -> [UInt64] {
    guard let seeds else { return [] }
    return try seeds.split(separator: ",", omittingEmptySubsequences: false).map { text in
      guard let seed = UInt64(text) else {
        throw FlowerError(.usage, "--seeds \(seeds): expected whole numbers with commas between")
      }
      return seed
    }
  }
}

extension Sweep.Tested: ExpressibleByArgument {}
