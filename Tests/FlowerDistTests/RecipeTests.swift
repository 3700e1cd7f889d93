import Foundation
import Testing

@testable import FlowerDist

/// The lines of the error that reading throws; empty if it does not.
private func problems(_ yaml: String, _ overrides: String...) -> [String] {
  do {
    _ = try Recipe.read(yaml: yaml, file: "r.yaml", overrides: overrides)
    return []
  } catch {
    #expect((error as? FlowerError)?.kind == .usage)
    return "\(error)".split(separator: "\n").map(String.init)
  }
}

/// A recipe to which nothing but data and length has to be added.
private let valid = """
  data: {generated: 100}
  training: {steps: 10}
  """

@Suite struct RecipeReaderTests {
  @Test func shortestRecipeHasDefaults() throws {
    var expected = Recipe()
    expected.name = "tiny.first"
    expected.data.generated = 100
    expected.training.steps = 10
    #expect(try Recipe.read(yaml: valid, file: "some/where/tiny.first.yaml") == expected)
  }

  @Test func everyProblemAtOnceWithItsPlace() {
    let yaml = """
      nmae: x
      model:
        hidden_size: "128"
        layers: 3.5
        heads: 0
        kv_heads: 99999999999999999999
      optimiser:
        beta1: 1
      optimizer:
        learning_rate: 0
        schedule: cosin
        beta1: 1
      training:
        learning_rate: 1e-3
        grains: 6
        grobal_batch: 32
      objective: subtb
      data:
        path: [a]
        generated: 10
      checkpoint:
        keep_best: yes
      7: 8
      """
    let found = problems(yaml)
    let expected: [(place: String, part: String)] = [
      ("1:1", "unknown key \"nmae\"; did you mean name?"),
      ("3:16", "model.hidden_size: expected an integer from 1 to 65536, found \"128\""),
      ("4:11", "model.layers: expected an integer"),
      ("5:10", "model.heads: expected an integer from 1 to"),
      ("6:13", "model.kv_heads: expected an integer from 1 to"),
      ("7:1", "unknown key \"optimiser\"; did you mean optimizer?"),
      ("10:18", "optimizer.learning_rate: expected a number above 0"),
      ("11:13", "optimizer.schedule: expected one of constant, linear, cosine, found \"cosin\""),
      ("12:10", "optimizer.beta1: expected a number from 0.0 to below 1.0"),
      ("13:1", "set exactly one of training.steps and training.epochs"),
      ("14:3", "unknown key \"training.learning_rate\"; did you mean optimizer.learning_rate?"),
      ("15:11", "training.grains: expected an integer that is a power of two"),
      ("16:3", "unknown key \"training.grobal_batch\"; did you mean training.global_batch?"),
      ("17:12", "objective: expected a section with the keys name, lambda, flow"),
      ("19:9", "data.path: expected text that is not empty, or null"),
      ("22:14", "checkpoint.keep_best: expected true or false, found \"yes\""),
      ("23:1", "unknown key \"7\""),
    ]
    #expect(found.count == expected.count, "\(found.joined(separator: "\n"))")
    for (line, wanted) in zip(found, expected) { #expect(line.hasPrefix("r.yaml:\(wanted.place): \(wanted.part)")) }
  }

  @Test func repeatedKeysDoNotHideOtherProblems() {
    let yaml = """
      data: {generated: 10, "generated": 20}
      training:
        steps: 1
        steps: 2
        steps: 3
        seed: -1
      runs: a
      runs: b
      """
    let found = problems(yaml)
    #expect(found.count == 5, "\(found.joined(separator: "\n"))")
    #expect(found.first == "r.yaml:1:8: generated is given again further down; keep one")
    #expect(found.contains("r.yaml:3:3: steps is given again further down; keep one"))
    #expect(found.contains("r.yaml:4:3: steps is given again further down; keep one"))
    #expect(found.contains { $0.hasPrefix("r.yaml:6:9: training.seed: expected an integer that is not negative") })
    #expect(found.last == "r.yaml:7:1: runs is given again further down; keep one")
  }

  @Test(arguments: [
    ("training: {steps: 10]}", "r.yaml:1:21: not valid YAML: "),
    ("- training", "r.yaml:1:1: expected a mapping"),
    ("", "r.yaml:1:1: set exactly one of data.path and data.generated"),
    ("a: 1\n---\nb: 2\n", "r.yaml:2:1: not valid YAML: "),
    ("{[a]: 1, [a]: 2}", "r.yaml:1:2: "),
    ("\u{0}", "r.yaml:1:1: not valid YAML: "),
  ])
  func brokenFiles(yaml: String, first: String) {
    #expect(problems(yaml).first?.hasPrefix(first) ?? false, "\(problems(yaml))")
  }

  /// Recursion over nested nodes must not reach the end of the stack.
  @Test func deepNesting() {
    #expect(!problems(String(repeating: "[", count: 60_000)).isEmpty)
    #expect(!problems(String(repeating: "[", count: 30_000) + String(repeating: "]", count: 30_000)).isEmpty)
  }

  /// Texts that the library would read for minutes: an alias for all keys of the one before, keys within keys.
  @Test(
    .timeLimit(.minutes(1)),
    arguments: [
      "x0: &x0 [a]\n"
        + (1...40).map { "x\($0): &x\($0) [*x\($0 - 1), *x\($0 - 1)]\n" }.joined() + "*x40 : y\n",
      String(repeating: "? ", count: 900) + "[" + String(repeating: "a,", count: 30_000) + "]",
      (0..<40).map { row in
        String(repeating: "[", count: 200) + "a" + String(repeating: "]: 0", count: 199) + "]: \(row)\n"
      }.joined(),
    ])
  func textsThatMultiplyAreRefused(yaml: String) {
    let found = problems(yaml)
    #expect(found.count == 1 && found[0].hasPrefix("r.yaml:1:1: expected at most"), "\(found)")
  }

  @Test func aFewAliasesAreRead() throws {
    let recipe = try Recipe.read(yaml: valid + "\nreplay: {capacity: &n 50, staleness: *n}\n", file: "r.yaml")
    #expect(recipe.replay.capacity == 50 && recipe.replay.staleness == 50)
    // None of these is one.
    let template = String(repeating: "R&D: **so** and *so* on? *One or two* ", count: 12)
    let prompt = try Recipe.read(yaml: valid + "\nprompt: {template: \"\(template)\"}", file: "r.yaml").prompt
    #expect(prompt.template == template)
  }

  @Test(.timeLimit(.minutes(1))) func manyProblemsAreCounted() {
    let unknown = problems((0..<5000).map { "key\($0): x\n" }.joined())
    #expect(unknown.count == 101 && unknown.last?.hasPrefix("r.yaml: and 49") == true, "\(unknown.last ?? "")")
    let twice = problems((0..<3000).map { _ in "steps: 1\n" }.joined())
    #expect(!twice.isEmpty && twice.allSatisfy { $0.hasSuffix("is given again further down; keep one") })
  }

  /// What a file says stays within its line and is not shown at any length.
  @Test func problemsAreShort() {
    let long = String(repeating: "e\u{301}", count: 20_000)
    let texts = [
      "\"\\e[2J\": 1\n\"\\e[2J\": 2", "\(long): 1\n\(long): 2", "name: x\n\u{7}: y",
      "runs: \"\(long)\"\ndata: {generated: \(long)}",
    ]
    for line in texts.flatMap({ problems($0) }) + problems(valid, "a\tb=\(long)") {
      #expect(
        line.unicodeScalars.count < 1000 && !line.unicodeScalars.contains { $0.properties.generalCategory == .control })
    }
    #expect(problems("name: x\n \u{7}: y").first == "r.yaml:2:2: not valid YAML: control characters are not allowed")
  }

