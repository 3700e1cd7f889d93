import Foundation
import Testing

@testable import FlowerDist

@Suite struct ReferenceModelTests {
  /// Generated data with histories, a policy of random weights and another model as its reference.
  private struct Made {
    let catalogue: Catalogue
    let policy: Transformer
    let reference: Transformer
    let examples: [Example]

    init(_ dataset: Dataset? = nil) throws {
      var prompt = Recipe.Prompt()
      let dataset = try dataset ?? .generated(titles: 30, examples: 100, seed: 3)
      prompt.template = dataset.isDistribution ? "A title:" : "{history}:"
      prompt.historyLength = 2
      catalogue = try Catalogue(
        dataset: dataset, tokenizer: .bytes, prompt: prompt, terminator: "\n", reward: Recipe.Reward())
      let configuration = ModelConfiguration(
        architecture: .qwen2, vocabularySize: 256, hiddenSize: 16, layers: 2, heads: 2, kvHeads: 1, headDim: 8,
        intermediateSize: 24, attentionBias: true, tieEmbeddings: true, ropeTheta: 10_000, rmsNormEps: 1e-6)
      policy = Transformer.random(configuration, seed: 2, std: 0.3)
      reference = Transformer.random(configuration, seed: 5, std: 0.3)
      let catalogue = catalogue
      examples = try (0..<4).map { index in
        let interaction = dataset.isDistribution ? nil : dataset.train[index * 7]
        let history = interaction?.history ?? []
        return Example(
          index: index, history: history, item: interaction?.item,
          prompt: try catalogue.prompt(history: history).tokens,
          place: ExamplePlace(.train, row: interaction == nil ? 0 : index * 7))
      }
    }

    func worker(
      _ name: Recipe.Objective.Name, support: Recipe.Objective.Support = .catalogue, reference: Transformer? = nil,
      _ set: (inout Recipe) -> Void = { _ in }
    ) throws -> GrainWorker {
      var recipe = Recipe()
      recipe.objective.name = name
      recipe.objective.support = support
      recipe.trajectories.source = .init(.policy)
      set(&recipe)
      let model = ReferenceModel(reference ?? self.reference, catalogue.tree, support: support)
      return try GrainWorker(catalogue, LanguageModel(policy), recipe, reference: model)
    }

    /// What trajectories are drawn from where nothing is remembered.
    func sources(_ worker: GrainWorker) -> DrawSources {
      worker.sources(step: 0, progress: .init(), targets: [], replay: ReplayBuffer(Recipe.Replay()))
    }
  }

  @Test(arguments: [Recipe.Objective.Support.catalogue, .vocabulary]) func sumsOverTheTitle(
    support: Recipe.Objective.Support
  ) throws {
    let made = try Made()
    let tree = made.catalogue.tree
    let model = ReferenceTransformer(made.reference)
    let prompt = made.examples[0].prompt
    let leaves = [3, 17, 3, 29]
    let expected = leaves.map { leaf in
      var (sequence, node, sum) = (prompt, 0, 0.0)
      for token in tree.title(ofLeaf: leaf) + [tree.terminator] {
        let logits = model.logits(sequence).last!
        let options = support == .vocabulary ? Array(0..<256) : tree.optionTokens(of: node).map { Int($0) }
        sum += logits[Int(token)] - log(options.reduce(0) { $0 + exp(logits[$1]) })
        sequence.append(token)
        node = tree.children(of: node).first { tree.token[$0] == token } ?? node
      }
      return sum
    }
    let titles = ReferenceModel(made.reference, tree, support: support).titles(leaves, after: prompt)
    expectAgreement(titles, expected, tolerance: 1e-5)
  }

  /// Remembered or not, and whatever was computed before: the same bits.
  @Test func rememberingChangesNothing() throws {
    let made = try Made()
    func model() -> ReferenceModel { ReferenceModel(made.reference, made.catalogue.tree, support: .vocabulary) }
    let fresh = made.examples.map { model().titles([1, 8, 20], of: $0, areFixed: true) }
    let one = model()
    for _ in 0..<2 {
      for (example, expected) in zip(made.examples, fresh).reversed() {
        #expect(one.titles([1, 8, 20], of: example, areFixed: true) == expected)
      }
    }
    expectAgreement(one.titles([8], of: made.examples[0], areFixed: false), [fresh[0][1]], tolerance: 1e-5)
    let distribution = try Made(.generated(titles: 30, examples: 0, seed: 3))
    let all = ReferenceModel(distribution.reference, distribution.catalogue.tree, support: .catalogue)
    let exact = Evaluator(distribution.catalogue, LanguageModel(distribution.reference)).exact(
      [distribution.examples[0].prompt])[0]
    for leaves in [[3, 3, 9], [9, 1]] {
      expectAgreement(
        all.titles(leaves, of: distribution.examples[1], areFixed: false), leaves.map { exact[$0] }, tolerance: 1e-5)
    }
  }

  /// A policy that is its own reference prefers nothing.
  @Test func startsWhereNothingIsPreferred() throws {
    let made = try Made()
    let losses: [(Recipe.Objective.Name, Double)] = [(.dpo, 2), (.rosePO, 2), (.sDPO, 4), (.dmpo, 2)]
    for (name, titles) in losses {
      let worker = try made.worker(name, reference: made.policy)
      let tally = worker.validate(made.examples, made.sources(worker))
      #expect(abs(tally.loss / 4 - log(titles)) < 1e-4, "\(name)")
    }
    let worker = try made.worker(.ppo, reference: made.policy)
    let scored = worker.score(made.examples, made.sources(worker), step: 3, training: false).scored
    #expect(scored.prompts.count == 4 && scored.prompts.allSatisfy { $0.reference.count == 8 })
    for prompt in scored.prompts {
      let policy = prompt.trajectories.map { $0.logPolicy(scored.logProbabilities).reduce(0, +) }
      expectAgreement(prompt.reference, policy, tolerance: 1e-5)
    }
  }

