import FlowerDist
import Foundation

extension FuzzTarget {
  /// A recipe file, and what `--set` lays over it.
  static let recipe = FuzzTarget(
    name: "recipe",
    seeds: [
      seed(short), seed(short, overrides: ["training.steps=20", "name=other", "prompt.template=\"a: {history}\""]),
      seed(styles), seed(resolved.yaml),
    ],
    mutate: { seed, donor, random in
      var input = seed
      let overrides = input[overridesFile]
      if overrides.isEmpty || random.chance(3, in: 4) {
        input[recipeFile] = YAMLMutation.apply(to: input[recipeFile], donor: donor[recipeFile], &random)
      } else {
        input[overridesFile] = YAMLMutation.apply(to: overrides, donor: input[recipeFile], &random)
      }
      return input
    },
    read: { directory in
      let place = "\(directory)/\(overridesFile)"
      let text = try Data(contentsOf: URL(filePath: place))
      let overrides = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
      do {
        try check(Recipe.read(path: "\(directory)/\(recipeFile)", overrides: overrides))
      } catch let error as FlowerError {
        // The command line has no name.
        let lines = error.description.split(separator: "\n", omittingEmptySubsequences: false).map {
          $0.hasPrefix("--set ") ? "\(place): \($0)" : $0
        }
        throw FlowerError(error.kind, lines.joined(separator: "\n"))
      }
    },
    listsProblems: true)

  private static let recipeFile = "recipe.yaml"
  private static let overridesFile = "overrides"

  private static func seed(_ yaml: String, overrides: [String] = []) -> FuzzInput {
    var input = FuzzInput(recipeFile, yaml)
    input[overridesFile] = Array(overrides.joined(separator: "\n").utf8)
    return input
  }

  /// A recipe that was read is written as text that reads as itself.
  private static func check(_ recipe: Recipe) throws {
    guard try Recipe.read(yaml: recipe.yaml, file: "resolved.yaml") == recipe else {
      fatalError("a recipe that does not read as itself")
    }
    for step in [0, 1, 1 << 30] { _ = recipe.trajectories.source.shares(step: step, falls: step) }
  }

  private static let short = "data: {generated: 100}\ntraining: {steps: 10}\n"

  private static let styles = #"""
    # A comment.
    name: 'styles'
    model:   {hidden_size: 16, heads: 2, "kv_heads": 1}
    data:
      path: "a b/caf\u00e9"
      generated: 0 # none
    prompt:
      template: |-
        History: {history}
        Next:
      separator: ', '
    trajectories: {source: "weight 1 to 0.2 over 5-20, policy rest"}
    optimizer:
    training:
      epochs: 3
      steps: ~
      seed: 18446744073709551615
    """#

  private static let resolved: Recipe = {
    var recipe = Recipe()
    recipe.name = "resolved"
    recipe.data.generated = 100
    recipe.data.generatedExamples = 50
    recipe.prompt.template = "\"\t{history}\u{2028}\\\u{7}"
    recipe.training.steps = 7
    recipe.objective.name = .vargrad
    recipe.lora.targets = ModuleSet([.q, .v])
    return recipe
  }()
}