  @Test func aPipeIsNotWaitedFor() throws {
    let scratch = try ScratchDirectory()
    mkfifo(scratch("config.yaml"), 0o600)
    let error = flowerError { _ = try Recipe.read(path: scratch("config.yaml")) }
    #expect(error?.description == "\(scratch("config.yaml")): cannot read the recipe: not a file")
  }

  @Test func overridesWinAndTheLastOneMost() throws {
    let recipe = try Recipe.read(
      yaml: valid, file: "r.yaml",
      overrides: [
        "optimizer.learning_rate=1e-4", "training.steps=", "training.steps=20", "training.steps=30",
        "prompt.template=\"a=b: {history}\\nNext:\"", "name=other", "model.head_dim=~", "runs=7",
      ])
    #expect(recipe.optimizer.learningRate == 1e-4)
    #expect(recipe.training.steps == 30)
    #expect(recipe.prompt.template == "a=b: {history}\nNext:")
    #expect(recipe.name == "other")
    #expect(recipe.runs == "7")
  }

  @Test func overridesHaveTheirPlace() {
    #expect(
      problems(valid, "optimizer.learnig_rate=1", "seed", "optimizer=3", "training.grains=64", "data.path=a: b") == [
        "--set optimizer.learnig_rate=1: unknown key \"optimizer.learnig_rate\"; "
          + "did you mean optimizer.learning_rate?",
        "--set seed: expected key=value",
        "--set optimizer=3: \"optimizer\" is a section; set one of its keys: learning_rate, schedule, warmup_steps, "
          + "final_fraction, weight_decay, beta1, beta2, epsilon, clip_norm",
        "--set data.path=a: b: expected text that is not empty, or null; "
          + "put text that YAML reads otherwise in quotes",
        "--set training.grains=64: training.global_batch must be a multiple of training.grains",
      ])
  }

  @Test func missingFileIsNamed() {
    #expect { try Recipe.read(path: "no/such/recipe.yaml") } throws: {
      ($0 as? FlowerError)?.kind == .usage && "\($0)".hasPrefix("no/such/recipe.yaml: cannot read the recipe")
    }
  }
}

