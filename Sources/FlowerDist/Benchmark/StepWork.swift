/// Floating-point operations that a step needs, by phase: what its speed is measured by.
///
/// Products count two operations per multiply-add; norms, activations and softmax count nothing. What an implementation
/// computes twice or masks away counts once or not at all, so that doing less is never slower.
struct StepWork {
  var forward = 0.0
  var head = 0.0
  var backward = 0.0

  var total: Double { forward + head + backward }

  /// Forward and backward of a forest: per row 2 operations per weight, per query head and visible row 4 · headDim; the
  /// last layer computes keys and values for all rows and the rest for the outputs. The backward pass does twice that.
  init(_ c: ModelConfiguration, _ forest: Forest, _ readouts: Readouts) {
    let h = Double(c.hiddenSize)
    let keyValue = 2 * h * 2 * Double(c.kvDim)
    let others = 2 * h * (2 * Double(c.queryDim) + 3 * Double(c.intermediateSize))
    let pair = 4 * Double(c.queryDim)
    let rows = Double(forest.rowCount)
    let queries = Double(forest.queryCount)
    let everyPair = (0..<forest.rowCount).reduce(0) { $0 + forest.visibleRows($1) }
    let queryPairs = forest.queryRows.reduce(0) { $0 + forest.visibleRows(Int($1)) }
    forward =
      Double(c.layers) * rows * keyValue + (Double(c.layers - 1) * rows + queries) * others
      + pair * (Double(c.layers - 1) * Double(everyPair) + Double(queryPairs))
    backward = 2 * forward
    // One product forward and two backward, over the tokens that each readout is normalised over.
    let logits = readouts.vocabulary.count * c.vocabularySize + readouts.optionLogits
    head = 3 * 2 * h * Double(logits)
  }

  /// The operations of a phase, `nil` where nothing is counted.
  func operations(_ phase: PhaseClock.Phase) -> Double? {
    switch phase {
    case .forward: forward
    case .head: head
    case .backward: backward
    default: nil
    }
  }
}
