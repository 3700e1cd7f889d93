import Foundation
import Testing

@testable import FlowerDist

/// Low-rank adapters against the same model with merged weights, in double precision.
@Suite struct AdapterTests {
  static let every = Adapter.Configuration(rank: 3, alpha: 5, targets: ModuleSet(Module.allCases))
  static let some = Adapter.Configuration(rank: 2, alpha: 16, targets: ModuleSet([.v, .up, .o]))

  /// A model whose adapters are random, B too.
  static func adapted(_ c: ModelConfiguration, _ configuration: Adapter.Configuration, _ arithmetic: Arithmetic = .fma)
    -> Transformer
  {
    let transformer = Transformer.random(c, seed: 4, arithmetic)
    let adapter = Adapter(configuration, of: c)
    var random = SeededRandom(8)
    for index in 0..<adapter.weights.count { adapter.weights.base[index] = .random(in: -0.4...0.4, using: &random) }
    transformer.adapter = adapter
    return transformer
  }

  /// The plain model with W + α/r · B·A for the given numbers of the adapter.
  static func merged(_ transformer: Transformer, _ numbers: [Double]) -> ReferenceTransformer {
    let adapter = transformer.adapter!
    let rank = adapter.configuration.rank
    var model = ReferenceTransformer(transformer)
    for a in adapter.list.parameters where a.name.hasSuffix("lora_A.weight") {
      let b = adapter.list.parameters.first { $0.name == a.name.replacing("lora_A", with: "lora_B") }!
      let name = a.name.replacing("base_model.model.", with: "").replacing("lora_A.", with: "")
      let w = transformer.layout.parameters.first { $0.name == name }!
      #expect(w.shape == [b.shape[0], a.shape[1]])
      for o in 0..<w.shape[0] {
        for i in 0..<w.shape[1] {
          let product = (0..<rank).reduce(0) {
            $0 + numbers[b.offset + o * rank + $1] * numbers[a.offset + $1 * w.shape[1] + i]
          }
          model.weights[w.offset + o * w.shape[1] + i] += adapter.configuration.alpha / Double(rank) * product
        }
      }
    }
    return model
  }

  /// A copy; the arena lives until it is made.
  private static func values(_ arena: FloatArena) -> [Float] { withExtendedLifetime(arena) { Array(arena.all) } }

  @Test(arguments: ModelConfiguration.awkward, [(every, Arithmetic.fma), (some, .fma), (every, .bf16x6)])
  func scoresAndSlopes(c: ModelConfiguration, _ way: (configuration: Adapter.Configuration, arithmetic: Arithmetic)) {
    let transformer = Self.adapted(c, way.configuration, way.arithmetic)
    let adapter = transformer.adapter!
    let language = LanguageModel(transformer)
    let forest = LanguageModelTests.forest(vocabulary: c.vocabularySize)
    let numbers = Self.values(adapter.weights).map { Double($0) }
    let scores = LanguageModelTests.score(language, forest)
    expectAgreement(scores, forest.answers(Self.merged(transformer, numbers)), tolerance: 2e-5)

    let coefficients = LanguageModelTests.coefficients(scores.count)
    let gradient = FloatArena(count: adapter.list.count)
    language.backward(forest.forest, forest.readouts, gradient: coefficients, into: gradient)
    var random = SeededRandom(5)
    for parameter in adapter.list.parameters {
      let direction = random.doubles(parameter.count, in: -1...1)
      let values = gradient.view(parameter.range).map { Double($0) }
      func moved(_ step: Double) -> Double {
        var numbers = numbers
        for i in 0..<parameter.count { numbers[parameter.offset + i] += step * direction[i] }
        return zip(forest.answers(Self.merged(transformer, numbers)), coefficients).reduce(0) { $0 + $1.0 * $1.1 }
      }
      let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4
      let product = zip(values, direction).reduce(0) { $0 + $1.0 * $1.1 }
      let scale = max(values.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-2)
      #expect(abs(slope - product) < 1e-4 * scale, "\(parameter.name): \(product), slope \(slope)")
    }
  }

  @Test(arguments: ModelConfiguration.awkward) func mergingChangesNothing(c: ModelConfiguration) {
    let transformer = Self.adapted(c, Self.every)
    let forest = LanguageModelTests.forest(vocabulary: c.vocabularySize)
    let before = LanguageModelTests.score(LanguageModel(transformer), forest)
    transformer.mergeAdapter()
    #expect(transformer.adapter == nil)
    expectAgreement(LanguageModelTests.score(LanguageModel(transformer), forest), before, tolerance: 1e-5)
  }

