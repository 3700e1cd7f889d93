/// A transformer with its LM head on forests: scores what is read, and walks back the gradient of the scores.
///
/// A forest is computed in one or several passes: ``begin(rows:queries:training:)``, then ``score(_:_:)`` each time it
/// has grown, and at last, while training, ``backward(_:_:gradient:into:)`` over all of it.
public final class LanguageModel {
  public let transformer: Transformer
  /// Seconds by phase of a step, for `bench`; whoever does the rest of the step adds its phases.
  let clock: PhaseClock
  private let head: Head
  private var training: Activations?
  private var inference: Activations?
  private var current: Activations?
  private var dHidden = FloatArena(count: 0)
  private let keeping: Activations.Keeping
  private let packedWeights = PackedWeights(limit: PackedWeights.modelLimit)
  private var hasConstantWeights = false
  /// What is computed of the forest.
  private(set) var computed = Forest.Extent()

  /// - Parameter checkpointing: whether training keeps only each layer's input and computes the layer again on the way
  ///   back: a third more arithmetic, a sixth of the activations.
  public convenience init(_ transformer: Transformer, checkpointing: Bool = false) {
    self.init(transformer, checkpointing: checkpointing, clock: PhaseClock())
  }

  init(_ transformer: Transformer, checkpointing: Bool, clock: PhaseClock) {
    self.transformer = transformer
    self.clock = clock
    keeping = checkpointing ? .inputs : .everything
    head = Head(transformer)
  }

  public var configuration: ModelConfiguration { transformer.configuration }

  private var outputEmbedding: FloatPointer { FloatPointer(transformer.weights.base + transformer.layout.head) }

  /// Runs `body`, in which no weight changes however many forests there are: inference is faster then.
  func withConstantWeights<Value>(_ body: () throws -> Value) rethrows -> Value {
    packedWeights.forget()
    hasConstantWeights = true
    defer {
      hasConstantWeights = false
      packedWeights.forget()
    }
    return try body()
  }

  /// Starts a forest that will grow to at most `rows` rows and `queries` outputs, with weights that stay as they are till it is
  /// complete. For inference, only keys and values are kept between layers.
  public func begin(rows: Int, queries: Int, training isTraining: Bool) {
    if let kept = isTraining ? training : inference, kept.rowCapacity >= rows, kept.queryCapacity >= queries {
      current = kept
    } else {
      let spare = (isTraining ? training : inference) == nil ? 0 : rows / 4
      // The old ones go before the new ones come.
      current = nil
      if isTraining { training = nil } else { inference = nil }
      current = Activations(
        configuration, rows: rows + spare, queries: queries + spare, keeping: isTraining ? keeping : .nothing)
      if isTraining { training = current } else { inference = current }
    }
    computed = Forest.Extent()
    head.begin()
    if !hasConstantWeights { packedWeights.forget() }
    transformer.packedWeights = isTraining ? nil : packedWeights
  }

  /// Computes rows and outputs that are new since the last call.
  ///
  /// - Parameter phase: what their time counts as.
  func extend(_ forest: Forest, phase: PhaseClock.Phase = .forward) {
    guard let current else { preconditionFailure("begin comes before extend") }
    clock.measure(phase) {
      transformer.forward(forest, into: current, firstRow: computed.rows, firstQuery: computed.queries)
    }
    computed = forest.extent
  }

  /// The logits of some tokens at an output that is computed.
  func logits(_ query: Int, _ tokens: some Sequence<Int32>) -> [Float] {
    guard let current else { preconditionFailure("begin comes before logits") }
    return head.logits(current.hidden.base + query * configuration.hiddenSize, tokens, embedding: outputEmbedding)
  }

  /// Computes rows and readouts that are new since the last call and returns the log-probabilities of all of `readouts`.
  public func score(_ forest: Forest, _ readouts: Readouts) -> [Double] { score(forest, readouts, phase: .forward) }

  func score(_ forest: Forest, _ readouts: Readouts, phase: PhaseClock.Phase) -> [Double] {
    guard let current else { preconditionFailure("begin comes before score") }
    extend(forest, phase: phase)
    return clock.measure(.head) {
      head.forward(
        readouts, hidden: current.hidden.base, embedding: outputEmbedding, packed: transformer.packedWeights)
    }
  }

  /// Computes a whole forest at once.
  public func score(_ titles: TitleForest, training: Bool) -> [Double] {
    begin(rows: titles.forest.rowCount, queries: titles.forest.queryCount, training: training)
    return score(titles.forest, titles.readouts)
  }

  /// Calls `body` with every output's log-probabilities over the whole vocabulary, one output at a time, after ``score``.
  public func forEachDistribution(_ forest: Forest, _ body: (_ query: Int, _ logProbabilities: [Double]) -> Void) {
    guard let current else { preconditionFailure("begin comes before the distributions") }
    head.forEachDistribution(
      queries: forest.queryCount, hidden: current.hidden.base, embedding: outputEmbedding, body)
  }

  /// Adds to `arena`, laid out as what is trained, the gradient of a loss whose derivatives by the log-probabilities are
  /// `gradient`.
  ///
  /// - Parameter progress: called every few products with the offset from which on `arena` is complete.
  public func backward(
    _ forest: Forest, _ readouts: Readouts, gradient: [Double], into arena: FloatArena,
    progress: ((_ completeFrom: Int) -> Void)? = nil
  ) {
    guard let current, current.keeping != .nothing else {
      preconditionFailure("the forest was not scored for training")
    }
    let count = forest.queryCount * configuration.hiddenSize
    if dHidden.count < count { dHidden = FloatArena(count: count + count / 4) }
    clock.measure(.head) {
      dHidden.base.update(repeating: 0, count: count)
      head.backward(
        readouts, gradient: gradient, hidden: current.hidden.base,
        embedding: outputEmbedding, dHidden: dHidden.base, dEmbedding: transformer.dense(arena, transformer.layout.head)
      )
    }
    clock.measure(.backward) {
      transformer.backward(forest, current, dHidden: dHidden.base, gradient: arena, progress: progress)
    }
  }
}
