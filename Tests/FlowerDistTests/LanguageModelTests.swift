import Foundation
import Testing

@testable import FlowerDist

/// The forest engine against one plain sequence at a time in double precision.
@Suite struct LanguageModelTests {
  /// Three prompts of different lengths with titles that share beginnings, and one that leaves its trunk in the middle.
  static func forest(vocabulary: Int, seed: Int = 3) -> SequenceForest {
    var random = SeededRandom(seed)
    func tokens(_ count: Int) -> [Int32] { random.tokens(count, below: vocabulary) }
    var result = SequenceForest()
    for length in [1, 9, 4] {
      let prompt = result.addPrompt(tokens(length))
      let first = tokens(5)
      for title in [first, Array(first.prefix(2)) + tokens(3), [first[0]] + tokens(1), tokens(4)] {
        result.addTitle(prompt, title)
      }
      if length > 2 { result.addTitle(prompt, tokens(3), after: length / 2) }
    }
    result.askEverywhere(vocabulary: vocabulary, seed: seed)
    return result
  }

  static func score(_ language: LanguageModel, _ forest: SequenceForest, training: Bool = true) -> [Double] {
    language.begin(rows: forest.forest.rowCount, queries: forest.forest.queryCount, training: training)
    return language.score(forest.forest, forest.readouts)
  }

  /// Derivatives of a loss that is linear in the log-probabilities.
  static func coefficients(_ count: Int, seed: Int = 17) -> [Double] {
    var random = SeededRandom(seed)
    return random.doubles(count, in: -1...1)
  }

  static func gradient(_ language: LanguageModel, _ forest: SequenceForest, _ coefficients: [Double]) -> FloatArena {
    let arena = FloatArena(count: language.transformer.layout.count)
    language.backward(forest.forest, forest.readouts, gradient: coefficients, into: arena)
    return arena
  }

  @Test(arguments: ModelConfiguration.awkward, Arithmetic.allCases)
  func logProbabilitiesAreThePlainModels(c: ModelConfiguration, arithmetic: Arithmetic) {
    let transformer = Transformer.random(c, seed: 4, arithmetic)
    let forest = Self.forest(vocabulary: c.vocabularySize)
    let scores = Self.score(LanguageModel(transformer), forest)
    expectAgreement(scores, forest.answers(ReferenceTransformer(transformer)), tolerance: 1e-5)
  }

  /// Rows that go through a layer in several blocks give what they give together.
  @Test(
    arguments: ModelConfiguration.awkward,
    [(Arithmetic.fma, nil, false), (.fma, AdapterTests.every, false), (.fma, nil, true), (.bf16x6, nil, false)])
  func blocksOfRowsChangeNothing(
    c: ModelConfiguration, how: (arithmetic: Arithmetic, adapter: Adapter.Configuration?, checkpointing: Bool)
  ) {
    let transformer = how.adapter.map { AdapterTests.adapted(c, $0) } ?? .random(c, seed: 4)
    transformer.arithmetic = how.arithmetic
    var random = SeededRandom(6)
    var forest = SequenceForest()
    for length in [Gemm.chain + 20, 40] {
      let prompt = forest.addPrompt(random.tokens(length, below: c.vocabularySize))
      for title in [3, 1] { forest.addTitle(prompt, random.tokens(title, below: c.vocabularySize)) }
    }
    forest.askEverywhere(vocabulary: c.vocabularySize, seed: 6, stride: 3)
    func results(_ blockRows: (forward: Int, backward: Int)) -> [Double] {
      transformer.blockRows = blockRows
      let language = LanguageModel(transformer, checkpointing: how.checkpointing)
      let scores = Self.score(language, forest)
      let gradient = FloatArena(count: transformer.trainable.list.count)
      language.backward(
        forest.forest, forest.readouts, gradient: Self.coefficients(scores.count), into: gradient)
      return gradient.all.map { Double($0) } + scores + Self.score(language, forest, training: false)
    }
    let together = results((1 << 20, 1 << 20))
    #expect(together.allSatisfy { $0.isFinite })
    #expect(results(Transformer.usualBlockRows) == together)
    #expect(results((33, Gemm.chain)) == together)
  }

