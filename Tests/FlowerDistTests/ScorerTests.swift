import Foundation
import Testing

@testable import FlowerDist

/// What the verb `score` reads, computes and refuses; the twin's cases are in TwinTests.
@Suite struct ScorerTests {
  static let configuration = ModelConfiguration.awkward[0]
  static let vocabulary = configuration.vocabularySize
  static var transformer: Transformer { .random(configuration, seed: 4) }

  static func request(_ json: JSON) throws -> ScoreRequest {
    try ScoreRequest(json, file: "in.json", vocabularySize: vocabulary)
  }

  static func request(_ text: String) throws -> ScoreRequest { try request(JSON(parsing: Array(text.utf8))) }

  static func score(_ json: JSON) throws -> ScoreResult {
    try Scorer(LanguageModel(transformer)).score(request(json))
  }

  // MARK: - Sequences

  /// More rows than are computed at once, and sequences of one token among them.
  @Test func sequencesAreThePlainModels() throws {
    var random = SeededRandom(3)
    var sequences = [5, 1, 2, 12, 1].map { random.tokens($0, below: Self.vocabulary) }
    sequences += (0..<200).map { _ in sequences[0] + sequences[2] + sequences[3] }
    let result = try Self.score([
      "sequences": JSON(sequences.map { ["tokens": JSON($0.map { JSON($0) })] }), "top": 4,
    ])
    let model = ReferenceTransformer(Self.transformer)
    for (index, tokens) in sequences.enumerated() where index < 6 || index == sequences.count - 1 {
      let scores = result.sequences![index]
      let rows = model.logits(tokens).map { logits in
        let logSum = log(logits.reduce(0) { $0 + exp($1) })
        return logits.map { $0 - logSum }
      }
      expectAgreement(
        scores.logProbabilities, zip(rows, tokens.dropFirst()).map { $0[Int($1)] }, tolerance: 1e-5)
      #expect(scores.top?.count == tokens.count - 1)
      for (top, row) in zip(scores.top!, rows) {
        let best = row.indices.sorted { row[$0] > row[$1] }.prefix(4)
        #expect(top.map(\.token) == Array(best))
        expectAgreement(top.map(\.logProbability), best.map { row[$0] }, tolerance: 1e-5)
      }
    }
    #expect(result.sequences!.count == sequences.count)
    #expect(result.trajectories == nil)
  }

  @Test(arguments: [0, 3]) func sequencesInWhichNothingFollows(top: Int) throws {
    let sequences = try Self.score(["sequences": [["tokens": [0]], ["tokens": [7]]], "top": JSON(top)]).sequences!
    #expect(sequences.map(\.logProbabilities) == [[], []])
    #expect(sequences.allSatisfy { $0.top?.isEmpty ?? (top == 0) })
  }