@Suite struct ShippedRecipeTests {
  @Test func allAreValid() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../recipes").standardized
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".yaml") }
    #expect(files.contains("quickstart-next-flower.yaml"))
    for file in files {
      let recipe = try Recipe.read(path: folder.appending(path: file).path)
      #expect(recipe.name + ".yaml" == file)
    }
  }
}

@Suite struct RecipeRuleTests {
  /// Each combination is refused where it is said, and one step beside it is accepted.
  @Test(arguments: [
    (wrong: "model.kv_heads=3", right: "model.kv_heads=4"),
    (wrong: "model.hidden_size=130", right: "model.hidden_size=136"),
    (wrong: "model.hidden_size=132", right: "model.hidden_size=136"),
    (wrong: "model.head_dim=3", right: "model.head_dim=6"),
    (wrong: "data.path=a", right: "data.generated=2"),
    (wrong: "data.generated=0", right: "data.generated=2"),
    (wrong: "prompt.template={history} {history}", right: "prompt.template='{history} {'"),
    (wrong: "training.epochs=1", right: "training.steps=1"),
    (wrong: "training.steps=null", right: "training.steps=1"),
    (wrong: "training.global_batch=12", right: "training.global_batch=24"),
    (wrong: "validation.patience=1", right: "validation.patience=0"),
    (wrong: "objective.flow=terminating", right: "objective.flow=tree"),
    (wrong: "objective.theta=1.01", right: "objective.theta=1"),
    (wrong: "optimizer.clip_norm=-1", right: "optimizer.clip_norm=0"),
    (wrong: "optimizer.learning_rate=nan", right: "optimizer.learning_rate=1"),
    (wrong: "name=../x", right: "name=x..y"),
    (wrong: "evaluation.beam=10", right: "evaluation.beam=20"),
    (wrong: "objective.label_smoothing=0.5", right: "objective.rejected=null"),
    (wrong: "evaluation.guidance=1.1", right: "evaluation.score=published"),
    (wrong: "trajectories.source=weight 0.5, weights 0.5", right: "trajectories.source=weight 0.5, uniform 0.5"),
    (wrong: "trajectories.source=weight 1 to 0 over 9", right: "trajectories.source=weight 1 to 0.1 over 9"),
    (wrong: "replay.capacity=0", right: "replay.capacity=1"),
  ])
  func refusedAlone(wrong: String, right: String) throws {
    _ = try Recipe.read(yaml: valid, file: "r.yaml", overrides: [right])
    let found = problems(valid, wrong.replacing("={", with: "='{") + (wrong.contains("={") ? "'" : ""))
    #expect(!found.isEmpty && found.allSatisfy { $0.hasPrefix("--set ") }, "\(found)")
  }