  /// What is trained may come while a forward pass is under way, as far as it asks for it.
  @Test(arguments: ModelConfiguration.awkward, [nil, AdapterTests.every, AdapterTests.some])
  func nothingIsReadBeforeItIsAwaited(c: ModelConfiguration, adapter: Adapter.Configuration?) {
    let transformer = adapter.map { AdapterTests.adapted(c, $0) } ?? .random(c, seed: 4)
    let forest = Self.forest(vocabulary: c.vocabularySize)
    let expected = Self.score(LanguageModel(transformer), forest)
    let trained = transformer.trainable.weights
    let weights = trained.copy()
    trained.all.update(repeating: .nan)
    transformer.blockRows.forward = 3
    var (arrived, waits) = (0, 0)
    transformer.awaitTrained = { end in
      if end <= arrived { return }
      (trained.base + arrived).update(from: weights.base + arrived, count: end - arrived)
      arrived = end
      waits += 1
    }
    #expect(Self.score(LanguageModel(transformer), forest) == expected)
    #expect(arrived == trained.count && waits >= c.layers)
  }

  /// For every tensor: its slope in a random direction, and the slopes of a few of its numbers.
  @Test(arguments: ModelConfiguration.awkward, Arithmetic.allCases)
  func gradientsAreTheSlopes(c: ModelConfiguration, arithmetic: Arithmetic) {
    let transformer = Transformer.random(c, seed: 4, arithmetic)
    let language = LanguageModel(transformer)
    let forest = Self.forest(vocabulary: c.vocabularySize)
    let coefficients = Self.coefficients(Self.score(language, forest).count)
    let gradient = Self.gradient(language, forest, coefficients)
    let reference = ReferenceTransformer(transformer)
    func loss(_ change: (inout [Double]) -> Void) -> Double {
      var model = reference
      change(&model.weights)
      return zip(forest.answers(model), coefficients).reduce(0) { $0 + $1.0 * $1.1 }
    }
    var random = SeededRandom(5)
    for parameter in transformer.layout.parameters {
      let step = 1e-4
      let values = gradient.view(parameter.range).map { Double($0) }
      let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
      // A bias of the keys moves all scores of a query alike, but for the rotation: its gradient may be small.
      let scale = max(length, 1e-2)
      let direction = random.doubles(parameter.count, in: -1...1)
      func moved(_ sign: Double) -> Double {
        loss { for i in 0..<parameter.count { $0[parameter.offset + i] += sign * step * direction[i] } }
      }
      let slope = (moved(1) - moved(-1)) / (2 * step)
      let product = zip(values, direction).reduce(0) { $0 + $1.0 * $1.1 }
      #expect(abs(slope - product) < 1e-4 * scale, "\(parameter.name): \(product), slope \(slope)")
      for _ in 0..<2 {
        let index = Int.random(in: 0..<parameter.count, using: &random)
        func one(_ sign: Double) -> Double { loss { $0[parameter.offset + index] += sign * step } }
        let slope = (one(1) - one(-1)) / (2 * step)
        let close = abs(slope - values[index]) < 1e-4 * scale
        #expect(close, "\(parameter.name)[\(index)]: \(values[index]), slope \(slope)")
      }
    }
  }

  @Test(arguments: ModelConfiguration.awkward, Arithmetic.allCases)
  func titlesOfOneForestScoreAsIfAlone(c: ModelConfiguration, arithmetic: Arithmetic) {
    var random = SeededRandom(6)
    func tokens(_ count: Int) -> [Int32] { random.tokens(count, below: 30) }
    let language = LanguageModel(Transformer.random(c, seed: 4, arithmetic))
    let prompt = tokens(6)
    let stem = tokens(3)
    let titles = (0..<12).map { Array(stem.prefix($0 % 4)) + tokens(1 + $0 % 5) }
    let options: [Int32] = [1, 4, 7, 20]
    var together = SequenceForest()
    _ = together.addPrompt(prompt)
    for title in titles { together.addTitle(0, title) }
    #expect(together.forest.rowCount < 6 + titles.reduce(0) { $0 + $1.count })
    for title in titles { together.ask(0, prompt + title, options, .options) }
    let scores = Self.score(language, together)
    for (index, title) in titles.enumerated() {
      var alone = SequenceForest()
      _ = alone.addPrompt(prompt + title)
      alone.ask(0, prompt + title, options, .options)
      let expected = Self.score(language, alone, training: false)
      expectAgreement(Array(scores[index * 4..<index * 4 + 4]), expected, tolerance: 1e-5)
    }
  }

