import Foundation

/// The preference score of a model of ours: its exact probability of every title after the history, under the catalogue
/// policy, divided evenly over the items that share the title.
///
/// Of a sequential recommender (`tokenizer.kind: items`) that is the softmax of its logits over the items, which the
/// published rewards use. The model has learned from the training examples, so unlike ``CooccurrenceScore`` it cannot
/// leave an example's own target out.
///
/// Each history is computed by itself, as single precision, so the bits depend neither on what is computed beside it nor on
/// what is remembered. It is computed with fused multiply-adds, whatever the arithmetic of the run that asks.
final class ModelScore: PreferenceScore, @unchecked Sendable {
  /// Bytes of probabilities that are remembered. Examples come back in every epoch in another order, so once there is no
  /// more room what is there stays: dropping the oldest would drop what comes back next as often as not.
  private static let rememberedBytes = 1 << 28

  let summary: String
  let digest: String?
  let bytes: Int
  private let catalogue: Catalogue
  /// What one thread at a time may use.
  private let lock = NSLock()
  private let evaluator: Evaluator
  /// Probability by leaf, by the tokens of the prompt.
  private var remembered: [[Int32]: [Float]] = [:]
  private let rememberedLimit: Int

  /// - Parameters:
  ///   - path: a model directory, a checkpoint, or a run (its best checkpoint, else its newest).
  ///   - dataset: the data whose items are scored; the model need not have seen them.
  /// - Throws: `FlowerError` of kind `data` naming the file that cannot be read, or the title that the model cannot write.
  init(_ path: String, dataset: Dataset) throws {
    let directory = try ServedModel.modelDirectory(path)
    let model = try ModelDirectory(contentsOf: directory)
    let metadata = try model.trainedMetadata(directory)
    // Only its tree and its prompts are used, not its rewards: those may name a score of their own.
    catalogue = try Catalogue(
      dataset: dataset, tokenizer: model.tokenizer, prompt: metadata.prompt, terminator: metadata.terminator,
      reward: Recipe.Reward(), loadsScore: false)
    // A template that is too long shows here, not in the middle of a run.
    _ = try catalogue.prompt(history: [])
    evaluator = Evaluator(catalogue, LanguageModel(model.transformer))
    let leaves = catalogue.tree.leafCount
    rememberedLimit = Self.rememberedBytes / (4 * leaves)
    summary =
      "\(directory)" + (dataset.digest == metadata.catalogueDigest ? "" : ", which was trained on other data")
    digest =
      ([model.transformer.digest, model.transformer.adapter == nil ? "" : model.transformer.frozenDigest]
      + [metadata.prompt.template, metadata.prompt.separator, metadata.terminator]
      + [metadata.prompt.historyLength, metadata.prompt.maxTokens].map { "\($0)" }).joined(separator: "\n").sha256
    let configuration = model.transformer.configuration
    let rows = metadata.prompt.maxTokens + evaluator.openStates
    bytes =
      4 * model.transformer.layout.count + 4 * leaves * min(rememberedLimit, dataset.train.count)
      + Activations.bytes(configuration, rows: rows, queries: rows, keeping: .nothing)
      + Transformer.packedLayerBytes(configuration, rows: rows, model.transformer.arithmetic)
  }

  func scores(for context: PreferenceContext, into scores: UnsafeMutableBufferPointer<Double>) {
    let tree = catalogue.tree
    precondition(scores.count == tree.leafOfItem.count)
    let probabilities = lock.withLock { self.probabilities(history: context.history) }
    for item in scores.indices {
      let leaf = Int(tree.leafOfItem[item])
      scores[item] = Double(probabilities[leaf]) / Double(tree.itemsOfLeaf[leaf].count)
    }
  }

  /// By leaf.
  private func probabilities(history: [Int32]) -> [Float] {
    guard let prompt = try? catalogue.prompt(history: history).tokens else {
      preconditionFailure("a template that has room without items has it with some of them")
    }
    if let known = remembered[prompt] { return known }
    let probabilities = evaluator.exact([prompt])[0].map { Float(exp($0)) }
    if remembered.count < rememberedLimit { remembered[prompt] = probabilities }
    return probabilities
  }
}