  @Test func pairs() {
    #expect(problems(valid, "objective.name=vargrad", "trajectories.count=1").count == 1)
    #expect(problems(valid, "objective.name=vargrad", "trajectories.count=2").isEmpty)
    #expect(problems(valid, "tokenizer.kind=bytes", "tokenizer.terminator=ab").count == 1)
    #expect(problems(valid, "data.generated_examples=90", "prompt.template=Next").count == 1)
    #expect(problems(valid, "prompt.template=Next").isEmpty)
    #expect(problems(valid, "validation.every=1", "validation.metric=hr@10").count == 1)
    #expect(problems(valid, "training.steps=null", "training.epochs=1").count == 1)
    #expect(problems(valid, "training.steps=null", "training.epochs=1", "data.generated_examples=90").isEmpty)
    #expect(problems(valid, "training.batching=user").count == 1)
    #expect(problems(valid, "training.batching=user", "data.generated_examples=90").isEmpty)
    #expect(
      problems(valid, "training.batching=user", "data.generated_examples=90", "prompt.history_length=7").count == 1)
    #expect(problems(valid, "objective.flow=terminating", "objective.support=catalogue").count == 1)
    #expect(problems(valid, "objective.flow=terminating", "objective.support=vocabulary").isEmpty)
    #expect(problems(valid, "objective.granularity=2", "objective.name=soft").count == 1)
    #expect(problems(valid, "objective.granularity=2", "objective.name=db").isEmpty)
    #expect(problems(valid, "objective.name=dpo").count == 1)
    #expect(problems(valid, "objective.name=dpo", "objective.reference=m").isEmpty)
    #expect(problems(valid, "objective.name=dpo", "model.path=m").isEmpty)
    #expect(problems(valid, "objective.name=s_dpo", "model.path=m", "objective.label_smoothing=0.1").count == 1)
    #expect(problems(valid, "objective.name=rose_po", "model.path=m", "objective.label_smoothing=0.1").isEmpty)
    #expect(problems(valid, "objective.name=ppo", "model.path=m").count == 1)
    #expect(problems(valid, "objective.name=ppo", "model.path=m", "trajectories.source=policy").isEmpty)
    #expect(
      problems(
        valid, "objective.name=grpo", "model.path=m", "trajectories.source=policy", "trajectories.count=1",
        "trajectories.temperature=1.5"
      ).count == 2)
    #expect(
      problems(
        valid, "objective.name=ppo", "model.path=m", "trajectories.source=policy", "objective.support=vocabulary"
      ).count == 1)
    #expect(problems(valid, "objective.name=dpo", "model.path=m", "objective.granularity=2").count == 1)
    #expect(problems(valid, "objective.reference=m").count == 1, "nothing reads it")
    #expect(problems(valid, "objective.rejected=2").count == 1, "nothing reads it")
    #expect(problems(valid, "objective.prefix_titles=published").count == 1)
    #expect(problems(valid, "objective.sft_weight=ifairlrs", "objective.theta=0").count == 1)
    #expect(problems(valid, "objective.sft_weight=ifairlrs", "objective.theta=0.5").isEmpty)
    #expect(problems(valid, "trajectories.source=replay 0.5, weight 0.5", "replay.feed=policy").count == 1)
    #expect(problems(valid, "reward.flow_rule=published").count == 1)
    #expect(problems(valid, "reward.flow_rule=published", "reward.weight=power").count == 1)
    #expect(problems(valid, "reward.flow_rule=published", "reward.weight=add_log").isEmpty)
    #expect(problems(valid, "reward.flow_rule=published", "reward.weight=divide", "objective.name=soft").count == 1)
    #expect(problems(valid, "reward.weight=file").count == 1)
    #expect(problems(valid, "reward.file=w.jsonl").count == 1)
    #expect(problems(valid, "reward.weight=file", "reward.file=w.jsonl").isEmpty)
    #expect(problems(valid, "trajectories.source=replay").count == 1)
    #expect(problems(valid, "trajectories.source=replay 0.5, weight 0.5").isEmpty)
    #expect(problems(valid, "trajectories.source=weight 0.7, uniform 0.7, policy rest").count == 1)
    #expect(problems(valid, "trajectories.source=policy", "reward.smoothing=0").count == 1)
    for (size, count) in [(1, 1), (2, 0)] {
      let found = problems(
        valid, "data.generated_examples=90", "training.grains=1", "training.global_batch=\(size)",
        "trajectories.source=targets 0.5, weight 0.5")
      #expect(found.count == count, "\(found)")
    }
    #expect(problems(valid, "trajectories.source=targets").count == 1, "there are no next items without histories")
    // A model that is loaded brings its own shape.
    #expect(problems(valid, "model.kv_heads=3", "model.path=m").isEmpty)
  }
}

@Suite struct RecipeFieldTests {
  /// `hiddenSize` becomes `hidden_size`.
  private func snakeCase(_ name: String) -> String {
    name.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
  }

  /// The table names every stored property of the value types, in their order, and nothing else.
  @Test func tableCoversTheRecipe() {
    var keys: [String] = []
    for child in Mirror(reflecting: Recipe()).children {
      let name = snakeCase(child.label ?? "")
      let fields = Mirror(reflecting: child.value).children.compactMap(\.label)
      // A string has no stored properties to show; a section has.
      keys += child.value is String ? [name] : fields.map { "\(name).\(snakeCase($0))" }
    }
    #expect(RecipeField.all.map(\.key) == keys)
  }

