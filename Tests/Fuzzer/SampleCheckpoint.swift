import CCrypto
import FlowerDist

/// A run with a checkpoint after its second step, as training of a tiny model leaves it: optimizer shards of two ranks
/// and a replay buffer.
enum SampleCheckpoint {
  static let step = 2
  private static let titles = ["One", "Two", "The cat", "The lost harbour"]
  /// Within the run's directory.
  static let path = "run/checkpoints/step-00000002"
  static let manifest = "\(path)/manifest.json"
  static let state = "\(path)/trainer/state.json"
  static let replay = "\(path)/trainer/replay.jsonl"
  static let shards = (0..<2).map { "\(path)/trainer/optimizer-0000\($0)-of-00002.safetensors" }

  /// The recipe of the run.
  /// - Parameter directory: where the files are.
  static func recipe(_ directory: String) -> Recipe {
    let c = SampleModel.configuration
    var recipe = Recipe()
    recipe.name = "run"
    recipe.runs = directory
    recipe.data.path = "\(directory)/data"
    recipe.model.hiddenSize = c.hiddenSize
    recipe.model.layers = c.layers
    recipe.model.heads = c.heads
    recipe.model.kvHeads = c.kvHeads
    recipe.model.intermediateSize = c.intermediateSize
    recipe.prompt.template = "A title:"
    recipe.tokenizer.vocabularySize = c.vocabularySize
    recipe.trajectories.source = Recipe.Mixture([
      .init(.length, .falling(from: 1, to: 0.1, step: 0.1, interval: 1, loss: 2.5)), .init(.replay, .constant(0.5)),
      .init(.policy, .constant(0.5)),
    ])!
    recipe.trajectories.count = 2
    recipe.replay.capacity = 8
    recipe.training.globalBatch = 2
    recipe.training.grains = 2
    recipe.training.steps = step + 1
    recipe.checkpoint.every = 0
    return recipe
  }

  static let input: FuzzInput = {
    var input = FuzzInput([])
    for file in SampleModel.directory(sharded: false).files where file.name != "generation_config.json" {
      input["\(path)/\(file.name)"] = file.bytes
    }
    for (rank, shard) in shards.enumerated() { input[shard] = optimizer(rank: rank) }
    input[state] = stateFile.serialized(pretty: true)
    input[replay] = Array(
      """
      {"prompt":0,"leaf":0,"step":1,"priority":0.25}
      {"prompt":0,"leaf":2,"step":2,"priority":3}

      """.utf8)
    input["run/metrics.jsonl"] = Array("{\"step\":1,\"loss\":2}\n{\"step\":2,\"loss\":1}\n{\"step\":3,\"lo".utf8)
    input["data/title_counts.jsonl"] = titles.enumerated().flatMap { index, title in
      (["title": .string(title), "count": JSON(index + 1)] as JSON).serialized() + [0x0A]
    }
    describe(&input)
    input["run/logs/attempt-1/starting.json"] = attempt(input)
    return input
  }()

  /// Half of every parameter, both moments.
  private static func optimizer(rank: Int) -> [UInt8] {
    SafeTensorsImage(
      tensors: ParameterLayout(SampleModel.configuration).parameters.flatMap { parameter in
        let half = rank == 0 ? 0..<parameter.count / 2 : parameter.count / 2..<parameter.count
        return ["exp_avg", "exp_avg_sq"].map {
          SafeTensors.Entry(
            name: "\(parameter.name)/\(half.lowerBound):\(half.upperBound)/\($0)", dtype: .f32, shape: [half.count])
        }
      }
    ).bytes
  }

  /// What differs from the default decides the course; the rest may be left out.
  private static let stateFile: JSON = {
    let data = Dataset(name: "", titles: titles, weights: titles.indices.map { Double($0 + 1) })
    let outside = ["name", "runs", "data", "checkpoint"]
    let values = Self.values(of: recipe("")).filter { key, value in
      !outside.contains(String(key.prefix { $0 != "." })) && !defaults.contains { $0.key == key && $0.value == value }
    }
    return [
      "format_version": 1, "step": JSON(step), "seconds": 1.5, "ranks": 2, "best": 2.5, "best_step": 1,
      "validations_since_best": 1, "trajectories": ["falls": 1, "loss": 0.5, "count": 2],
      "skipped": ["all": 1, "in_a_row": 0], "data_sha256": .string(data.digest),
      "recipe": .object(values.map { JSON.Member($0.key, .string($0.value)) }),
    ]
  }()

  private static let defaults = values(of: Recipe())

  /// Keys and values as the recipe writes them.
  private static func values(of recipe: Recipe) -> [(key: String, value: String)] {
    var section = ""
    return recipe.yaml.split(separator: "\n").compactMap { line in
      let parts = line.split(separator: ": ", maxSplits: 1).map(String.init)
      if parts.count == 1 {
        section = line.dropLast() + "."
        return nil
      }
      return line.hasPrefix("  ") ? (section + parts[0].dropFirst(2), parts[1]) : (parts[0], parts[1])
    }
  }

  /// Makes the manifest anew for the files that are there, so that damage to them is not found by it.
  static func describe(_ input: inout FuzzInput) {
    let files = input.files.filter { $0.name.hasPrefix("\(path)/") && $0.name != manifest }
      .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    let entries = files.map { file -> JSON in
      [
        "path": .string(String(file.name.dropFirst(path.count + 1))), "size": JSON(file.bytes.count),
        "sha256": .string(sha256(file.bytes)),
      ]
    }
    input[manifest] = (["format_version": 1, "step": JSON(step), "files": .array(entries)] as JSON).serialized()
  }

  /// The record of an attempt that came to nothing.
  private static func attempt(_ input: FuzzInput) -> [UInt8] {
    (["checkpoint": .string(path), "manifest_sha256": .string(sha256(input[manifest]))] as JSON).serialized()
  }

  private static func sha256(_ bytes: [UInt8]) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil)
    return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
