/// The weights of a model that nobody will change, once per host where its ranks can share memory.
public struct HostWeights {
  /// Of the model.
  let directory: String
  let weights: FloatArena
  /// Element type of the weights in their file.
  let storedType: SafeTensors.DType

  /// Collective. Reads the model of `directory`, or the one that an adapter there belongs to, on one rank of each host;
  /// `nil` where every rank reads its own.
  ///
  /// - Throws: on every rank, what the reading rank throws.
  public static func load(_ directory: String, _ communicator: any Communicator) throws -> HostWeights? {
    if communicator.size == 1 { return nil }
    var base = directory
    var counts: [Int64] = []
    try communicator.together {
      base = try Adapter.base(of: directory) ?? directory
      let layout = ParameterLayout(try ModelConfiguration(directory: base))
      // Before memory is set aside for what the configuration says.
      try ModelWeights(directory: base).check(layout)
      let count = Int64(layout.count)
      counts = [count, -count]
    }
    // What follows is collective only where all mean the same model.
    let bounds = communicator.max(counts)
    guard bounds[0] == -bounds[1], let shared = communicator.shareWithinHosts(Int(bounds[0])) else { return nil }
    let storedType = try communicator.together {
      let transformer = Transformer(try ModelConfiguration(directory: base), weights: shared.floats)
      let source = try ModelWeights(directory: base)
      return try shared.isFirst ? transformer.readWeights(source) : transformer.storedType(source)
    }
    return HostWeights(directory: base, weights: shared.floats, storedType: storedType)
  }
}
