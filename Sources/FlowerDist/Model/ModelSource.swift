/// Where a model's files are: a model directory, or that of an adapter and the one of the model that it adapts.
struct ModelSource {
  let directory: String
  /// Of the adapted model; `nil` where `directory` holds a model.
  let base: String?
  let configuration: ModelConfiguration
  let weights: ModelWeights

  /// Finds the files and checks them against each other, before any memory is set aside for what they describe.
  /// - Parameter base: of an adapter: where its model is, instead of where its file says.
  /// - Throws: `FlowerError` of kind `data` naming the file.
  init(_ directory: String, base: String? = nil) throws {
    self.directory = directory
    self.base = Adapter.isHeld(by: directory) ? try base ?? Adapter.base(of: directory) : nil
    if let base = self.base, Adapter.isHeld(by: base) {
      throw FlowerError(
        .data, "\(base.quoted): is an adapter itself; expected the directory of the model that \(directory) adapts")
    }
    let place = self.base ?? directory
    configuration = try ModelConfiguration(directory: place)
    weights = try ModelWeights(directory: place)
    try weights.check(ParameterLayout(configuration))
  }

  /// The directory of the weights.
  var place: String { base ?? directory }
}
