import Foundation
import Testing

@testable import FlowerDist

@Suite struct OptimizerShardsTests {
  /// Optimizers of all ranks after two updates.
  static func trained(_ ranks: Int) -> [AdamW] {
    let optimizers = AdamWTests.optimizers(ranks)
    let weights = AdamWTests.weights()
    for step in 1...2 { AdamWTests.update(optimizers, weights, step: step) }
    return optimizers
  }

  static func write(
    _ optimizers: [AdamW], _ scratch: ScratchDirectory, list: ParameterList = AdamWTests.list
  ) throws {
    try Directory.create(scratch("trainer"))
    for (rank, optimizer) in optimizers.enumerated() {
      try OptimizerShards.write(optimizer.shards, list, rank: rank, of: optimizers.count, directory: scratch.path)
    }
  }

  static func read(_ ranks: Int, from writers: Int, _ scratch: ScratchDirectory) throws -> [AdamW] {
    let optimizers = AdamWTests.optimizers(ranks)
    for optimizer in optimizers {
      try OptimizerShards.read(optimizer.shards, AdamWTests.list, ranks: writers, directory: scratch.path)
    }
    return optimizers
  }

  /// Both moments of the whole model, put together from all ranks.
  static func moments(_ optimizers: [AdamW]) -> [UInt32] {
    let count = AdamWTests.list.count
    var result = [UInt32](repeating: .max, count: 2 * count)
    for shard in optimizers.flatMap(\.shards) {
      for index in shard.range {
        result[index] = shard.mean.base[index - shard.range.lowerBound].bitPattern
        result[count + index] = shard.variance.base[index - shard.range.lowerBound].bitPattern
      }
    }
    return result
  }

  @Test(arguments: [1, 2, 3, 8], [1, 2, 5, 8]) func anyNumberOfRanksReadsThem(writers: Int, readers: Int) throws {
    let scratch = try ScratchDirectory()
    let optimizers = Self.trained(writers)
    try Self.write(optimizers, scratch)
    let restored = try Self.read(readers, from: writers, scratch)
    let same = Self.moments(restored) == Self.moments(optimizers)
    #expect(same)
    // The next update is the same too.
    let (a, b) = (AdamWTests.weights(), AdamWTests.weights())
    AdamWTests.update(optimizers, a, step: 3)
    AdamWTests.update(restored, b, step: 3)
    let sameWeights = zip(a.all, b.all).allSatisfy { $0.bitPattern == $1.bitPattern }
    #expect(sameWeights)
  }

  @Test func aMissingFileIsNamed() throws {
    let scratch = try ScratchDirectory()
    try Self.write(Self.trained(3), scratch)
    let missing = scratch(OptimizerShards.fileName(rank: 1, of: 3))
    try FileManager.default.removeItem(atPath: missing)
    let error = flowerError { _ = try Self.read(2, from: 3, scratch) }
    #expect(error?.kind == .data && error?.description.contains(missing) == true, "\(String(describing: error))")
  }

  /// The second half of the state is missing and the first there twice: as many numbers as there should be.
  @Test(arguments: [1, 2]) func aFileInThePlaceOfAnother(readers: Int) throws {
    let scratch = try ScratchDirectory()
    // An even number of whole blocks, so that both ranks own equally much.
    let list = ParameterLayout(
      ModelConfiguration(
        architecture: .llama, vocabularySize: 4096, hiddenSize: 4, layers: 0, heads: 1, kvHeads: 1, headDim: 2,
        intermediateSize: 4, attentionBias: false, tieEmbeddings: true, ropeTheta: 10_000, rmsNormEps: 1e-6)
    ).list
    func optimizer(_ rank: Int, of ranks: Int) -> AdamW {
      let plan = ReductionPlan(count: list.count - 4, grains: 8, ranks: ranks)
      return AdamW(AdamWTests.recipe, list: list, plan: plan, rank: rank)
    }
    try Directory.create(scratch("trainer"))
    for rank in 0..<2 {
      try OptimizerShards.write(optimizer(rank, of: 2).shards, list, rank: rank, of: 2, directory: scratch.path)
    }
    let files = (0..<2).map { scratch(OptimizerShards.fileName(rank: $0, of: 2)) }
    try FileManager.default.removeItem(atPath: files[1])
    try FileManager.default.copyItem(atPath: files[0], toPath: files[1])
    var errors: [FlowerError?] = []
    for rank in 0..<readers {
      errors.append(
        flowerError {
          try OptimizerShards.read(optimizer(rank, of: readers).shards, list, ranks: 2, directory: scratch.path)
        })
    }
    #expect(errors.allSatisfy { $0?.kind == .data }, "\(errors)")
  }

  @Test func shardsOfAnotherModelAreRefused() throws {
    let scratch = try ScratchDirectory()
    let other = ParameterLayout(
      ModelConfiguration(
        architecture: .llama, vocabularySize: 1501, hiddenSize: 21, layers: 3, heads: 3, kvHeads: 1, headDim: 6,
        intermediateSize: 37, attentionBias: false, tieEmbeddings: false, ropeTheta: 10_000, rmsNormEps: 1e-6)
    ).list
    let plan = ReductionPlan(count: other.count, grains: 8, ranks: 1)
    try Self.write([AdamW(AdamWTests.recipe, list: other, plan: plan, rank: 0)], scratch, list: other)
    let error = flowerError { _ = try Self.read(1, from: 1, scratch) }
    #expect(error?.kind == .data)
    #expect(error?.description.contains("is no optimizer state of this model") == true, "\(String(describing: error))")
    #expect(error?.description.hasPrefix(scratch(OptimizerShards.fileName(rank: 0, of: 1))) == true)
  }

  @Test func aShardThatLacksAParameterIsRefused() throws {
    let scratch = try ScratchDirectory()
    // The same model without its last layer: every tensor is known, but they are not all there.
    let smaller = ParameterLayout(
      ModelConfiguration(
        architecture: .qwen2, vocabularySize: 1501, hiddenSize: 21, layers: 1, heads: 3, kvHeads: 1, headDim: 6,
        intermediateSize: 37, attentionBias: true, tieEmbeddings: true, ropeTheta: 10_000, rmsNormEps: 1e-6)
    ).list
    let plan = ReductionPlan(count: smaller.count, grains: 8, ranks: 1)
    try Self.write([AdamW(AdamWTests.recipe, list: smaller, plan: plan, rank: 0)], scratch, list: smaller)
    let error = flowerError { _ = try Self.read(1, from: 1, scratch) }
    #expect(error?.kind == .data && error?.description.contains("missing") == true, "\(String(describing: error))")
  }

  @Test func fileNames() {
    #expect(OptimizerShards.fileName(rank: 3, of: 12) == "trainer/optimizer-00003-of-00012.safetensors")
    #expect(OptimizerShards.fileName(rank: 123_456, of: 200_000) == "trainer/optimizer-123456-of-200000.safetensors")
  }
}