  /// Rules refer to the table by key path; a path outside it would never be shown.
  @Test func rulesReferToFields() {
    for rule in RecipeRule.all { #expect(rule.fields.allSatisfy { RecipeField.at($0) != nil }, "\(rule.message)") }
  }

  /// Writes the value that each field has in one recipe into another.
  @Test func eachFieldReadsWhatItWrites() {
    let changed = everythingChanged()
    var copy = Recipe()
    for field in RecipeField.all {
      let text = field.yaml(changed)
      #expect(text != field.yaml(Recipe()), "\(field.key) is not changed by this test")
      let isText = text.hasPrefix("\"")
      let scalar = RecipeScalar(text: isText ? String(text.dropFirst().dropLast()) : text, isPlain: !isText)
      #expect(field.read(scalar, &copy), "\(field.key)")
    }
    #expect(copy == changed)
  }

  @Test func resolvedRecipeReadsAsItself() throws {
    var recipe = try Recipe.read(yaml: valid, file: "r.yaml")
    #expect(try Recipe.read(yaml: recipe.yaml, file: "config.yaml") == recipe)
    recipe.prompt.template = "\u{1}\t\"\\: #'{history}\r\n\u{85}\u{2028}é🌸\u{FEFF}\u{FFFF}"
    recipe.prompt.separator = ""
    recipe.runs = "~"
    recipe.optimizer.learningRate = 0.1 + 0.2
    recipe.training.seed = .max
    recipe.model.headDim = 64
    let again = try Recipe.read(yaml: recipe.yaml, file: "config.yaml")
    #expect(again == recipe)
    #expect(Array(again.prompt.template.utf8) == Array(recipe.prompt.template.utf8))
  }

  /// Differs from the default in every field; not a valid combination.
  private func everythingChanged() -> Recipe {
    var recipe = Recipe()
    recipe.name = "n"
    recipe.runs = "r"
    recipe.model = .init(
      path: "m", architecture: .llama, hiddenSize: 1, layers: 1, heads: 1, kvHeads: 1, headDim: 2, intermediateSize: 1,
      tieEmbeddings: false, ropeTheta: 1, rmsNormEps: 0.5, initialStd: 1)
    recipe.lora = .init(rank: 1, alpha: 1, targets: ModuleSet([.q]))
    recipe.data = .init(path: "d", generated: 2, generatedExamples: 10)
    recipe.prompt = .init(template: "t", separator: "s", historyLength: 1, maxTokens: 1)
    recipe.tokenizer = .init(path: "t", kind: .bytes, vocabularySize: 256, terminator: "x")
    recipe.objective = .init(
      name: .tb, lambda: 0.5, flow: .terminating, prefixTitles: .published, granularity: 2, support: .vocabulary,
      sftSupport: .catalogue, sftWeight: .ifairlrs, theta: 0.5, beta: 0.5, rejected: 2, labelSmoothing: 0.1,
      reference: "f")
    recipe.reward = .init(
      weight: .power, flowRule: .published, file: "w", smoothing: 0, beta: 0, gamma: 0, c: 0, score: .file,
      scorePath: "p", scoreValues: .logits)
    recipe.trajectories = .init(source: .init(.policy), count: 1, temperature: 2, samplers: 1)
    recipe.replay = .init(feed: .policy, capacity: 1, staleness: 1, priorityExponent: 0)
    recipe.optimizer = .init(
      learningRate: 1, schedule: .linear, warmupSteps: 0, finalFraction: 1, weightDecay: 0, beta1: 0, beta2: 0,
      epsilon: 1, clipNorm: 0)
    recipe.training = .init(
      globalBatch: 1, grains: 1, batching: .user, userTargets: 1, microBatch: 1, activationCheckpointing: true,
      arithmetic: .bf16x6, steps: 1,
      epochs: 1, seed: 0, logEvery: 1, nonfiniteLimit: 1, deadline: 5, checkWeightsEvery: 7)
    recipe.communication = .init(overlap: false, compress: .bf16)
    recipe.validation = .init(every: 1, metric: .ndcgAt10, examples: 1, patience: 1)
    recipe.checkpoint = .init(every: 1, keep: 3, keepBest: false, background: false)
    (recipe.evaluation.beam, recipe.evaluation.excludeHistory, recipe.evaluation.examples) = (21, true, 1)
    (recipe.evaluation.score, recipe.evaluation.lengthPenalty) = (.published, 1)
    (recipe.evaluation.guidance, recipe.evaluation.temperature) = (0.5, 2)
    return recipe
  }
}
