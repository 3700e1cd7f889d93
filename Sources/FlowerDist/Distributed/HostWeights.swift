/// The weights of a model that nobody will change, once per host where its ranks can share memory.
public struct HostWeights {
  /// Of the model.
  let directory: String
  let weights: FloatArena
  /// Element type of the weights in their file.
  let storedType: SafeTensors.DType
  /// ``Transformer/frozenDigest``.
  let digest: String

  /// Collective. Reads the model of `directory`, or the one that an adapter there belongs to, on one rank of each host.
  ///
  /// - Returns: `nil` on every rank where each has to read its own.
  /// - Throws: on every rank, what the reading rank throws.
  public static func load(_ directory: String, _ communicator: any Communicator) throws -> HostWeights? {
    if communicator.size == 1 { return nil }
    let source = try communicator.together { try ModelSource(directory) }
    let count = Int64(ParameterLayout(source.configuration).count)
    // What follows is collective only where all mean the same model.
    let bounds = communicator.max([count, -count])
    guard bounds[0] == -bounds[1], let floats = communicator.shareWithinHosts(Int(count)) else { return nil }
    let transformer = Transformer(source.configuration, weights: floats)
    let isFirst = communicator.firstOnHost == communicator.rank
    let storedType = try communicator.together {
      try isFirst ? transformer.readWeights(source.weights) : transformer.storedType(source.weights)
    }
    let digests = communicator.gather(isFirst ? Array(transformer.frozenDigest.utf8) : [])
    return HostWeights(
      directory: source.place, weights: floats, storedType: storedType,
      digest: String(decoding: digests[communicator.firstOnHost], as: UTF8.self))
  }
}
