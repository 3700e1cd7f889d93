import Foundation
import Testing

@testable import FlowerDist

/// Scores from files.
@Suite struct ScoreFileTests {
  /// Five items, two of which share a title.
  static let dataset = Dataset(
    name: "made up", titles: ["A", "B", "A", "C", "D"],
    train: [
      Interaction(history: [0, 1], item: 3), Interaction(history: [1], item: 4), Interaction(history: [], item: 0),
    ],
    valid: [Interaction(history: [2], item: 1)],
    test: [Interaction(history: [0], item: 4), Interaction(history: [1, 3], item: 2)])

  static func bytes(_ values: [Double], _ type: String) -> [UInt8] {
    values.flatMap { value in
      type == "<f4"
        ? withUnsafeBytes(of: Float(value).bitPattern.littleEndian) { Array($0) }
        : withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
    }
  }

  static func npy(_ rows: [[Double]], type: String = "<f4", shape: String? = nil) -> [UInt8] {
    let shape = shape ?? "(\(rows.count), \(rows.first?.count ?? 0))"
    return NumPyHeaderTests.file(
      "{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }\n", data: bytes(rows.flatMap { $0 }, type))
  }

  static let rows: [[Double]] = [[1, 0, 3, 4, 0], [0, 0, 0, 0, 0.5], [8, 8, 8, 8, 8]]
  static let others: [[Double]] = [[0, 0, 0, 1, 1], [0, 2, 0, 0, 0]]

  private func scores(
    _ file: ScoreFile, _ split: Dataset.Split, _ row: Int
  ) -> [Double] {
    let history = Self.dataset[split][row].history
    return file.scores(for: PreferenceContext(history: history, at: ExamplePlace(split, row: row)), items: 5)
  }

  @Test(arguments: ["<f4", "<f8"]) func rowsAreExamplesInOrder(type: String) throws {
    let scratch = try ScratchDirectory()
    let file = try ScoreFile(
      scratch.write(Self.npy(Self.rows, type: type), "scores.npy"), dataset: Self.dataset, values: .probabilities)
    for (row, values) in Self.rows.enumerated() {
      expectAgreement(scores(file, .train, row), values.map { $0 / values.reduce(0, +) }, tolerance: 1e-15)
    }
    #expect(file.covers(.train) && !file.covers(.test))
    // From elsewhere: popularity, of three training places.
    let elsewhere = file.scores(for: PreferenceContext(history: [1]), items: 5)
    expectAgreement(elsewhere, [1.0 / 3, 2.0 / 3, 0, 0, 0], tolerance: 1e-15)
  }

  @Test func logits() throws {
    let scratch = try ScratchDirectory()
    let rows: [[Double]] = [[0, 1, -2, 800, 799], [-.infinity, 0, -900, -900, 0], [-1e4, -1e4, -1e4, -1e4, -1e4]]
    let path = try scratch.write(Self.npy(rows, type: "<f8"), "scores.npy")
    let file = try ScoreFile(path, dataset: Self.dataset, values: .logits)
    let e = 1 / (1 + M_E)
    for (row, expected) in [[0, 0, 0, 1 - e, e], [0, 0.5, 0, 0, 0.5], [0.2, 0.2, 0.2, 0.2, 0.2]].enumerated() {
      expectAgreement(scores(file, .train, row), expected, tolerance: 1e-15)
    }
    #expect(flowerError { _ = try ScoreFile(path, dataset: Self.dataset, values: .probabilities) }?.kind == .data)
  }