  @Test func aNewAdapterChangesNoBit() {
    let c = ModelConfiguration.awkward[1]
    let transformer = Transformer.random(c, seed: 4)
    let forest = LanguageModelTests.forest(vocabulary: c.vocabularySize)
    let before = LanguageModelTests.score(LanguageModel(transformer), forest)
    let adapter = Adapter(Self.every, of: c)
    adapter.initialize(seed: 3)
    transformer.adapter = adapter
    let same = LanguageModelTests.score(LanguageModel(transformer), forest) == before
    #expect(same)
    for parameter in adapter.list.parameters {
      let largest = adapter.weights.view(parameter.range).map { abs($0) }.max()!
      let bound = parameter.name.hasSuffix("lora_B.weight") ? 0 : 1 / Float(parameter.shape[1]).squareRoot()
      #expect(largest <= bound && largest >= 0.5 * bound, "\(parameter.name)")
    }
  }

  @Test func checkpointingChangesNothing() {
    let c = ModelConfiguration.awkward[3]
    let transformer = Self.adapted(c, Self.every)
    let forest = LanguageModelTests.forest(vocabulary: c.vocabularySize)
    let gradients = [false, true].map { checkpointing in
      let language = LanguageModel(transformer, checkpointing: checkpointing)
      let coefficients = LanguageModelTests.coefficients(LanguageModelTests.score(language, forest).count)
      let gradient = FloatArena(count: transformer.adapter!.list.count)
      language.backward(forest.forest, forest.readouts, gradient: coefficients, into: gradient)
      return Self.values(gradient)
    }
    let same = gradients[0] == gradients[1]
    #expect(same)
  }

  // MARK: Files

  /// What PEFT writes, with one key changed.
  private static func peft(_ key: String, _ value: JSON) -> JSON {
    var members: [JSON.Member] = [
      .init("peft_type", "LORA"), .init("r", 4), .init("lora_alpha", 8), .init("bias", "none"),
      .init("target_modules", ["v_proj", "q_proj"]), .init("lora_dropout", 0.1), .init("use_dora", false),
      .init("modules_to_save", nil), .init("rank_pattern", .object([])), .init("base_model_name_or_path", "base"),
    ]
    members.removeAll { $0.key == key }
    return .object(members + [.init(key, value)])
  }

  @Test func readsWhatPEFTWrites() throws {
    let read = try Adapter.Configuration(Self.peft("megatron_core", "megatron.core"), path: "a.json")
    #expect(read == Adapter.Configuration(rank: 4, alpha: 8, targets: ModuleSet([.q, .v])))
    #expect(try Adapter.Configuration(read.json(base: "b"), path: "a.json") == read)
    for start: JSON in [true, false, "gaussian", nil] {
      #expect(try Adapter.Configuration(Self.peft("init_lora_weights", start), path: "a.json") == read)
    }
  }

  static let refused: [(String, JSON)] = [
    ("peft_type", "IA3"), ("use_dora", true), ("use_rslora", true), ("bias", "all"), ("r", 0), ("r", 1_000_000),
    ("lora_alpha", 0), ("lora_alpha", "8"), ("target_modules", "all-linear"), ("target_modules", []),
    ("target_modules", ["c_attn"]), ("modules_to_save", ["lm_head"]), ("rank_pattern", ["q_proj": 8]),
    ("some_new_variant", ["on": true]), ("layers_to_transform", [0]), ("init_lora_weights", "pissa"),
    ("init_lora_weights", "olora"), ("init_lora_weights", 1),
  ]

  @Test(arguments: refused) func refusesByName(key: String, value: JSON) {
    let error = flowerError { _ = try Adapter.Configuration(Self.peft(key, value), path: "a.json") }
    let named = error?.description.hasPrefix("a.json: \"\(key)\"") == true
    #expect(error?.kind == .data && named, "\(String(describing: error))")
  }

  @Test func filesKeepEveryBit() throws {
    let scratch = try ScratchDirectory()
    let c = ModelConfiguration.awkward[0]
    let adapter = Self.adapted(c, Self.some).adapter!
    try adapter.write(directory: scratch.path, base: "elsewhere")
    #expect(Adapter.isHeld(by: scratch.path))
    let read = try Adapter(directory: scratch.path, of: c)
    #expect(read.configuration == adapter.configuration && read.list == adapter.list)
    let same = Self.values(read.weights) == Self.values(adapter.weights)
    #expect(same)
    // Its tensors are not those of another shape of model, nor of fewer targets.
    #expect(flowerError { _ = try Adapter(directory: scratch.path, of: .awkward[3]) }?.kind == .data)
    try AtomicFile.write(
      Self.every.json(base: "x").serialized(), to: "\(scratch.path)/\(Adapter.configurationFile)")
    let error = flowerError { _ = try Adapter(directory: scratch.path, of: c) }
    #expect(error?.description.contains("adapter_model.safetensors") == true)
  }

