import Testing

@testable import FlowerDist

/// What goes from a Hugging Face directory through checkpoints into an export.
@Suite struct ModelExportTests {
  static let configuration = ModelConfiguration(
    architecture: .llama, vocabularySize: 260, hiddenSize: 12, layers: 2, heads: 2, kvHeads: 1, headDim: 6,
    intermediateSize: 20, attentionBias: false, tieEmbeddings: true, ropeTheta: 10_000, rmsNormEps: 1e-5)

  /// A directory as others make one, with much that is not modelled here.
  private func makeSource(_ scratch: ScratchDirectory) throws -> String {
    let path = scratch("source")
    try Directory.create(path)
    try ModelDirectory(transformer: .random(Self.configuration, seed: 1), tokenizer: .bytes, metadata: nil)
      .write(to: path, dtype: .bf16)
    let tokenizer = String(decoding: try File.contents(of: "\(path)/tokenizer.json"), as: UTF8.self)
    let odd = tokenizer.replacing(
      #""truncation": null"#, with: #""truncation" : {"max_length": 77, "direction": "Right"}"#)
    #expect(odd != tokenizer)
    try scratch.write(odd + "\n \n", "source/tokenizer.json")
    try scratch.write("{\"model_max_length\": 1E30,\r\n}", "source/tokenizer_config.json")
    try scratch.write([0xff, 0, 0x0a], "source/merges.txt")
    try scratch.write("{{ messages }}", "source/chat_template.jinja")
    try scratch.write("# not to be taken", "source/README.md")
    try scratch.write(
      #"""
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "odd": [1.0, {"x": null}], "hidden_size": 12,
      "vocab_size": 260, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 6,
      "intermediate_size": 20, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "bos_token_id": 256,
      "eos_token_id": 257, "max_position_embeddings": 4096, "torch_dtype": "bfloat16"}
      """#, "source/config.json")
    try scratch.write(#"{"eos_token_id": [257, 258], "top_p": 0.80}"#, "source/generation_config.json")
    return path
  }

  private func contents(_ directory: String) throws -> [String: [UInt8]] {
    let names = try Directory.names(in: directory)
    return try Dictionary(uniqueKeysWithValues: names.map { ($0, try File.contents(of: "\(directory)/\($0)")) })
  }

  @Test func whatIsNotModelledGoesAlong() throws {
    let scratch = try ScratchDirectory()
    let source = try makeSource(scratch)
    let original = try contents(source)
    let recipe = Recipe.small(source)
    try RunSetup(recipe).save(scratch("first"))
    // From here on the checkpoint alone counts.
    try Directory.remove(source)
    try RunSetup(recipe, checkpoint: scratch("first")).save(scratch("second"))
    let export = try ModelExport(scratch("second"), to: scratch("export/"))
    #expect(export.path == scratch("export") && export.dtype == .bf16)

    let kept = ["tokenizer.json", "tokenizer_config.json", "merges.txt", "chat_template.jinja"]
    let written = ["config.json", "flower.json", "generation_config.json", "model.safetensors"]
    for directory in ["first", "second", "export"] {
      let files = try contents(scratch(directory))
      #expect(files.keys.sorted() == (kept + written).sorted())
      for name in kept { #expect(files[name] == original[name], "\(directory)/\(name)") }
      let config = try JSON(contentsOf: scratch("\(directory)/config.json"))
      #expect(config["odd"]?.description == #"[1.0,{"x":null}]"#)
      #expect(config["torch_dtype"]?.string == (directory == "export" ? "bfloat16" : "float32"))
      #expect(config["max_position_embeddings"]?.int == 4096)
      #expect(config["bos_token_id"]?.int == 256 && config["eos_token_id"]?.int == 257)
      let generation = try JSON(contentsOf: scratch("\(directory)/generation_config.json"))
      #expect(generation.description == #"{"eos_token_id":[257,258,10],"top_p":0.80}"#)
    }
    #expect(export.bytes == (try contents(scratch("export"))).values.reduce(0) { $0 + $1.count })
    let (before, after) = try (
      ModelDirectory(contentsOf: scratch("first")), ModelDirectory(contentsOf: scratch("export"))
    )
    #expect(after.metadata == before.metadata && after.metadata?.baseType == .bf16)
    #expect(after.transformer.digest == before.transformer.digest, "nothing was trained, and bf16 held it exactly")
  }

  @Test func aModelMadeHereIsWrittenAlikeAfterResuming() throws {
    let scratch = try ScratchDirectory()
    try RunSetup(.small()).save(scratch("first"))
    try RunSetup(.small(), checkpoint: scratch("first")).save(scratch("second"))
    let (first, second) = try (contents(scratch("first")), contents(scratch("second")))
    #expect(first == second)
    let names = ["config.json", "flower.json", "generation_config.json", "model.safetensors", "tokenizer.json"]
    #expect(first.keys.sorted() == names)
    #expect(try ModelExport(scratch("second"), to: scratch("export")).dtype == .f32)
    var exported = try contents(scratch("export"))
    #expect(exported.removeValue(forKey: "flower.json") != nil)
    for (name, bytes) in exported { #expect(bytes == first[name], "\(name)") }
  }

  @Test(arguments: [nil, SafeTensors.DType.f32, .bf16, .f16])
  func theTypeOfTheWeights(base: SafeTensors.DType?) throws {
    let scratch = try ScratchDirectory()
    try Directory.create(scratch("model"))
    let metadata = FlowerMetadata(
      prompt: Recipe.Prompt(), terminator: "\n", terminatorToken: 10, support: .catalogue, reward: Recipe.Reward(),
      catalogueDigest: "", baseType: base)
    try ModelDirectory(transformer: Transformer(Self.configuration), tokenizer: .bytes, metadata: metadata)
      .write(to: scratch("model"))
    #expect(try FlowerMetadata(directory: scratch("model")) == metadata)
    #expect(try ModelExport(scratch("model"), to: scratch("by itself")).dtype == (base == .bf16 ? .bf16 : .f32))
    for (dtype, name) in [(SafeTensors.DType.f32, "float32"), (.bf16, "bfloat16")] {
      let export = try ModelExport(scratch("model"), to: scratch("as \(name)"), dtype: dtype)
      #expect(export.dtype == dtype)
      #expect(try JSON(contentsOf: scratch("as \(name)/config.json"))["torch_dtype"]?.string == name)
      let weights = try SafeTensorsReader(path: scratch("as \(name)/model.safetensors"))
      #expect(Set(weights.tensors.map(\.dtype)) == [dtype])
      #expect(!weights.tensors.contains { $0.name == "lm_head.weight" }, "tied")
    }
  }

  /// The nearer of both neighbours, of two equally near ones the even one, by their distances in double.
  @Test func roundsToTheNearest() throws {
    let scratch = try ScratchDirectory()
    let transformer = Transformer.random(Self.configuration, seed: 7, std: 3)
    var random = SeededRandom(8)
    for (index, weight) in transformer.weights.all.enumerated() {
      // Ties and near ties among them.
      let low: UInt32? = [0x8000, 0x7fff, 0x8001, 0, nil][index % 5]
      let bits = weight.bitPattern & 0xffff_0000 | (low ?? UInt32.random(in: 0...0xffff, using: &random))
      transformer.weights.all[index] = Float(bitPattern: bits)
    }
    try Directory.create(scratch("model"))
    try ModelDirectory(transformer: transformer, tokenizer: .bytes, metadata: nil).write(to: scratch("model"))
    _ = try ModelExport(scratch("model"), to: scratch("export"), dtype: .bf16)
    let file = try SafeTensorsReader(path: scratch("export/model.safetensors"))
    for parameter in transformer.layout.parameters {
      var halves = [UInt8](repeating: 0, count: 2 * parameter.count)
      try halves.withUnsafeMutableBytes { try file.read(file.tensor(parameter.name, shape: parameter.shape), into: $0) }
      for (index, weight) in transformer.weights.view(parameter.range).enumerated() {
        let found = UInt32(halves[2 * index + 1]) << 24 | UInt32(halves[2 * index]) << 16
        let below = weight.bitPattern & 0xffff_0000
        let above = below + 0x1_0000
        func distance(_ bits: UInt32) -> Double { abs(Double(Float(bitPattern: bits)) - Double(weight)) }
        let (down, up) = (distance(below), distance(above))
        let expected = down < up || down == up && below >> 16 & 1 == 0 ? below : above
        if found != expected { Issue.record("\(parameter.name)[\(index)]: \(weight) became \(found)") }
      }
    }
  }

  // MARK: Shards

  /// The example of `huggingface_hub.split_state_dict_into_shards_factory`, and edges.
  @Test(arguments: [
    ([6, 6, 2, 6, 2, 2], 10, [1, 2, 3]), ([10], 10, [1]), ([10, 1], 10, [1, 1]), ([5, 5], 10, [2]),
    ([1, 30, 1], 10, [1, 1, 1]), ([30], 10, [1]), ([30, 30], 10, [1, 1]), ([0, 10, 0], 10, [3]), ([], 10, [0]),
  ])
  func cutsInOrder(sizes: [Int], maximum: Int, counts: [Int]) {
    let tensors = sizes.map { SafeTensors.Entry(name: "", dtype: .u8, shape: [$0]) }
    let shards = SafeTensors.shards(tensors, maximum: maximum)
    #expect(shards.map(\.count) == counts)
    #expect(shards.flatMap { Array($0) } == Array(sizes.indices))
  }

  @Test(arguments: [SafeTensors.DType.f32, .bf16]) func largeWeightsAreCut(dtype: SafeTensors.DType) throws {
    let scratch = try ScratchDirectory()
    var configuration = Self.configuration
    configuration.tieEmbeddings = false
    let transformer = Transformer.random(configuration, seed: 3)
    try Directory.create(scratch("model"))
    try ModelDirectory(transformer: transformer, tokenizer: .bytes, metadata: nil)
      .write(to: scratch("model"), dtype: dtype)
    _ = try ModelExport(scratch("model"), to: scratch("export"), dtype: dtype, maximumShard: 3000)

    let index = try JSON(contentsOf: scratch("export/model.safetensors.index.json"))
    let names = try Directory.names(in: scratch("export")).filter { $0.hasSuffix(".safetensors") }
    #expect(names.count > 2)
    #expect(names == (1...names.count).map { SafeTensors.fileName("model", $0, of: names.count) })
    #expect(names[0] == "model-00001-of-000\(names.count < 10 ? "0" : "")\(names.count).safetensors")
    var total = 0
    for name in names {
      let tensors = try SafeTensorsReader(path: scratch("export/\(name)")).tensors
      let bytes = tensors.reduce(0) { $0 + $1.range.count }
      #expect(bytes <= 3000 || tensors.count == 1)
      total += bytes
      for tensor in tensors { #expect(index["weight_map"]?[tensor.name]?.string == name) }
    }
    #expect(index["metadata"]?["total_size"]?.int == total)
    #expect(total == transformer.layout.count * dtype.size)
    #expect(index["weight_map"]?.object?.map(\.key) == transformer.layout.parameters.map(\.name))
    let (whole, cut) = (Transformer(transformer.configuration), Transformer(transformer.configuration))
    #expect(try whole.readWeights(ModelWeights(directory: scratch("model"))) == dtype)
    #expect(try cut.readWeights(ModelWeights(directory: scratch("export"))) == dtype)
    #expect(whole.digest == cut.digest)
  }

  // MARK: Refusals

  @Test func leavesNothingHalfDone() throws {
    let scratch = try ScratchDirectory()
    let source = try makeSource(scratch)
    try scratch.write("mine", "there/file")
    for output in ["there", "there/", "there//", "there/file"] {
      let error = flowerError { _ = try ModelExport(source, to: scratch(output)) }
      #expect(error?.kind == .usage)
      #expect(error?.description.contains("already exists") == true)
    }
    // What a killed export has left is no obstacle.
    let left = [
      "model.safetensors.index.json", "model-00001-of-00002.safetensors", "config.json.123.tmp", "vocab.json",
    ]
    for name in left { try scratch.write("half", "new.partial/\(name)") }
    _ = try ModelExport(source, to: scratch("new"))
    #expect(!File.exists(scratch("new/model.safetensors.index.json")))

    // Somebody else's is one.
    for other in ["model-1-of-2.safetensors", "notes.txt", "config.json/file", "config.json.tmp"] {
      try scratch.write("mine", "mine.partial/config.json.1.tmp")
      try scratch.write("mine", "mine.partial/\(other)")
      let error = flowerError { _ = try ModelExport(source, to: scratch("mine")) }
      #expect(error?.kind == .usage && error?.description.contains("mine.partial: is in the way") == true)
      #expect(File.exists(scratch("mine.partial/\(other)")))
      try Directory.remove(scratch("mine.partial"))
    }
    try scratch.write("mine", "mine.partial")
    #expect(flowerError { _ = try ModelExport(source, to: scratch("mine")) }?.kind == .usage)
    try Directory.remove(scratch("mine.partial"))

    let weights = try File.contents(of: "\(source)/model.safetensors")
    try scratch.write(Array(weights.dropLast()), "source/model.safetensors")
    let damaged = flowerError { _ = try ModelExport(source, to: scratch("other")) }
    #expect(damaged?.kind == .data)
    #expect(damaged?.description.hasPrefix("\(source)/model.safetensors") == true)
    try scratch.write(weights, "source/model.safetensors")
    let place = flowerError { _ = try ModelExport(source, to: scratch("there/file/model")) }
    #expect(place?.kind == .cannotWrite)
    #expect(try Directory.names(in: scratch.path) == ["new", "source", "there"])
    #expect(try Directory.names(in: scratch("there")) == ["file"])
  }

  @Test func aBaseTypeThatIsNone() throws {
    let scratch = try ScratchDirectory()
    try FlowerMetadata(
      prompt: Recipe.Prompt(), terminator: "\n", terminatorToken: 10, support: .catalogue, reward: Recipe.Reward(),
      catalogueDigest: "", baseType: .f16
    ).write(directory: scratch.path)
    let text = String(decoding: try File.contents(of: scratch("flower.json")), as: UTF8.self)
    try scratch.write(text.replacing("F16", with: "F4"), "flower.json")
    let error = flowerError { _ = try FlowerMetadata(directory: scratch.path) }
    #expect(error?.description.contains(#""base_dtype": expected one of"#) == true)
  }
}