  /// Rows and questions in three portions, as sampling adds them.
  @Test(arguments: ModelConfiguration.awkward, [Activations.Keeping.everything, .inputs, .nothing])
  func severalPassesAreOne(c: ModelConfiguration, keeping: Activations.Keeping) {
    let vocabulary = c.vocabularySize
    let transformer = Transformer.random(c, seed: 4)
    let once = LanguageModel(transformer)
    let grown = LanguageModel(transformer, checkpointing: keeping == .inputs)
    transformer.blockRows.forward = 3
    var forest = SequenceForest()
    var random = SeededRandom(9)
    func tokens(_ count: Int) -> [Int32] { random.tokens(count, below: vocabulary) }
    grown.begin(rows: 200, queries: 200, training: keeping != .nothing)
    var scores: [Double] = []
    let prompts = [tokens(7), tokens(3)]
    let titles = prompts.map { _ in tokens(6) }
    for (prompt, tokens) in prompts.enumerated() {
      _ = forest.addPrompt(tokens)
      forest.ask(prompt, tokens, [3, 1], .options)
      forest.ask(prompt, tokens, [5], .vocabulary)
    }
    scores = grown.score(forest.forest, forest.readouts)
    for length in [2, 6] {
      for prompt in prompts.indices {
        forest.addTitle(prompt, Array(titles[prompt].prefix(length)))
        forest.addTitle(prompt, Array(titles[prompt].prefix(length - 1)) + [Int32(length)])
        forest.ask(prompt, prompts[prompt] + titles[prompt].prefix(length), [7, 8, 9], .options)
        forest.ask(prompt, prompts[prompt] + titles[prompt].prefix(length), [11, 2], .vocabulary)
      }
      let before = scores
      scores = grown.score(forest.forest, forest.readouts)
      let kept = Array(scores.prefix(before.count)) == before
      #expect(kept, "what was scored before stays as it is")
    }
    expectAgreement(scores, Self.score(once, forest), tolerance: 1e-5)
    expectAgreement(scores, forest.answers(ReferenceTransformer(transformer)), tolerance: 1e-5)
    if keeping == .nothing { return }
    let coefficients = Self.coefficients(scores.count)
    let a = Self.gradient(grown, forest, coefficients)
    let b = Self.gradient(once, forest, coefficients)
    expectAgreement(Array(a.all), b.all.map { Double($0) }, tolerance: 1e-4)
  }

  @Test(arguments: ModelConfiguration.awkward, Arithmetic.allCases)
  func inferenceScoresAsTrainingDoes(c: ModelConfiguration, arithmetic: Arithmetic) {
    let language = LanguageModel(Transformer.random(c, seed: 4, arithmetic))
    let forest = Self.forest(vocabulary: c.vocabularySize)
    let training = Self.score(language, forest, training: true)
    let inference = Self.score(language, forest, training: false)
    expectAgreement(inference, training, tolerance: 1e-6)
  }

  /// π over options is π over the vocabulary, renormalised.
  @Test(arguments: ModelConfiguration.awkward) func supportsAreConsistent(c: ModelConfiguration) {
    var forest = SequenceForest()
    let prompt: [Int32] = [3, 1, 4, 1, 5]
    _ = forest.addPrompt(prompt)
    forest.addTitle(0, [9, 2, 6])
    let options: [[Int32]] = [[1], [0, 36], Array(5..<20), Array(0..<Int32(c.vocabularySize))]
    for tokens in options {
      forest.ask(0, prompt + [9, 2], tokens, .vocabulary)
      forest.ask(0, prompt + [9, 2], tokens, .options)
    }
    let scores = Self.score(LanguageModel(Transformer.random(c, seed: 4)), forest)
    for (whole, part) in zip(forest.questions, forest.questions.dropFirst()) where whole.support == .vocabulary {
      let logs = scores[whole.offset..<whole.offset + whole.tokens.count]
      let sum = logs.reduce(0) { $0 + exp($1) }
      let renormalised = logs.map { $0 - log(sum) }
      expectAgreement(Array(scores[part.offset..<part.offset + part.tokens.count]), renormalised, tolerance: 2e-6)
      #expect(whole.tokens.count < c.vocabularySize || abs(sum - 1) < 1e-6)
    }
  }

