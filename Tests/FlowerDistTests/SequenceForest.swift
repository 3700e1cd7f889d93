import Foundation

@testable import FlowerDist

/// A forest made from plain sequences, which remembers what was asked so that each answer can be computed without it.
struct SequenceForest {
  /// log π of `tokens` after `sequence`.
  struct Question {
    var sequence: [Int32]
    var tokens: [Int32]
    var support: Readouts.Support
    /// Where the answers begin.
    var offset: Int
  }

  var forest = Forest()
  var readouts = Readouts()
  private(set) var questions: [Question] = []
  /// Rows by prompt and by the tokens from its beginning.
  private var rows: [[[Int32]: Int]] = []
  private var prompts: [[Int32]] = []

  /// Adds a trunk and returns its number.
  mutating func addPrompt(_ tokens: [Int32]) -> Int {
    let last = forest.addTrunk(tokens)
    prompts.append(tokens)
    rows.append([:])
    for length in 1...tokens.count { rows[rows.count - 1][Array(tokens.prefix(length))] = last + length - tokens.count }
    return prompts.count - 1
  }

  /// Adds the rows of `title` after the first `kept` tokens of the prompt (all of them by default), but those that are
  /// there already.
  mutating func addTitle(_ prompt: Int, _ title: [Int32], after kept: Int? = nil) {
    let trunk = Array(prompts[prompt].prefix(kept ?? prompts[prompt].count))
    for length in 1...title.count {
      let sequence = trunk + title.prefix(length)
      if rows[prompt][sequence] != nil { continue }
      rows[prompt][sequence] = forest.addRow(sequence.last!, after: rows[prompt][sequence.dropLast()]!)
    }
  }

  mutating func ask(_ prompt: Int, _ sequence: [Int32], _ tokens: [Int32], _ support: Readouts.Support) {
    let query = forest.read(rows[prompt][sequence]!)
    let offset = readouts.add(query: query, set: readouts.addSet(tokens), support: support)
    questions.append(Question(sequence: sequence, tokens: tokens, support: support, offset: offset))
  }

  /// Random questions about every `stride`-th row: over the vocabulary, or over some tokens, few or many.
  mutating func askEverywhere(vocabulary: Int, seed: Int, stride: Int = 1) {
    var random = SeededRandom(seed)
    for prompt in rows.indices {
      for (index, sequence) in rows[prompt].sorted(by: { $0.value < $1.value }).map(\.key).enumerated()
      where index % stride == 0 {
        let all = (0..<Int32(vocabulary)).shuffled(using: &random)
        ask(prompt, sequence, Array(all.prefix(.random(in: 1...4, using: &random))), .vocabulary)
        ask(prompt, sequence, Array(all.suffix(.random(in: 1...vocabulary, using: &random))), .options)
      }
    }
  }

  /// Every answer from the plain model; sequences that begin others are not computed by themselves.
  func answers(_ model: ReferenceTransformer) -> [Double] {
    var known: [(sequence: [Int32], logits: [[Double]])] = []
    var result = [Double](repeating: .nan, count: readouts.count)
    for question in questions.sorted(by: { $0.sequence.count > $1.sequence.count }) {
      if !known.contains(where: { $0.sequence.starts(with: question.sequence) }) {
        known.append((question.sequence, model.logits(question.sequence)))
      }
      let logits = known.first { $0.sequence.starts(with: question.sequence) }!.logits[question.sequence.count - 1]
      let support = question.support == .vocabulary ? logits : question.tokens.map { logits[Int($0)] }
      let maximum = support.max()!
      let logSum = maximum + log(support.reduce(0) { $0 + exp($1 - maximum) })
      for (index, token) in question.tokens.enumerated() {
        result[question.offset + index] = logits[Int(token)] - logSum
      }
    }
    return result
  }
}

extension ModelConfiguration {
  /// Small models, most with widths that are no multiples of the vector width.
  static let awkward = [
    ModelConfiguration(
      architecture: .qwen2, vocabularySize: 37, hiddenSize: 20, layers: 2, heads: 2, kvHeads: 1, headDim: 10,
      intermediateSize: 27, attentionBias: true, tieEmbeddings: true, ropeTheta: 10_000, rmsNormEps: 1e-6),
    ModelConfiguration(
      architecture: .llama, vocabularySize: 41, hiddenSize: 18, layers: 3, heads: 4, kvHeads: 2, headDim: 6,
      intermediateSize: 13, attentionBias: false, tieEmbeddings: false, ropeTheta: 500, rmsNormEps: 1e-5),
    ModelConfiguration(
      architecture: .qwen2, vocabularySize: 48, hiddenSize: 16, layers: 1, heads: 2, kvHeads: 2, headDim: 16,
      intermediateSize: 24, attentionBias: true, tieEmbeddings: false, ropeTheta: 10_000, rmsNormEps: 1e-6),
    ModelConfiguration(
      architecture: .qwen3, vocabularySize: 37, hiddenSize: 20, layers: 2, heads: 4, kvHeads: 2, headDim: 14,
      intermediateSize: 27, attentionBias: true, tieEmbeddings: true, ropeTheta: 10_000,
      ropeScaling: .linear(factor: 2.5), rmsNormEps: 1e-6),
    ModelConfiguration(
      architecture: .llama, vocabularySize: 41, hiddenSize: 18, layers: 2, heads: 3, kvHeads: 3, headDim: 8,
      intermediateSize: 13, attentionBias: true, tieEmbeddings: false, ropeTheta: 100,
      ropeScaling: .llama3(factor: 4, lowFrequency: 1, highFrequency: 4, originalPositions: 32), rmsNormEps: 1e-5),
  ]
}

extension Transformer {
  /// A model whose weights are all random, norms and biases too.
  static func random(_ configuration: ModelConfiguration, seed: UInt64, std: Double = 0.3, _ arithmetic: Arithmetic = .fma)
    -> Transformer
  {
    let transformer = Transformer(configuration)
    transformer.arithmetic = arithmetic
    transformer.initialize(seed: seed, std: std)
    var random = SeededRandom(Int(seed))
    for parameter in transformer.layout.parameters where !parameter.decays {
      for index in parameter.range { transformer.weights.base[index] += Float.random(in: -0.3...0.3, using: &random) }
    }
    return transformer
  }
}
