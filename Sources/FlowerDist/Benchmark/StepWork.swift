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
  /// last layer computes keys and values for all rows and the rest for the outputs. The backward pass does twice that.
  ///
  /// - Parameters:
  ///   - prompts: what of the forest was computed before titles were sampled; `nil` where none are.
  ///   - choices: what was when the last choice had been made.
  init(
    _ c: ModelConfiguration, _ forest: Forest, _ readouts: Readouts, prompts: Forest.Extent? = nil,
    choices: Forest.Extent? = nil
  ) {
    let h = Double(c.hiddenSize)
    let keyValue = 2 * h * 2 * Double(c.kvDim)
    let others = 2 * h * (2 * Double(c.queryDim) + 3 * Double(c.intermediateSize))
    let pair = 4 * Double(c.queryDim)
    func operations(_ extent: Forest.Extent) -> Double {
      let rows = Double(extent.rows)
      let queries = Double(extent.queries)
      let everyPair = (0..<extent.rows).reduce(0) { $0 + forest.visibleRows($1) }
      let queryPairs = forest.queryRows.prefix(extent.queries).reduce(0) { $0 + forest.visibleRows(Int($1)) }
      return Double(c.layers) * rows * keyValue + (Double(c.layers - 1) * rows + queries) * others
        + pair * (Double(c.layers - 1) * Double(everyPair) + Double(queryPairs))
    }
    let all = operations(forest.extent)
    forward = prompts.map(operations) ?? all
    sampling = (choices.map(operations) ?? all) - forward
    branches = all - forward - sampling
    backward = 2 * all
    // One product forward and two backward, over the tokens that each readout is normalised over.
    let logits = readouts.vocabulary.count * c.vocabularySize + readouts.optionLogits
    head = 3 * 2 * h * Double(logits)
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