  @Test func directoriesAndTensors() throws {
    let scratch = try ScratchDirectory()
    try scratch.write(Self.npy(Self.rows), "scores/train.npy")
    try scratch.write(Self.npy(Self.others, type: "<f8"), "scores/test.npy")
    let directory = try ScoreFile(scratch("scores"), dataset: Self.dataset, values: .probabilities)
    let header: JSON = [
      "test": ["dtype": "F64", "shape": [2, 5], "data_offsets": [0, 80]],
      "train": ["dtype": "F32", "shape": [3, 5], "data_offsets": [80, 140]],
    ]
    // A length that leaves the numbers unaligned.
    var text = header.serialized()
    while text.count % 8 != 3 { text.append(UInt8(ascii: " ")) }
    let length = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) }
    let data = Self.bytes(Self.others.flatMap { $0 }, "<f8") + Self.bytes(Self.rows.flatMap { $0 }, "<f4")
    try scratch.write(length + text + data, "scores.safetensors")
    let tensors = try ScoreFile(scratch("scores.safetensors"), dataset: Self.dataset, values: .probabilities)
    for file in [directory, tensors] {
      #expect(file.covers(.train) && !file.covers(.valid) && file.covers(.test))
      #expect(scores(file, .train, 1) == [0, 0, 0, 0, 1])
      #expect(scores(file, .test, 0) == [0, 0, 0, 0.5, 0.5] && scores(file, .test, 1) == [0, 1, 0, 0, 0])
    }
    #expect(directory.digest != tensors.digest && directory.digest?.count == 64)
  }

  @Test func refusesWhatDoesNotFit() throws {
    let scratch = try ScratchDirectory()
    func message(_ bytes: [UInt8], _ values: Recipe.Reward.ScoreValues = .probabilities) throws -> String {
      let path = try scratch.write(bytes, "x.npy")
      let error = flowerError { _ = try ScoreFile(path, dataset: Self.dataset, values: values) }
      #expect(error?.kind == .data && error?.description.hasPrefix(path) == true)
      return error?.description ?? ""
    }
    func with(_ value: Double) -> [[Double]] {
      var rows = Self.rows
      rows[1][3] = value
      return rows
    }
    #expect(try message([]).contains("is empty"))
    #expect(try message(Array("no scores".utf8)).contains("header"))
    #expect(try message(Self.npy(Array(Self.rows[..<2]))).contains("[2, 5], expected [3, 5]"))
    #expect(try message(Self.npy(Self.rows, shape: "(15,)")).contains("[15], expected [3, 5]"))
    #expect(try message(Self.npy(Self.rows, type: "<i4")).contains("<f4"))
    #expect(try message(Self.npy(Self.rows) + [0]).contains("61 bytes"))
    #expect(try message(Self.npy(Self.rows).dropLast()).contains("59 bytes"))
    #expect(try message(Self.npy(with(-1))).contains("row 1, column 3"))
    #expect(try message(Self.npy(with(.nan))).contains("row 1, column 3"))
    #expect(try message(Self.npy(with(.infinity))).contains("row 1, column 3"))
    #expect(try message(Self.npy(with(.nan)), .logits).contains("row 1, column 3"))
    #expect(try message(Self.npy(with(.infinity)), .logits).contains("row 1, column 3"))
    var none = Self.rows
    none[2] = [0, 0, 0, 0, 0]
    #expect(try message(Self.npy(none)).contains("row 2: the sum"))
    none[2] = [Double](repeating: -.infinity, count: 5)
    #expect(try message(Self.npy(none), .logits).contains("row 2: the sum"))
    none[2] = [1e308, 1e308, 0, 0, 0]
    #expect(try message(Self.npy(none, type: "<f8")).contains("row 2: the sum"))
    let nothing = flowerError { _ = try ScoreFile(scratch("none"), dataset: Self.dataset, values: .logits) }
    #expect(nothing?.kind == .data && nothing?.description.contains(scratch("none")) == true)
    try Directory.create(scratch("empty"))
    #expect(flowerError { _ = try ScoreFile(scratch("empty"), dataset: Self.dataset, values: .logits) }?.kind == .data)
  }

  private func catalogue(_ path: String) throws -> Catalogue {
    var reward = Recipe.Reward()
    (reward.weight, reward.score, reward.scorePath, reward.beta) = (.power, .file, path, 1)
    reward.gamma = 0
    return try Catalogue(
      dataset: Self.dataset, tokenizer: .bytes, prompt: Recipe.Prompt(), terminator: "\n", reward: reward)
  }

  /// With β = 1 and γ = 0 the target is the score itself, summed over the items of a leaf.
  @Test func trainingExamplesGetTheirRow() throws {
    let scratch = try ScratchDirectory()
    let catalogue = try catalogue(scratch.write(Self.npy(Self.rows), "scores.npy"))
    var training = Recipe.Training()
    (training.globalBatch, training.grains, training.steps) = (3, 1, 2)
    var stream = ExampleStream(catalogue, training)
    var seen = Set<Int>()
    for example in try stream.microBatches(step: 0, grain: 0).joined() {
      let place = try #require(example.place)
      let interaction = Self.dataset.train[place.row]
      #expect(place.split == .train && interaction.history == example.history && interaction.item == example.item)
      seen.insert(place.row)
      let rewards = catalogue.rewards.rewards(history: example.history, leavingOut: example.item, at: place)
      let row = Self.rows[place.row]
      // Leaves A, B, C, D; without a history the weights follow from popularity.
      let expected = [row[0] + row[2], row[1], row[3], row[4]].map { $0 / row.reduce(0, +) }
      if !example.history.isEmpty { expectAgreement(rewards.target, expected, tolerance: 1e-5) }
    }
    #expect(seen == [0, 1, 2])
  }

  /// The row of the comparison is the score that the recipe names: here one that knows the answers.
  @Test func evaluationShowsTheScoreThatIsPluggedIn() throws {
    let scratch = try ScratchDirectory()
    try scratch.write(Self.npy(Self.rows), "scores/train.npy")
    try scratch.write(Self.npy([[0, 0, 0, 0, 1], [0, 0, 1, 0, 0]]), "scores/test.npy")
    let configuration = ModelConfiguration(
      architecture: .qwen2, vocabularySize: 256, hiddenSize: 8, layers: 1, heads: 1, kvHeads: 1, headDim: 8,
      intermediateSize: 8, attentionBias: true, tieEmbeddings: true, ropeTheta: 1e4, rmsNormEps: 1e-6)
    let language = LanguageModel(Transformer.random(configuration, seed: 1))
    func rows(_ path: String) throws -> [EvaluationReport] {
      try EvaluationRun(catalogue(path), language, SingleProcess(), EvaluationRun.Options()).run(name: "model")
    }
    let score = try #require(try rows(scratch("scores")).first { $0.name == "preference score" })
    #expect(score["hr@1"]?.value == 1)
    // Of this split there are no scores, so there is no row, and no target to audit against.
    let training = scratch("scores/train.npy")
    #expect(try rows(training).map(\.name) == ["model", "model", "popularity"])
    let error = flowerError {
      _ = try EvaluationRun.audit(catalogue(training), language, SingleProcess(), EvaluationRun.Options())
    }
    #expect(error?.description.contains("no scores of the test split") == true)
  }
}