  /// Prompts of several tiles, branches of more than a tile, and more outputs over the vocabulary than logits are kept for.
  @Test(arguments: ModelConfiguration.awkward) func longPrompts(c: ModelConfiguration) {
    var random = SeededRandom(12)
    func tokens(_ count: Int) -> [Int32] { random.tokens(count, below: 37) }
    var forest = SequenceForest()
    for length in [150, 65] {
      let prompt = forest.addPrompt(tokens(length))
      forest.addTitle(prompt, tokens(70))
      for kept in [length, length - 3, 64, 20] { forest.addTitle(prompt, tokens(9), after: kept) }
    }
    forest.askEverywhere(vocabulary: c.vocabularySize, seed: 2, stride: 2)
    #expect(forest.questions.count { $0.support == .vocabulary } > 128)
    let transformer = Transformer.random(c, seed: 4)
    let language = LanguageModel(transformer)
    let scores = Self.score(language, forest)
    var reference = ReferenceTransformer(transformer)
    expectAgreement(scores, forest.answers(reference), tolerance: 2e-5)
    let coefficients = Self.coefficients(scores.count)
    let gradient = Self.gradient(language, forest, coefficients)
    let direction = random.doubles(gradient.count, in: -1...1)
    let step = 1e-5
    func loss(_ sign: Double) -> Double {
      let weights = reference.weights
      for i in weights.indices { reference.weights[i] += sign * step * direction[i] }
      defer { reference.weights = weights }
      return zip(forest.answers(reference), coefficients).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let slope = (loss(1) - loss(-1)) / (2 * step)
    let length = sumOfSquares(gradient.base, gradient.count).squareRoot()
    let product = zip(gradient.all, direction).reduce(0) { $0 + Double($1.0) * $1.1 }
    #expect(abs(slope - product) < 1e-4 * length, "\(product), slope \(slope)")
  }

  /// Computing each layer again on the way back changes no bit where the forest was computed in one pass.
  @Test(arguments: ModelConfiguration.awkward) func checkpointingChangesNothing(c: ModelConfiguration) {
    let transformer = Transformer.random(c, seed: 4)
    let forest = Self.forest(vocabulary: c.vocabularySize)
    let (plain, checkpointing) = (LanguageModel(transformer), LanguageModel(transformer, checkpointing: true))
    let scores = Self.score(plain, forest)
    let same = Self.score(checkpointing, forest) == scores
    #expect(same)
    let coefficients = Self.coefficients(scores.count)
    let (a, b) = (Self.gradient(plain, forest, coefficients), Self.gradient(checkpointing, forest, coefficients))
    let equal = a.all.elementsEqual(b.all)
    #expect(equal)
  }

  /// What earlier forests left in the buffers must not matter.
  @Test func forestsDoNotSeeTheOnesBefore() {
    let c = ModelConfiguration.awkward[0]
    let transformer = Transformer.random(c, seed: 4)
    let used = LanguageModel(transformer)
    let forests = [3, 5, 8].map { Self.forest(vocabulary: 37, seed: $0) }
    for forest in forests + forests.reversed() {
      let fresh = LanguageModel(transformer)
      let expected = Self.score(fresh, forest)
      let sameScores = Self.score(used, forest) == expected
      #expect(sameScores)
      let coefficients = Self.coefficients(expected.count)
      let (a, b) = (Self.gradient(used, forest, coefficients), Self.gradient(fresh, forest, coefficients))
      let same = a.all.elementsEqual(b.all)
      #expect(same)
    }
  }

  @Test func gradientsAreAdded() {
    let c = ModelConfiguration.awkward[1]
    let language = LanguageModel(Transformer.random(c, seed: 4))
    let forest = Self.forest(vocabulary: c.vocabularySize)
    let coefficients = Self.coefficients(Self.score(language, forest).count)
    let once = Self.gradient(language, forest, coefficients)
    let twice = FloatArena(count: once.count)
    for _ in 0..<2 {
      _ = Self.score(language, forest)
      language.backward(forest.forest, forest.readouts, gradient: coefficients, into: twice)
    }
    expectAgreement(Array(twice.all), once.all.map { 2 * Double($0) }, tolerance: 1e-5)
  }
}
