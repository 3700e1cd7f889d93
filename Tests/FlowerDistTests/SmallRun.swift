@testable import FlowerDist

extension Recipe {
  /// A small model of bytes over 20 made-up titles without histories, from random weights unless `path` has others.
  static func small(_ path: String? = nil) -> Recipe {
    var recipe = Recipe()
    recipe.model.path = path
    recipe.model.hiddenSize = 16
    recipe.tokenizer.kind = .bytes
    recipe.data.generated = 20
    recipe.prompt.template = "A title:"
    return recipe
  }
}

extension RunSetup {
  /// Writes what training writes of the model into a checkpoint.
  func save(_ path: String) throws {
    try Directory.create(path)
    try modelDirectory.write(to: path, maximumPositions: maximumPositions)
  }
}
