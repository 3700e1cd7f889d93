import FlowerDist

extension FuzzTarget {
  /// A whole model directory, then the probabilities of a few tokens.
  static let model = FuzzTarget(
    name: "model",
    seeds: [SampleModel.directory(sharded: false), SampleModel.directory(sharded: true)],
    mutate: { seed, donor, random in
      var input = seed
      repeat { mutateModel(&input, donor, &random) } while random.chance(1, in: 4)
      return input
    },
    read: { directory in
      try use(ModelDirectory(contentsOf: directory, keepingSideFiles: true))
    })

  /// An adapter, the model that it belongs to in a folder beside it.
  static let adapter = FuzzTarget(
    name: "adapter",
    seeds: [SampleModel.adapter],
    mutate: { seed, donor, random in
      var input = seed
      let configuration = "adapter_config.json"
      if random.chance(1, in: 2) {
        input[configuration] = JSONMutation.apply(to: input[configuration], donor: donor[configuration], &random)
      } else {
        let weights = "adapter_model.safetensors"
        input[weights] = SafeTensorsImage.mutate(input[weights], donor: donor["base/model.safetensors"], &random)
      }
      return input
    },
    read: { directory in try use(ModelDirectory(contentsOf: directory)) })

  private static func use(_ model: ModelDirectory) throws {
    var forest = Forest()
    var readouts = Readouts()
    var row = forest.addTrunk([1, 2])
    row = forest.addRow(3, after: row)
    let set = readouts.addSet([4])
    _ = readouts.add(query: forest.read(row), set: set, support: .vocabulary)
    let language = LanguageModel(model.transformer)
    language.begin(rows: forest.rowCount, queries: forest.queryCount, training: false)
    _ = language.score(forest, readouts)
    _ = model.tokenizer.encode("the cat")
  }

  private static func mutateModel(_ input: inout FuzzInput, _ donor: FuzzInput, _ random: inout FuzzRandom) {
    switch random.below(8) {
    case 0, 1, 2: mutateWeights(&input, donor, &random)
    case 3, 4:
      input["config.json"] = JSONMutation.apply(to: input["config.json"], donor: donor["config.json"], &random)
    case 5:
      // A configuration that is good by itself, for other weights.
      guard let fields = (try? JSON(parsing: input["config.json"]))?.object else { return }
      let key = random.pick([
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
        "intermediate_size",
      ])
      let value = random.pick([1, 2, 3, 4, 8, 12, 64, 257, 1024, 65536, 1 << 20, 1 << 24])
      input["config.json"] = JSON.object(fields.map { $0.key == key ? JSON.Member(key, JSON(value)) : $0 }).serialized()
    default:
      let name = random.pick(["tokenizer.json", FlowerMetadata.fileName, "generation_config.json", indexFile])
      input[name] = JSONMutation.apply(to: input[name], donor: donor[name], &random)
    }
  }
}
