/// How fast this machine multiplies matrices and copies memory, here and now.
struct MachineCeiling {
  /// GFLOP/s of a series of products: all of their operations over the sum of their seconds.
  struct Rate {
    var median: Double
    var best: Double
    /// By the median of the processor time.
    var processor: Double
  }

  /// The products of one layer and of the LM head, forward and backward, in the step's own shapes.
  var step: Rate
  /// Square matrices of 1024.
  var square: Rate
  /// GB/s, read and written bytes together.
  var copy: Double

  init(_ c: ModelConfiguration, rows: Int, readouts: Int, repeats: Int) {
    let linears = [
      (c.hiddenSize, 2 * c.kvDim), (c.hiddenSize, c.queryDim), (c.queryDim, c.hiddenSize),
      (c.hiddenSize, 2 * c.intermediateSize), (c.intermediateSize, c.hiddenSize),
    ]
    var shapes: [(rows: Int, input: Int, output: Int)] = []
    for (input, output) in linears { shapes.append((rows, input, output)) }
    if readouts > 0 { shapes.append((readouts, c.hiddenSize, c.vocabularySize)) }
    step = Self.rate(shapes, repeats: repeats)
    square = Self.rate([(1024, 1024, 1024)], repeats: repeats)
    copy = Self.copyBandwidth(repeats: repeats)
  }

  /// A linear layer's product and its two gradients.
  private static func rate(_ shapes: [(rows: Int, input: Int, output: Int)], repeats: Int) -> Rate {
    var operations = 0.0
    var (median, best, processor) = (0.0, 0.0, 0.0)
    for (rows, input, output) in shapes {
      let x = filled(rows * input)
      let w = filled(input * output)
      let y = filled(rows * output)
      let products = [
        { Gemm.linear(x.base, weight: w.base, rows: rows, input: input, output: output, to: y.base) },
        { Gemm.linearInputGradient(y.base, weight: w.base, rows: rows, input: input, output: output, to: x.base) },
        { Gemm.linearWeightGradient(y.base, x: x.base, rows: rows, input: input, output: output, to: w.base) },
      ]
      for product in products {
        // Zeros, so that repeated accumulation cannot overflow.
        let seconds = Samples(repeats: repeats, product)
        operations += 2 * Double(rows) * Double(input) * Double(output)
        median += seconds.median
        best += seconds.minimum
        processor += seconds.processor
      }
    }
    return Rate(
      median: operations / median / 1e9, best: operations / best / 1e9, processor: operations / processor / 1e9)
  }

  private static func copyBandwidth(repeats: Int) -> Double {
    let count = 1 << 25
    let source = filled(count)
    let target = filled(count)
    let seconds = Samples(repeats: repeats) { target.base.update(from: source.base, count: count) }
    return 2 * 4 * Double(count) / seconds.median / 1e9
  }

  /// Zeros that are in memory: pages that nobody has written share one.
  private static func filled(_ count: Int) -> FloatArena {
    let arena = FloatArena(count: count)
    arena.zero()
    return arena
  }
}