  /// A short step against the gradient lowers the loss by what the gradient says.
  @Test(
    arguments: [Recipe.Objective.Name.dpo, .sDPO, .dmpo], [Recipe.Objective.Support.catalogue, .vocabulary])
  func gradientsLeadDown(name: Recipe.Objective.Name, support: Recipe.Objective.Support) throws {
    let made = try Made()
    let worker = try made.worker(name, support: support) { $0.objective.rejected = 2 }
    let gradient = FloatArena(count: made.policy.layout.count)
    let before = worker.run(made.examples, made.sources(worker), step: 0, scale: 0.25, into: gradient).0.loss / 4
    let squares = gradient.all.reduce(0) { $0 + Double($1) * Double($1) }
    let rate = 2e-3 / squares
    for i in 0..<gradient.count { made.policy.weights.base[i] -= Float(rate) * gradient.base[i] }
    let next = worker.run(
      made.examples, made.sources(worker), step: 9, scale: 0.25, into: FloatArena(count: gradient.count))
    let after = next.0.loss / 4
    #expect(abs(before - after - 2e-3) < 4e-4, "pairs are those of the examples, whatever the step")
  }

  @Test func weightsOfGroupsMultiplySFT() throws {
    let made = try Made()
    let (plain, fair) = try (made.worker(.sft), made.worker(.sft) { $0.objective.sftWeight = .ifairlrs })
    for example in made.examples {
      let weight = made.catalogue.groupWeights[Int(made.catalogue.tree.leafOfItem[Int(example.item!)])]
      let losses = [fair, plain].map { $0.validate([example], made.sources($0)).loss }
      #expect(abs(losses[0] - weight * losses[1]) < 1e-9)
    }
  }

  // MARK: - Where it comes from

  @Test func isNamedOrTheStartOrTheBase() throws {
    let scratch = try ScratchDirectory()
    try RunSetup(.small()).save(scratch("start"))
    var other = Recipe.small()
    other.training.seed = 9
    try RunSetup(other).save(scratch("other"))
    var recipe = Recipe.small(scratch("start"))
    #expect(try RunSetup(recipe).reference == nil)
    recipe.objective.name = .dpo
    let start = try RunSetup(recipe)
    #expect(start.reference?.digest == start.transformer.frozenDigest)
    #expect(MemoryPlan(start, ranks: 1).reference == 4 * start.transformer.layout.count)
    recipe.lora.rank = 2
    let adapters = try RunSetup(recipe)
    #expect(adapters.reference?.digest == start.reference?.digest)
    #expect(adapters.reference?.transformer.weights.base == adapters.transformer.weights.base)
    #expect(adapters.reference?.transformer.adapter == nil && MemoryPlan(adapters, ranks: 1).reference == 0)
    recipe.objective.reference = scratch("other")
    let named = try RunSetup(recipe)
    #expect(named.reference?.digest != start.reference?.digest)
    #expect(named.course.differences(from: adapters.course) == ["another reference model"])
    // Beside what the policy needs for a chosen and a rejected title of four examples, all titles of the one prompt.
    let (c, title, nodes) = (start.transformer.configuration, start.longestTitle, start.catalogue.tree.nodeCount)
    let policy = MemoryPlan(
      c, trained: 1, grains: 1, ranks: 1, rows: 4 * (start.longestPrompt + 2 * title), queries: 4 * (1 + 2 * title),
      vocabulary: true, .fma)
    let root = Head.optionBytes(c, readouts: 4, options: Int(start.catalogue.tree.optionCount[0]))
    let reference = Activations.bytes(c, rows: start.longestPrompt + nodes, queries: 1 + nodes, keeping: .nothing)
    #expect(MemoryPlan(start, ranks: 1).activations == policy.activations + root + reference)
  }

  @Test func refusesOtherTokens() throws {
    let scratch = try ScratchDirectory()
    try RunSetup(.small()).save(scratch("start"))
    var bpe = Recipe.small()
    bpe.tokenizer.kind = .bpe
    bpe.tokenizer.vocabularySize = 300
    try RunSetup(bpe).save(scratch("bpe"))
    var end = Recipe.small()
    end.tokenizer.terminator = "\t"
    try RunSetup(end).save(scratch("tab"))
    for (name, part) in [("bpe", "has another tokenizer"), ("tab", "ends titles with token 9")] {
      var recipe = Recipe.small(scratch("start"))
      recipe.objective.name = .grpo
      recipe.objective.reference = scratch(name)
      let error = flowerError { _ = try RunSetup(recipe) }
      #expect(error?.kind == .usage && error?.description.contains(part) == true, "\(error?.description ?? "accepted")")
    }
    var recipe = Recipe.small()
    (recipe.objective.name, recipe.objective.reference) = (.rosePO, scratch("start"))
    #expect(flowerError { _ = try RunSetup(recipe) }?.description.contains("rose_po needs histories") == true)
    recipe.objective.name = .sft
    recipe.objective.sftWeight = .ifairlrs
    #expect(flowerError { _ = try RunSetup(recipe) }?.description.contains("ifairlrs needs histories") == true)
  }
}
