/// The optimizer state of a run in files of its ranks: `trainer/optimizer-00000-of-00002.safetensors`, …
///
/// Each rank writes the parts that it owns, keyed by parameter name, range and moment; any number of ranks can read them
/// back, each the parts that it owns then.
enum OptimizerShards {
  private static let moments = ["exp_avg", "exp_avg_sq"]

  static func fileName(rank: Int, of ranks: Int) -> String {
    SafeTensors.fileName("trainer/optimizer", rank, of: ranks)
  }

  /// A part of one parameter within one owned interval.
  private struct Piece {
    var parameter: ParameterList.Parameter
    /// Within the arena.
    var range: Range<Int>
    var shard: AdamW.Shard

    /// `name/start:end/exp_avg`, the range counted within the parameter.
    func key(_ moment: String) -> String {
      "\(parameter.name)/\(range.lowerBound - parameter.offset):\(range.upperBound - parameter.offset)/\(moment)"
    }

    func values(_ moment: Int) -> UnsafeMutableBufferPointer<Float> {
      let arena = moment == 0 ? shard.mean : shard.variance
      return arena.view(range.lowerBound - shard.range.lowerBound..<range.upperBound - shard.range.lowerBound)
    }
  }

  private static func pieces(_ shards: [AdamW.Shard], _ list: ParameterList) -> [Piece] {
    shards.flatMap { shard in
      list.parameters.compactMap { parameter in
        let range = parameter.range.clamped(to: shard.range)
        return range.isEmpty ? nil : Piece(parameter: parameter, range: range, shard: shard)
      }
    }
  }

  static func write(
    _ shards: [AdamW.Shard], _ list: ParameterList, rank: Int, of ranks: Int, directory: String
  ) throws {
    let pieces = pieces(shards, list)
    var writer = try SafeTensorsWriter(
      path: "\(directory)/\(fileName(rank: rank, of: ranks))",
      tensors: pieces.flatMap { piece in
        moments.map { SafeTensors.Entry(name: piece.key($0), dtype: .f32, shape: [piece.range.count]) }
      })
    for piece in pieces {
      for moment in moments.indices { try writer.write(UnsafeBufferPointer(piece.values(moment))) }
    }
    try writer.finish()
  }

  /// Fills the owned parts from the shards that `ranks` ranks wrote.
  static func read(_ shards: [AdamW.Shard], _ list: ParameterList, ranks: Int, directory: String) throws {
    let wanted = pieces(shards, list)
    var missing = wanted.reduce(0) { $0 + $1.range.count } * moments.count
    /// What each piece has of each moment, and of which rank.
    var filled = wanted.map { _ in moments.map { _ in [(range: Range<Int>, rank: Int)]() } }
    var byName: [String: ParameterList.Parameter] = [:]
    for parameter in list.parameters { byName[parameter.name] = parameter }
    for rank in 0..<ranks {
      let reader = try SafeTensorsReader(path: "\(directory)/\(fileName(rank: rank, of: ranks))")
      for tensor in reader.tensors {
        let (range, moment) = try parse(tensor, byName, reader.path)
        let overlapping = wanted.indices.filter { wanted[$0].range.overlaps(range) }
        if overlapping.isEmpty { continue }
        var values = [Float](repeating: 0, count: range.count)
        try values.withUnsafeMutableBufferPointer { try reader.read(tensor, into: $0) }
        for place in overlapping {
          let piece = wanted[place]
          let shared = piece.range.clamped(to: range)
          filled[place][moment].append((shared, rank))
          let target = piece.values(moment)
          for index in shared { target[index - piece.range.lowerBound] = values[index - range.lowerBound] }
          missing -= shared.count
        }
      }
    }
    for (piece, filled) in zip(wanted, filled) {
      for parts in filled {
        let parts = parts.sorted { $0.range.lowerBound < $1.range.lowerBound }
        for (part, next) in zip(parts, parts.dropFirst()) where part.range.upperBound > next.range.lowerBound {
          throw FlowerError(
            .data,
            "\(directory)/\(fileName(rank: next.rank, of: ranks)): holds numbers of \(piece.parameter.name) that are"
              + " there already")
        }
      }
    }
    guard missing == 0 else {
      throw FlowerError(
        .data,
        "\(directory)/trainer: the optimizer shards do not cover the model: \(missing) numbers are missing")
    }
  }

  /// The tensor's range within the arena and its moment.
  private static func parse(
    _ tensor: SafeTensors.Tensor, _ byName: [String: ParameterList.Parameter], _ path: String
  ) throws -> (Range<Int>, Int) {
    let parts = tensor.name.split(separator: "/")
    let bounds = parts.count == 3 ? parts[1].split(separator: ":").compactMap { Int($0) } : []
    guard parts.count == 3, let parameter = byName[String(parts[0])],
      let moment = moments.firstIndex(of: String(parts[2])), bounds.count == 2, 0 <= bounds[0],
      bounds[0] < bounds[1], bounds[1] <= parameter.count,
      tensor.shape == [bounds[1] - bounds[0]]
    else {
      throw FlowerError(.data, "\(path): tensor \(tensor.name.quoted) is no optimizer state of this model")
    }
    return (parameter.offset + bounds[0]..<parameter.offset + bounds[1], moment)
  }
}