  /// The one who fills them sees what the others see; a host without room makes everybody do without.
  @Test func ranksOfAHostShareWeights() throws {
    for hosts in [["a", "a", "b", "a", "b"], ["a", "b"], ["a"]] {
      let seen = try InMemoryRanks.run(hosts.count, hosts: hosts) { communicator -> [Float]? in
        guard let arena = communicator.shareWithinHosts(1000) else { return nil }
        let isFirst = communicator.firstOnHost == communicator.rank
        if isFirst { arena.base[999] = Float(communicator.rank + 1) }
        communicator.barrier()
        return withExtendedLifetime(arena) { arena.isShared ? [arena.base[0], arena.base[999]] : [] }
      }
      let expected = hosts.map { Float(hosts.firstIndex(of: $0)! + 1) }
      #expect(seen == (hosts.count > 2 ? expected.map { [0, $0] } : hosts.map { _ in nil }))
    }
    // More than any machine has.
    let without = try InMemoryRanks.run(3, hosts: ["a", "a", "b"]) { $0.shareWithinHosts(1 << 50) == nil }
    #expect(without == [true, true, true])
  }

  /// Memory has no byte as long as it has a name, so that a process that is killed meanwhile leaves none behind.
  @Test func sharedMemoryOutlivesItsName() throws {
    let name = "/flowerdist-test-\(UInt64.random(in: 0...UInt64.max))"
    func isNamed() -> Bool { File.exists("/dev/shm\(name)") }
    let created = try #require(SharedMemory(creating: name))
    #expect(try File.contents(of: "/dev/shm\(name)").isEmpty)
    let opened = try #require(SharedMemory(opening: name))
    SharedMemory.unlink(name)
    #expect(!isNamed())
    #expect(created.reserve(bytes: FloatArena.bytes(100)))
    let (mine, theirs) = (FloatArena(created, count: 100), FloatArena(opened, count: 100))
    mine?.base[99] = 7
    #expect(theirs?.base[99] == 7 && theirs?.base[0] == 0)
  }

  /// What could not be read from the first checkpoint is refused before the first step.
  @Test(arguments: [String(repeating: "a/", count: 513), "mod\u{9B}el", "a\nb"])
  func aBaseThatAnAdapterCannotName(path: String) throws {
    var recipe = Recipe()
    recipe.model.path = path
    #expect(try RunSetup.adapted(recipe) == nil)
    recipe.lora.rank = 4
    let error = flowerError { _ = try RunSetup.adapted(recipe) }
    #expect(error?.kind == .usage && error?.description.hasPrefix("model.path: expected a directory of 1024") == true)
    recipe.model.path = String(repeating: "a/", count: 512)
    #expect(try RunSetup.adapted(recipe) == recipe.model.path)
  }

  @Test func theBaseIsFoundFromBothPlaces() throws {
    let scratch = try ScratchDirectory()
    let directory = "\(scratch.path)/runs/adapter"
    try Directory.create(directory)
    try Directory.create("\(scratch.path)/base")
    func base(_ name: String) throws -> String {
      try AtomicFile.write(
        Self.some.json(base: name).serialized(), to: "\(directory)/\(Adapter.configurationFile)")
      return try Adapter.base(of: directory)
    }
    #expect(flowerError { _ = try base("../../base") }?.description.contains("base_model_name_or_path") == true)
    try AtomicFile.write("{}", to: "\(scratch.path)/base/config.json")
    #expect(try base("../../base") == "\(directory)/../../base")
    #expect(try base("\(scratch.path)/base") == "\(scratch.path)/base")
    // From where the program runs, before the adapter's directory.
    let up = String(repeating: "../", count: FileManager.default.currentDirectoryPath.split(separator: "/").count)
    #expect(try base("\(up)\(scratch.path.dropFirst())/base").hasPrefix("../"))
    // As for transformers, the adapter's file decides, whatever else is there.
    try AtomicFile.write("{}", to: "\(directory)/config.json")
    #expect(Adapter.isHeld(by: directory))
    let long = String(repeating: "é", count: 2000)
    for name in ["Qwen/Qwen2.5-0.5B", "", "a\u{0}b", "a\nb", "\u{9B}2J", long, "/" + long] {
      let error = flowerError { _ = try base(name) }
      #expect(error?.kind == .data)
      #expect(error?.description.hasPrefix("\(directory)/adapter_config.json: \"base_model_name_or_path\": ") == true)
      #expect(error?.description.contains("\n") == false)
    }
  }
}