/// Scores of a model of ours.
@Suite struct ModelScoreTests {
  static let titles = (0..<30).map { "Title \($0 % 27)" }
  static let dataset: Dataset = {
    let train = (0..<20).map { row in
      Interaction(history: (0..<Int32(row % 7)).map { ($0 * 5 + Int32(row)) % 30 }, item: Int32(row))
    }
    return Dataset(name: "made up", titles: titles, train: train, valid: train, test: train)
  }()

  /// A model whose tokens are items, in a directory.
  private func directory(_ scratch: ScratchDirectory, digest: String = dataset.digest) throws -> (String, Transformer) {
    let tokenizer = try Tokenizer.items(titles: Self.titles)
    let configuration = ModelConfiguration(
      architecture: .qwen2, vocabularySize: tokenizer.vocabularySize, hiddenSize: 16, layers: 2, heads: 2, kvHeads: 1,
      headDim: 8, intermediateSize: 24, attentionBias: true, tieEmbeddings: true, ropeTheta: 1e4, rmsNormEps: 1e-6)
    let transformer = Transformer.random(configuration, seed: 4)
    var prompt = Recipe.Prompt()
    (prompt.template, prompt.separator, prompt.historyLength) = ("{history}", "\n", 4)
    let metadata = FlowerMetadata(
      prompt: prompt, terminator: "\n", terminatorToken: 0, support: .catalogue, reward: Recipe.Reward(),
      catalogueDigest: digest)
    try ModelDirectory(transformer: transformer, tokenizer: tokenizer, metadata: metadata).write(to: scratch.path)
    return (scratch.path, transformer)
  }

  private func scores(_ score: ModelScore, _ history: [Int32]) -> [Double] {
    score.scores(for: PreferenceContext(history: history), items: Self.titles.count)
  }

  /// Softmax of the logits over the items' tokens, computed once more in double precision on a plain sequence.
  @Test func areTheSoftmaxOfTheModelsLogits() throws {
    let scratch = try ScratchDirectory()
    let (path, transformer) = try directory(scratch)
    let score = try ModelScore(path, dataset: Self.dataset)
    let reference = ReferenceTransformer(transformer)
    for example in Self.dataset.train {
      // Tokens are places among the 27 distinct titles, from 1; 0 begins an empty history.
      let tokens = example.history.suffix(4).map { $0 % 27 + 1 }
      let logits = reference.logits(tokens.isEmpty ? [0] : tokens).last!
      let total = logits[1...].reduce(0) { $0 + exp($1) }
      let expected = (0..<30).map { item in exp(logits[item % 27 + 1]) / total / (item % 27 < 3 ? 2 : 1) }
      let found = scores(score, example.history)
      expectAgreement(found, expected, tolerance: 1e-6)
      #expect(abs(found.reduce(0, +) - 1) < 1e-6)
    }
  }

  /// On another rank other histories come before, and what is remembered is another.
  @Test func theSameBitsInAnyOrder() throws {
    let scratch = try ScratchDirectory()
    let (path, _) = try directory(scratch)
    let one = try ModelScore(path, dataset: Self.dataset)
    let histories = Self.dataset.train.map(\.history)
    let forwards = histories.map { scores(one, $0) }
    #expect(histories.map { scores(one, $0) } == forwards)
    for (history, expected) in zip(histories, forwards).reversed() {
      #expect(try scores(ModelScore(path, dataset: Self.dataset), history) == expected)
    }
  }

  @Test func saysWhatItComesFrom() throws {
    let scratch = try ScratchDirectory()
    let other = try ScratchDirectory()
    let (path, transformer) = try directory(scratch)
    let score = try ModelScore(path, dataset: Self.dataset)
    #expect(score.summary == path && score.bytes > 4 * transformer.layout.count)
    let (otherPath, _) = try directory(other, digest: String(repeating: "0", count: 64))
    let same = try ModelScore(otherPath, dataset: Self.dataset)
    #expect(same.digest == score.digest && same.summary.hasSuffix("trained on other data"))
    transformer.weights.base[5] += 1
    try transformer.writeWeights(directory: path, dtype: .f32, maximumShard: SafeTensors.maximumShard)
    #expect(try ModelScore(path, dataset: Self.dataset).digest != score.digest)
    try Directory.remove(scratch("flower.json"))
    let error = flowerError { _ = try ModelScore(path, dataset: Self.dataset) }
    #expect(error?.kind == .data && error?.description.contains("flower.json") == true)
  }
}
