/// Floating-point operations that a step needs, by phase: what its speed is measured by.
///
/// Products count two operations per multiply-add; norms, activations and softmax count nothing. What an implementation
/// computes twice or masks away counts once or not at all, so that doing less is never slower.
struct StepWork {
  var forward = 0.0
  var sampling = 0.0
  var branches = 0.0
  var head = 0.0
  var backward = 0.0

  var total: Double { forward + sampling + branches + head + backward }

  /// Forward and backward of a forest: per row 2 operations per weight, per query head and visible row 4 · headDim; the
  /// last layer computes keys and values for all rows and the rest for the outputs. The backward pass does twice that; below
  /// adapters it does once what the weights count, which stay as they are, and nothing for those of the first layer's q, k, v.
  ///
  /// - Parameters:
  ///   - adapterRank: of the adapters of all linear layers; 0: the weights themselves are trained.
  ///   - prompts: what of the forest was computed before titles were sampled; `nil` where none are.
  ///   - choices: what was when the last choice had been made.
  init(
    _ c: ModelConfiguration, adapterRank: Int = 0, _ forest: Forest, _ readouts: Readouts, prompts: Forest.Extent? = nil,
    choices: Forest.Extent? = nil
  ) {
    let layers = Double(c.layers)
    /// Of all layers, given what the matrices of k and v take for a row, and those of the rest.
    func linear(_ extent: Forest.Extent, _ cost: (Module) -> Int) -> Double {
      let keyValue = cost(.k) + cost(.v)
      let others = Module.allCases.reduce(0) { $0 + cost($1) } - keyValue
      return layers * Double(extent.rows * keyValue)
        + ((layers - 1) * Double(extent.rows) + Double(extent.queries)) * Double(others)
    }
    func weights(_ extent: Forest.Extent) -> Double {
      linear(extent) { 2 * $0.width(c).input * $0.width(c).output }
    }
    func adapters(_ extent: Forest.Extent) -> Double {
      linear(extent) { 2 * adapterRank * ($0.width(c).input + $0.width(c).output) }
    }
    func attention(_ extent: Forest.Extent) -> Double {
      let everyPair = (0..<extent.rows).reduce(0) { $0 + forest.visibleRows($1) }
      let queryPairs = forest.queryRows.prefix(extent.queries).reduce(0) { $0 + forest.visibleRows(Int($1)) }
      return 4 * Double(c.queryDim) * ((layers - 1) * Double(everyPair) + Double(queryPairs))
    }
    func operations(_ extent: Forest.Extent) -> Double { weights(extent) + adapters(extent) + attention(extent) }
    let all = operations(forest.extent)
    forward = prompts.map(operations) ?? all
    sampling = (choices.map(operations) ?? all) - forward
    branches = all - forward - sampling
    // Over the tokens that each readout is normalised over.
    let logits = 2 * c.hiddenSize * (readouts.vocabulary.count * c.vocabularySize + readouts.optionLogits)
    if adapterRank > 0 {
      let queries = c.layers == 1 ? forest.extent.queries : forest.extent.rows
      let first = 2 * c.hiddenSize * (c.queryDim * queries + 2 * c.kvDim * forest.extent.rows)
      backward = weights(forest.extent) - Double(first) + 2 * (adapters(forest.extent) + attention(forest.extent))
      head = 2 * Double(logits)
    } else {
      backward = 2 * all
      head = 3 * Double(logits)
    }
  }

  /// The operations of a phase, `nil` where nothing is counted.
  func operations(_ phase: PhaseClock.Phase) -> Double? {
    switch phase {
    case .forward: forward
    case .sampling: sampling
    case .branches: branches
    case .head: head
    case .backward: backward
    default: nil
    }
  }
}
