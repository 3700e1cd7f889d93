import Foundation
import Testing

@testable import FlowerDist

/// The engine against Hugging Face's models in PyTorch (Fixtures/twin, made by Tests/Twin/make_fixtures.py).
@Suite struct TwinTests {
  static let directory = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/twin")

  static let cases: [(model: String, name: String)] = {
    let models = try! FileManager.default.contentsOfDirectory(atPath: directory.path()).sorted()
    return models.flatMap { model -> [(String, String)] in
      let files = (try? FileManager.default.contentsOfDirectory(atPath: directory.appending(path: model).path())) ?? []
      // The terminating flow is not implemented yet: recipes that name it are refused.
      return files.sorted().filter {
        $0.hasPrefix("case-") && $0.hasSuffix(".json") && !$0.contains("terminating")
      }.map { (model, $0) }
    }
  }()

  @Test func fixturesAreThere() { #expect(Self.cases.count >= 15) }

  @Test(arguments: cases) func agrees(model: String, name: String) throws {
    let folder = Self.directory.appending(path: model)
    let transformer = try Self.model(folder)
    let language = LanguageModel(transformer)
    let file = try JSON(parsing: Array(Data(contentsOf: folder.appending(path: name))))
    let input = file["input"]!
    let expected = file["expected"]!
    if let sequences = input["sequences"] {
      try Self.checkSequences(sequences.array!, expected["sequences"]!.array!, language)
      return
    }
    let twin = try TwinCase(input)
    var titles = TitleForest(twin.tree)
    for prompt in twin.prompts { _ = titles.addPrompt(prompt) }
    twin.read(in: &titles)
    titles.tree.checkInvariants()
    let logProbabilities = language.score(titles, training: true)
    let scored = ScoredForest(logProbabilities: logProbabilities, prompts: twin.scored(titles))
    let output = twin.objective.evaluate(scored, scale: 1 / Double(twin.prompts.count))

    let loss = output.losses.reduce(0, +) / Double(output.losses.count)
    let wanted = expected["loss"]!.double!
    #expect(abs(loss - wanted) < 1e-5 * max(1, abs(wanted)), "loss \(loss), expected \(wanted)")
    let entries = expected["prompts"]?.array ?? [expected]
    for (prompt, entry) in zip(scored.prompts, entries) {
      for (trajectory, values) in zip(
        twin.usesTargetsOnly ? prompt.targets : prompt.trajectories, entry["trajectories"]?.array ?? [])
      {
        let policy = trajectory.logPolicy(logProbabilities)
        let reference = values["log_policy"]!.array!.map { $0.double! }
        #expect(policy.count == reference.count)
        for (a, b) in zip(policy, reference) { #expect(abs(a - b) < 1e-5, "log π \(a), expected \(b)") }
        if let rewards = values["log_token_reward"]?.array {
          for (a, b) in zip(prompt.rewards.logRewards(toLeaf: trajectory.leaf), rewards) {
            #expect(abs(a - b.double!) < 1e-12)
          }
        }
      }
    }

    let gradient = FloatArena(count: transformer.layout.count)
    language.backward(
      titles.forest, titles.readouts, gradient: output.gradient, into: gradient)
    let reference = try SafeTensorsReader(
      path: folder.appending(path: name.replacing(".json", with: ".gradients.safetensors")).path())
    for parameter in transformer.layout.parameters {
      var values = [Float](repeating: 0, count: parameter.count)
      try values.withUnsafeMutableBufferPointer {
        try reference.read(reference.tensor(parameter.name, shape: parameter.shape), into: $0)
      }
      let scale = max(values.map { abs($0) }.max()!, 1e-3)
      let distance = zip(values, gradient.view(parameter.range)).map { abs($0 - $1) }.max()!
      #expect(distance < 2e-4 * scale, "\(parameter.name): off by \(distance) of \(scale)")
    }
  }

  static func model(_ folder: URL) throws -> Transformer {
    let transformer = Transformer(try ModelConfiguration(directory: folder.path()))
    let weights = try SafeTensorsReader(path: folder.appending(path: "model.safetensors").path())
    for parameter in transformer.layout.parameters {
      try weights.read(
        weights.tensor(parameter.name, shape: parameter.shape), into: transformer.weights.view(parameter.range))
    }
    return transformer
  }

  static func checkSequences(_ sequences: [JSON], _ expected: [JSON], _ language: LanguageModel) throws {
    for (sequence, values) in zip(sequences, expected) {
      let tokens = sequence["tokens"]!.array!.map { Int32($0.int!) }
      var forest = Forest()
      var readouts = Readouts()
      _ = forest.addTrunk(tokens)
      var offsets: [Int] = []
      for row in 0..<tokens.count - 1 {
        let set = readouts.addSet([tokens[row + 1]])
        offsets.append(readouts.add(query: forest.read(row), set: set, support: .vocabulary))
      }
      language.begin(rows: tokens.count, queries: tokens.count, training: false)
      let result = offsets.isEmpty ? [] : language.score(forest, readouts)
      let reference = values["log_probs"]!.array!.map { $0.double! }
      #expect(reference.count == result.count)
      for (a, b) in zip(result, reference) { #expect(abs(a - b) < 2e-5) }
    }
  }
}

/// A case of the twin, read into the engine's terms.
private struct TwinCase {
  var tree: CatalogueTree
  var prompts: [[Int32]]
  var items: [[Int]]
  var targets: [[Int]]
  var weights: [[Double]]
  var support: Recipe.Objective.Support
  var supervisedSupport: Recipe.Objective.Support
  var objective: TrainingObjective
  var usesTargetsOnly: Bool

  init(_ input: JSON) throws {
    func integers(_ json: JSON) -> [Int] { json.array!.map { $0.int! } }
    let t = input["trajectories"]!
    let catalogue = t["catalogue"]!.array!
    tree = try CatalogueTree(
      titles: catalogue.map { integers($0["tokens"]!).map { Int32($0) } }, terminator: Int32(t["terminator"]!.int!))
    prompts = (t["prompts"]?.array ?? [t["prompt"]!]).map { integers($0).map { Int32($0) } }
    items = t["prompts"] != nil ? t["items"]!.array!.map(integers) : [integers(t["items"]!)]
    if let several = t["targets"] {
      targets = integers(several).map { [$0] }
    } else {
      targets = [t["target"].map { [$0.int!] } ?? []]
    }
    let shared = catalogue.map { $0["weight"]!.double! }
    weights = t["weights"]?.array.map { $0.map { $0.array!.map { $0.double! } } } ?? prompts.map { _ in shared }
    let o = input["objective"]!
    let name = o["name"]!.string!
    support = Recipe.Objective.Support(rawValue: o["support"]!.string!)!
    supervisedSupport = o["sft_support"].map { Recipe.Objective.Support(rawValue: $0.string!)! } ?? support
    let flow: TrainingObjective.FlowTerm? =
      switch name {
      case "subtb": .balance(.subTrajectory(lambda: o["lambda"]!.double!))
      case "tb": .balance(.trajectory)
      case "db": .balance(.detailed)
      case "vargrad": .balance(.logVariance)
      case "soft": .soft
      default: nil
      }
    usesTargetsOnly = flow == nil
    objective = TrainingObjective(flow: flow, theta: o["theta"]?.double ?? 0)
    if targets.count < prompts.count { targets = prompts.map { _ in [] } }
  }

  func leaf(_ item: Int) -> Int { Int(tree.leafOfItem[item]) }

  func read(in titles: inout TitleForest) {
    for prompt in prompts.indices {
      if objective.usesFlow {
        for item in items[prompt] { titles.addTitle(prompt: prompt, leaf: leaf(item), support: support) }
      }
      if objective.usesTargets {
        for item in targets[prompt] { titles.addTitle(prompt: prompt, leaf: leaf(item), support: supervisedSupport) }
      }
    }
  }

  func scored(_ titles: TitleForest) -> [ScoredPrompt] {
    prompts.indices.map { prompt in
      var byLeaf = [Double](repeating: 0, count: tree.leafCount)
      for (item, weight) in weights[prompt].enumerated() { byLeaf[leaf(item)] += weight }
      return ScoredPrompt(
        trajectories: objective.usesFlow
          ? items[prompt].map {
            Trajectory(leaf: leaf($0), prompt: prompt, in: titles, support: support)
          } : [],
        targets: objective.usesTargets
          ? targets[prompt].map {
            Trajectory(leaf: leaf($0), prompt: prompt, in: titles, support: supervisedSupport)
          } : [],
        rewards: TokenRewards(tree, weights: byLeaf))
    }
  }
}