  @Test func topIsWrittenAsTokensWithTheirLogProbabilities() {
    let result = ScoreResult(sequences: [
      .init(logProbabilities: [-0.5, -.infinity], top: [[(7, -0.5), (2, -1.5)], [(0, -0.25)]]),
      .init(logProbabilities: [], top: nil),
    ])
    #expect(
      result.json.description == """
        {"sequences":[{"log_probs":[-0.5,null],"top":[[{"token":7,"log_prob":-0.5},{"token":2,"log_prob":-1.5}],\
        [{"token":0,"log_prob":-0.25}]]},{"log_probs":[]}]}
        """)
  }

  // MARK: - Trajectories

  /// Titles with shared beginnings, one inside others; the last is there twice, so that it is one leaf of weight 3.
  static let titles: [[Int]] = [[5, 6], [5], [5, 6, 7, 8], [9, 9], [9, 9]]
  static let weights = [2.0, 5, 1, 1, 2]

  static func input(
    _ objective: JSON, _ more: [JSON.Member] = [], prompt: JSON? = [1, 2, 3], items: JSON = [0, 2, 3],
    weights: [Double] = Self.weights, gradients: Bool = false
  ) -> JSON {
    let catalogue = zip(titles, weights).map { title, weight in
      JSON.object([.init("tokens", JSON(title.map { JSON($0) })), .init("weight", JSON(weight))])
    }
    var trajectories: [JSON.Member] = [
      .init("terminator", 4), .init("catalogue", JSON(catalogue)), .init("items", items),
    ]
    if let prompt { trajectories.append(.init("prompt", prompt)) }
    return [
      "trajectories": .object(trajectories + more), "objective": objective, "gradients": JSON(gradients),
    ]
  }

  static func trajectories(_ json: JSON) throws -> ScoreResult.Trajectories { try score(json).trajectories! }

  /// Many prompts, which are computed in several forests, against each by itself.
  @Test func promptsAreAsIfAlone() throws {
    let prompts = (0..<37).map { JSON((0...($0 % 5)).map { JSON($0 + 10) }) }
    let items: [JSON] = (0..<37).map { [JSON($0 % 5), JSON(($0 + 2) % 5)] }
    let objective: JSON = ["name": "subtb", "lambda": 0.9, "theta": 0.25]
    let targets = JSON((0..<37).map { JSON(($0 + 1) % 5) })
    let together = try Self.trajectories(
      Self.input(
        objective, [.init("prompts", JSON(prompts)), .init("targets", targets)], prompt: nil, items: JSON(items),
        gradients: true))
    let alone = try prompts.indices.map {
      try Self.trajectories(
        Self.input(objective, [.init("target", targets.array![$0])], prompt: prompts[$0], items: items[$0]))
    }
    expectAgreement(together.prompts.map(\.loss), alone.map(\.loss), tolerance: 1e-5)
    #expect(abs(together.loss - alone.map(\.loss).reduce(0, +) / 37) < 1e-5)
    #expect(together.isList && !alone[0].isList)

    // The gradient is that of the mean loss: of its square length, by moving all weights along it.
    let transformer = Self.transformer
    let gradient = FloatArena(count: transformer.layout.count)
    let request = try Self.request(
      Self.input(
        objective, [.init("prompts", JSON(prompts)), .init("targets", targets)], prompt: nil, items: JSON(items))
    ).trajectories!
    _ = try Scorer(LanguageModel(transformer)).score(request, into: gradient)
    let square = gradient.all.reduce(0) { $0 + Double($1) * Double($1) }
    let norms = together.gradientNorms!.reduce(0) { $0 + $1.norm * $1.norm }
    #expect(abs(square - norms) < 1e-9 * norms)
    let moved = Transformer(Self.configuration)
    func loss(_ step: Float) throws -> Double {
      for i in 0..<gradient.count { moved.weights.base[i] = transformer.weights.base[i] + step * gradient.base[i] }
      return try Scorer(LanguageModel(moved)).score(request, into: nil).loss
    }
    let step: Float = 0.002 / Float(square.squareRoot())
    let slope = (try loss(step) - loss(-step)) / (2 * Double(step))
    #expect(abs(slope - square) < 0.01 * square, "\(slope), expected \(square)")
  }

  /// With θ = 1 the flow term is reported though it is not in the loss.
  @Test func partsOfAMixture() throws {
    func mixture(_ theta: Double) throws -> ScoreResult.Prompt {
      try Self.trajectories(
        Self.input(["name": "tb", "theta": JSON(theta), "sft_support": "catalogue"], [.init("target", 2)])
      ).prompts[0]
    }
    let (none, half, all) = (try mixture(0), try mixture(0.5), try mixture(1))
    for mixture in [none, half, all] {
      #expect(mixture.flowLoss == none.flowLoss && mixture.supervised?.loss == none.supervised?.loss)
    }
    #expect(abs(none.loss - none.flowLoss!) < 1e-12 && all.loss == all.supervised?.loss)
    #expect(abs(half.loss - (none.loss + all.loss) / 2) < 1e-12)
    let plain = try Self.trajectories(Self.input(["name": "tb"], [.init("target", 2)])).prompts[0]
    #expect(plain.loss == none.loss && plain.supervised == nil && plain.flowLoss == nil)
  }

  @Test func aTitleThatIsThereTwiceIsOneLeaf() throws {
    let result = try Self.trajectories(Self.input(["name": "subtb"], items: [3, 4]))
    let (a, b) = (result.prompts[0].trajectories[0], result.prompts[0].trajectories[1])
    #expect(a.logPolicy == b.logPolicy && a.loss == b.loss)
    expectAgreement([a.logTokenReward.reduce(0, +)], [log(3.0 / 11)], tolerance: 1e-14)
  }

  /// Where there is only one title nothing is left to choose, over the catalogue.
  @Test func aCatalogueOfOneTitle() throws {
    let result = try Self.trajectories([
      "trajectories": [
        "prompt": [1], "terminator": 4, "catalogue": [["tokens": [5, 6], "weight": 2.5]], "items": [0],
      ], "objective": ["name": "db"], "gradients": true,
    ])
    let trajectory = result.prompts[0].trajectories[0]
    #expect(trajectory.logPolicy == [0, 0, 0] && trajectory.residuals == [0, 0, 0] && result.loss == 0)
    #expect(trajectory.logTerminate == [-.infinity, -.infinity, 0])
    #expect(trajectory.logReward == [-.infinity, -.infinity, 0])
    #expect(result.gradientNorms!.allSatisfy { $0.norm == 0 })
  }

  @Test func runsOfTokensAreSumsOfTheirs() throws {
    let one = try Self.trajectories(Self.input(["name": "tb", "support": "vocabulary"])).prompts[0].trajectories[1]
    let two = try Self.trajectories(
      Self.input(["name": "tb", "support": "vocabulary", "granularity": 3])
    ).prompts[0].trajectories[1]
    #expect(one.residuals!.count == 5 && two.residuals!.count == 3)
    #expect(one.logPolicy == two.logPolicy)
    expectAgreement(
      two.residuals!, [one.residuals![0..<3].reduce(0, +), one.residuals![3], one.residuals![4]], tolerance: 1e-12)
    #expect(abs(one.loss - two.loss) < 1e-9)
  }

  // MARK: - Weights

  /// Shares of the four leaves, in the order of the titles, under weights that follow their formulas.
  @Test(arguments: ["power", "divide", "add_log", "popularity", "uniform"]) func weightsAreTheirFormulas(
    weight: String
  ) throws {
    let scores = [0.125, 0.5, 0.0625, 0.25, 0.0625]
    let objective: JSON = ["name": "tb", "weight": JSON(weight), "beta": 1.25, "gamma": 0.75, "c": 0.5]
    let result = try Self.trajectories(
      Self.input(objective, [.init("scores", JSON(scores.map { JSON($0) }))], items: [0, 1, 2, 3]))
    let shares = result.prompts[0].trajectories.map { exp($0.logTokenReward.reduce(0, +)) }
    expectAgreement(shares, Self.shares(weight, [0.125, 0.5, 0.0625, 0.3125]), tolerance: 1e-13)
  }

  /// Shares of the leaves with preferences p, which are above 0 and sum to one, in `input`'s weights and these exponents.
  static func shares(_ weight: String, _ p: [Double]) -> [Double] {
    let w = [2, 5, 1, 3].map { $0 / 11.0 }
    let (low, high, mean) = (p.min()!, p.max()!, p.reduce(0, +) / 4)
    let weights = zip(p, w).map { p, w -> Double in
      switch weight {
      case "power": pow(p, 1.25) * pow(w, -0.75)
      case "divide": pow(w, 1 / ((p - mean) / (high - low) + 1))
      case "add_log": w * pow((p - low) / (high - low) + 1e-20, 0.5)
      case "popularity": w
      default: 1
      }
    }
    return weights.map { $0 / weights.reduce(0, +) }
  }

  /// What is not preferred at all is a little, as in training: in proportion to popularity.
  @Test(arguments: ["power", "divide", "add_log"], [[0, 0.75, 0, 0.25, 0], [0, 0, 0, 0, 0]]) func noPreference(
    weight: String, scores: [Double]
  ) throws {
    let objective: JSON = ["name": "tb", "weight": JSON(weight), "beta": 1.25, "gamma": 0.75, "c": 0.5]
    let result = try Self.trajectories(
      Self.input(objective, [.init("scores", JSON(scores.map { JSON($0) }))], items: [0, 1, 2, 3]))
    let shares = result.prompts[0].trajectories.map { exp($0.logTokenReward.reduce(0, +)) }
    let floor = [2, 5, 1, 3].map { 1e-6 * $0 / 11.0 }
    let p = zip([scores[0], scores[1], scores[2], scores[3] + scores[4]], floor).map { max($0, $1) }
    expectAgreement(shares, Self.shares(weight, p), tolerance: 1e-12)
  }

  /// Flow rule `published`: every token's log-reward of a title is changed by the title's score.
  @Test(arguments: ["divide", "add_log"], ["tree", "terminating"]) func publishedFlowRule(
    weight: String, flow: String
  ) throws {
    let scores = [0.125, 0.5, 0.0625, 0.25, 0.0625]
    func prompt(_ more: [JSON.Member]) throws -> ScoreResult.Prompt {
      let objective: [JSON.Member] = [
        .init("name", "tb"), .init("flow", JSON(flow)), .init("support", "vocabulary"), .init("c", 0.5),
      ]
      let input = Self.input(
        .object(objective + more), [.init("scores", JSON(scores.map { JSON($0) }))], items: [0, 1, 2, 3])
      return try Self.trajectories(input).prompts[0]
    }
    let plain = try prompt([])
    let published = try prompt([.init("weight", JSON(weight)), .init("flow_rule", "published")])
    let p = [0.125, 0.5, 0.0625, 0.3125]
    let terms = p.map { p in
      weight == "divide" ? (1 / ((p - 0.25) / 0.4375 + 1), 0) : (1, 0.5 * log((p - 0.0625) / 0.4375 + 1e-20))
    }
    var products: [Double] = []
    for (index, (factor, offset)) in terms.enumerated() {
      let changed = plain.trajectories[index].logTokenReward.map { factor * $0 + offset }
      expectAgreement(published.trajectories[index].logTokenReward, changed, tolerance: 1e-12)
      products.append(exp(changed.reduce(0, +)))
    }
    let logTotal = log(products.reduce(0, +))
    for (trajectory, plain) in zip(published.trajectories, plain.trajectories) {
      expectAgreement(
        trajectory.logFlow,
        [0]
          + trajectory.logTokenReward.dropLast().reduce(into: [-logTotal]) {
            $0.append($0.last! + $1)
          }.dropFirst(), tolerance: 1e-12)
      // TB: the whole title against its product of rewards, and what the flow is normalised by.
      let policy = trajectory.logPolicy.reduce(0, +)
      let reward = trajectory.logTokenReward.reduce(0, +)
      let residual =
        flow == "tree"
        ? policy + logTotal - reward : -15 + policy - reward - plain.logTerminate[0]
      expectAgreement([trajectory.residuals!.reduce(0, +)], [residual], tolerance: 1e-10)
    }
  }

  /// Who prefers all leaves alike gets popularity; only `power` divides by it.
  @Test(arguments: [0.25, 1e-80]) func equalScores(score: Double) throws {
    let scores = JSON.Member("scores", JSON([score, score, score, score / 2, score / 2].map { JSON($0) }))
    func shares(_ weight: String) throws -> [Double] {
      let input = Self.input(["name": "tb", "weight": JSON(weight), "gamma": 0], [scores], items: [0, 1, 2, 3])
      return try Self.trajectories(input).prompts[0].trajectories.map { exp($0.logTokenReward.reduce(0, +)) }
    }
    let popularity = [2, 5, 1, 3].map { $0 / 11.0 }
    expectAgreement(try shares("divide"), popularity, tolerance: 1e-13)
    expectAgreement(try shares("add_log"), popularity, tolerance: 1e-13)
    expectAgreement(try shares("power"), [0.25, 0.25, 0.25, 0.25], tolerance: 1e-13)
  }

  /// What is preferred least of all still has a reward.
  @Test func extremeWeights() throws {
    let scores = JSON.Member("scores", [0, 1e100, 0, 1e-100, 0])
    for weight in ["power", "divide", "add_log"] {
      let objective: JSON = ["name": "subtb", "weight": JSON(weight), "beta": 100, "gamma": 100, "c": 100]
      let result = try Self.trajectories(
        Self.input(objective, [scores], weights: [1e-100, 1e100, 1, 1, 1], gradients: true))
      #expect(result.prompts[0].trajectories.allSatisfy { $0.logTokenReward.allSatisfy(\.isFinite) }, "\(weight)")
    }
  }

  @Test func personalWeightsByPrompt() throws {
    let result = try Self.trajectories(
      Self.input(
        ["name": "soft"],
        [.init("prompts", [[1], [2]]), .init("weights", [[1, 1, 1, 1, 1], [1, 2, 3, 4, 5]])], prompt: nil,
        items: [[0], [0]]))
    let shares = result.prompts.map { exp($0.trajectories[0].logTokenReward.reduce(0, +)) }
    expectAgreement(shares, [1.0 / 5, 1.0 / 15], tolerance: 1e-14)
  }

  // MARK: - What is refused

  static let title = #"{"tokens": [5], "weight": 1}"#
  /// A whole input in which parts are replaced.
  static func text(
    prompt: String = #""prompt": [1]"#, catalogue: String = "[\(title)]", items: String = "[0]", more: String = "",
    objective: String = #""name": "tb""#, root: String = ""
  ) -> String {
    """
    {"trajectories": {\(prompt), "terminator": 4, "catalogue": \(catalogue), "items": \(items)\(more)},
     "objective": {\(objective)}\(root)}
    """
  }

  @Test(arguments: [
    ("[]", "in.json is an array; expected an object"),
    ("{}", "in.json is an object; expected sequences or trajectories in it"),
    (#"{"sequence": []}"#, "did you mean sequences?"),
    (#"{"sequences": 3}"#, "in.json: sequences is 3; expected an array"),
    (#"{"sequences": [{"tokens": []}]}"#, "sequences[0].tokens has 0 tokens; expected 1 to"),
    (#"{"sequences": [{"tokens": [1, 37]}]}"#, "sequences[0].tokens[1] is 37; expected an integer from 0 to 36"),
    (#"{"sequences": [{"tokens": [1, -1]}]}"#, "sequences[0].tokens[1] is -1"),
    (#"{"sequences": [{"tokens": [1.0]}]}"#, "sequences[0].tokens[0] is 1.0"),
    (#"{"sequences": [{"tokens": [1], "tokes": 1}]}"#, "did you mean tokens?"),
    (#"{"sequences": [{"tokens": [99999999999999999999]}]}"#, "sequences[0].tokens[0] is 99999999999999999999"),
    (#"{"sequences": [{}]}"#, "sequences[0].tokens is missing; expected an array"),
    (#"{"sequences": [], "top": 38}"#, "top is 38; expected an integer from 0 to 37"),
    (#"{"sequences": [], "gradients": 1}"#, "gradients is 1; expected true or false"),
    (text(catalogue: "[]"), "trajectories.catalogue is empty"),
    (text(catalogue: #"[{"tokens": [5]}]"#), "catalogue[0].weight is missing; expected a number from"),
    (text(catalogue: #"[{"tokens": [5], "weight": 0}]"#), "catalogue[0].weight is 0"),
    (text(catalogue: #"[{"tokens": [5], "weight": 1e999}]"#), "catalogue[0].weight is 1e999"),
    (text(catalogue: #"[{"tokens": [5, 4], "weight": 1}]"#), "catalogue[0]: the title contains the terminator token 4"),
    (text(catalogue: #"[{"tokens": [], "weight": 1}]"#), "catalogue[0].tokens has 0 tokens"),
    (text(items: "[1]"), "items[0] is 1; expected an integer from 0 to 0"),
    (text(items: "[]"), "items is empty"),
    (text(prompt: #""prompt": []"#), "prompt has 0 tokens"),
    (text(prompt: #""prompt": null"#), "prompt is null; expected an array"),
    (text(more: #", "scores": [1, 2]"#), "scores has 2 numbers; expected 1, one for each entry"),
    (text(more: #", "scores": [-1]"#), "scores[0] is -1; expected a number from 0.0 to"),
    (text(more: #", "target": 1"#), "target is 1; expected an integer from 0 to 0"),
    (text(more: #", "targets": [0]"#), #"["targets"] is an array; expected no such key; did you mean target?"#),
    (text(prompt: #""prompts": []"#), "prompts is empty"),
    (text(prompt: #""prompts": [[1], [2]]"#), "items has 1 entries; expected 2, one for each prompt"),
    (text(prompt: #""prompts": [[1]]"#), "items[0] is 0; expected an array"),
    (text(objective: #""lambda": 1"#), "objective.name is missing; expected one of sft, subtb"),
    (text(objective: #""name": "SubTB""#), #"objective.name is "SubTB"; expected one of"#),
    (text(objective: #""name": "tb", "lamda": 1"#), "did you mean lambda?"),
    (text(objective: #""name": "tb", "lambda": "1""#), #"objective.lambda is "1"; expected a number"#),
    (text(objective: #""name": "tb", "lambda": true"#), "objective.lambda is true; expected a number"),
    (text(objective: #""name": "tb", "granularity": 0"#), "objective.granularity is 0; expected an integer from 1"),
  ])
  func malformed(text: String, message: String) {
    let error = flowerError { _ = try Self.request(text) }
    #expect(error?.kind == .data)
    #expect(error?.description.hasPrefix("in.json") == true)
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "accepted")")
  }

  @Test(arguments: [
    (text(objective: #""name": "tb", "flow": "terminating""#), "terminating needs objective.support vocabulary"),
    (text(objective: #""name": "dpo""#), "objective.name dpo needs a reference model"),
    (text(objective: #""name": "vargrad""#), "objective.name vargrad compares two or more"),
    (text(objective: #""name": "soft", "granularity": 2"#), "soft compares single tokens"),
    (text(objective: #""name": "tb", "weight": "power""#), "weight power needs trajectories.scores"),
    (text(objective: #""name": "tb", "flow_rule": "published""#), "flow_rule published is for weight divide"),
    (text(objective: #""name": "tb", "weight": "file""#), "weight file is of recipes"),
    (text(objective: #""name": "tb", "theta": 0.5"#), "theta needs trajectories.target"),
    (#"{"sequences": [], "objective": {"name": "tb"}}"#, "objective and gradients need trajectories"),
    (#"{"sequences": [], "gradients": true}"#, "objective and gradients need trajectories"),
    (text(root: #", "top": 3"#), "top lists tokens of sequences"),
  ])
  func impossible(text: String, message: String) {
    let error = flowerError { _ = try Self.request(text) }
    #expect(error?.kind == .usage)
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "accepted")")
  }

  /// The rules of a recipe that `score` shares speak of keys that it has.
  @Test func sharedRulesNameKeysOfTheRequest() {
    let others = RecipeField.all.filter { $0.section != nil && $0.section != "objective" }.map(\.key)
    for rule in RecipeRule.objective {
      #expect(others.allSatisfy { !rule.message.contains($0) }, "\(rule.message)")
    }
  }

  /// What the limits are for, in a file of a few hundred bytes and more.
  @Test func tooMuch() {
    let long = #"[{"tokens": [\#(repeatElement("5", count: 1024).joined(separator: ","))], "weight": 1}]"#
    let many = "[\(repeatElement("0", count: 200).joined(separator: ","))]"
    func error(prompts: Int) -> FlowerError? {
      func list(_ element: String) -> String { "[\(repeatElement(element, count: prompts).joined(separator: ","))]" }
      return flowerError {
        _ = try Self.request(Self.text(prompt: #""prompts": \#(list("[1]"))"#, catalogue: long, items: list(many)))
      }
    }
    #expect(error(prompts: 5) == nil)
    #expect(error(prompts: 6)?.kind == .data)
    #expect(error(prompts: 6)?.description.contains("items[5]: the titles so far have over 1048576") == true)
    let longer = long.replacing("[5,", with: "[5,5,")
    #expect(flowerError { _ = try Self.request(Self.text(catalogue: longer)) }?.kind == .data)
  }

  /// A prompt's titles are one forest, however few of them fill it.
  @Test func tooMuchForAPrompt() {
    let long = #"[{"tokens": [\#(repeatElement("5", count: 1024).joined(separator: ","))], "weight": 1}]"#
    let many = "[\(repeatElement("0", count: 256).joined(separator: ","))]"
    let error = flowerError { _ = try Self.request(Self.text(catalogue: long, items: many)) }
    #expect(error?.kind == .data && error?.description.contains("items: the titles have 262400 tokens") == true)
  }

  /// Sizes are counted before anything is made, as the forest would be.
  @Test(arguments: 0..<12) func sizesOfForests(seed: Int) throws {
    var random = SeededRandom(seed)
    let tree = try CatalogueTree(titles: random.titles(1 + seed * 5), terminator: 3)
    let titles = (0..<seed).map { index -> (leaf: Int, support: Recipe.Objective.Support) in
      let leaf = Int.random(in: 0..<tree.leafCount, using: &random)
      return (leaf, seed.isMultiple(of: 3) || index % 4 == 1 ? .vocabulary : .catalogue)
    }
    var forest = TitleForest(tree)
    _ = forest.addPrompt([7, 8, 9])
    for title in titles { forest.addTitle(prompt: 0, leaf: title.leaf, support: title.support) }
    let size = ForestSize(prompt: 3, tree, titles)
    #expect(size.rows == forest.forest.rowCount && size.queries == forest.forest.queryCount)
    #expect(size.pathRows == forest.forest.pathRows.count)
  }

  @Test(arguments: [
    (#"{"sequences": [{"tokens": [1]}, {"tokens": [1, 2, 3]}]}"#, "in.json: sequences[1] needs"),
    (text(), "in.json: trajectories.prompt with its titles needs"),
    (text(prompt: #""prompts": [[1]]"#, items: "[[0]]"), "in.json: trajectories.prompts[0] with its titles needs"),
  ])
  func whatDoesNotFitIsRefusedByName(text: String, message: String) throws {
    let scorer = Scorer(LanguageModel(Self.transformer), memory: 50)
    let error = flowerError { _ = try scorer.score(Self.request(text)) }
    #expect(error?.kind == .data)
    #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "accepted")")
  }

  /// Little memory makes small batches, and the same scores.
  @Test func batchesFitIntoMemory() throws {
    let tokens: [JSON] = (0..<20).map { ["tokens": [JSON($0), 1, 2, 3]] }
    let request = try Self.request(["sequences": JSON(tokens)])
    let room = (ForestSize(sequence: 4) + ForestSize(sequence: 4)).bytes(Self.configuration, training: false, .fma)
    let little = try Scorer(LanguageModel(Self.transformer), memory: room).score(request).sequences!
    let much = try Scorer(LanguageModel(Self.transformer)).score(request).sequences!
    for (a, b) in zip(little, much) { expectAgreement(a.logProbabilities, b.logProbabilities, tolerance: 1e-5) }
  }

  @Test func whatIsNotFiniteIsNamed() {
    func divergence(_ change: (inout ScoreResult.Trajectories) -> Void) -> String? {
      let trajectory = ScoreResult.Trajectory(
        logPolicy: [-.infinity, 0], logTerminate: [-.infinity, 0], logTokenReward: [0, 0], logFlow: [0, 0],
        logReward: [-.infinity, 0], residuals: [1, 2], loss: 3)
      let prompt = ScoreResult.Prompt(
        loss: 1, flowLoss: 2, trajectories: [trajectory, trajectory], supervised: .init(logPolicy: [-1], loss: 1))
      var result = ScoreResult.Trajectories(
        loss: 1, prompts: [prompt, prompt], isList: true, gradientNorms: [("a", 1), ("b", 2)])
      change(&result)
      return result.divergence
    }
    #expect(divergence { _ in } == nil)
    #expect(divergence { $0.loss = .nan } == "the loss")
    #expect(divergence { $0.prompts[1].loss = .infinity } == "the loss of prompts[1]")
    #expect(divergence { $0.prompts[0].flowLoss = .infinity } == "the flow loss of prompts[0]")
    #expect(divergence { $0.prompts[0].supervised!.loss = .nan } == "the SFT loss of prompts[0]")
    #expect(
      divergence { $0.prompts[1].trajectories[1].loss = .infinity } == "the loss of trajectories[1] of prompts[1]")
    #expect(
      divergence {
        $0.prompts[0].trajectories[1].residuals![0] = -.infinity
        $0.isList = false
      } == "a residual of trajectories[1]")
    #expect(divergence { $0.gradientNorms![1].norm = .nan } == "the gradient of b")
  }

  @Test func activationsThatOverflow() throws {
    let transformer = Transformer.random(Self.configuration, seed: 1)
    let norm = transformer.layout.parameters.first { $0.name == "model.norm.weight" }!
    transformer.weights.view(norm.range).update(repeating: .greatestFiniteMagnitude)
    let scorer = Scorer(LanguageModel(transformer))
    let error = flowerError { _ = try scorer.score(Self.request(#"{"sequences": [{"tokens": [1, 2, 3]}]}"#)) }
    #expect(error?.kind == .diverged)
    let best = flowerError {
      _ = try scorer.score(Self.request(#"{"sequences": [{"tokens": [1, 2, 3]}], "top": 2}"#))
    }
    #expect(best?.kind == .diverged)
  }
}
