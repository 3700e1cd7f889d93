import CVector
import Foundation

/// Next-token distributions that are wanted: which outputs of a forest, over which tokens, and where the results go.
public struct Readouts: Sendable {
  /// How a distribution is normalised.
  public enum Support: Sendable {
    /// Over the listed tokens only.
    case options
    /// Over the whole vocabulary.
    case vocabulary
  }

  /// One output's distribution over one list of tokens.
  struct Entry: Sendable {
    /// Index of the output in the forest's queries.
    var query: Int
    /// Index of the list of tokens.
    var set: Int
    /// Where the log-probabilities of the tokens begin in the flat result.
    var offset: Int
  }

  /// Lists of tokens, concatenated.
  private(set) var tokens: [Int32] = []
  private(set) var setStart: [Int] = [0]
  private(set) var options: [Entry] = []
  private(set) var vocabulary: [Entry] = []
  /// Number of log-probabilities.
  public private(set) var count = 0

  public init() {}

  public mutating func removeAll() {
    tokens.removeAll(keepingCapacity: true)
    setStart.removeAll(keepingCapacity: true)
    setStart.append(0)
    options.removeAll(keepingCapacity: true)
    vocabulary.removeAll(keepingCapacity: true)
    count = 0
  }

  /// Number of logits that the distributions over options need.
  var optionLogits: Int { options.reduce(0) { $0 + setStart[$1.set + 1] - setStart[$1.set] } }

  func tokens(of set: Int) -> ArraySlice<Int32> { tokens[setStart[set]..<setStart[set + 1]] }

  /// Adds a list of tokens and returns its index.
  public mutating func addSet(_ list: some Sequence<Int32>) -> Int {
    tokens.append(contentsOf: list)
    setStart.append(tokens.count)
    return setStart.count - 2
  }

  /// Asks for the log-probabilities of the tokens of `set` at output `query`; returns where they begin in the result.
  public mutating func add(query: Int, set: Int, support: Support) -> Int {
    let entry = Entry(query: query, set: set, offset: count)
    if support == .options { options.append(entry) } else { vocabulary.append(entry) }
    count += setStart[set + 1] - setStart[set]
    return entry.offset
  }
}

/// The LM head on the outputs that are used, and only on the embedding rows that are.
///
/// Over options, outputs that share a list of tokens (all prompts share the root of the catalogue) are one product with
/// the gathered rows of the embedding. Over the vocabulary, logits exist for a chunk of outputs at a time, so memory does
/// not grow with outputs × vocabulary. The backward pass computes those again that are no longer there.
final class Head {
  private let transformer: Transformer
  private var hiddenSize: Int { transformer.configuration.hiddenSize }
  private var vocabularySize: Int { transformer.configuration.vocabularySize }
  /// Outputs whose logits over the vocabulary exist at once: 16 M floats, but at least 64 outputs. Those of a step that are no
  /// more are computed again for its backward pass.
  private let chunk: Int

  private var embeddingRows = FloatArena(count: 0)
  private var hiddenRows = FloatArena(count: 0)
  private var logits = FloatArena(count: 0)
  /// Logits of the vocabulary readouts `vocabularyRange`, with their hidden states.
  private var vocabularyLogits = FloatArena(count: 0)
  private var vocabularyHidden = FloatArena(count: 0)
  private var vocabularyRange = 0..<0
  /// log Σ exp of each vocabulary readout, kept for the backward pass.
  private var logSums: [Double] = []
  /// How many readouts of each support are done.
  private var optionsDone = 0
  /// The log-probabilities of the readouts that are done.
  private var logProbabilities: [Double] = []

  init(_ transformer: Transformer) {
    self.transformer = transformer
    chunk = Self.chunk(transformer.configuration)
  }

  private static func chunk(_ c: ModelConfiguration) -> Int { max(64, (1 << 24) / c.vocabularySize) }

  /// Bytes of scratch that distributions over the vocabulary need.
  static func vocabularyBytes(_ c: ModelConfiguration, readouts: Int) -> Int {
    4 * min(readouts, chunk(c)) * (c.vocabularySize + c.hiddenSize)
  }

  /// Bytes of scratch and results of distributions over the same list of options.
  static func optionBytes(_ c: ModelConfiguration, readouts: Int, options: Int) -> Int {
    // Logits; log-probabilities and their gradients in double precision; gathered rows of the embedding and their gradients.
    readouts * options * (4 + 8 + 8) + 4 * 2 * options * c.hiddenSize
  }

  /// Entries over options, grouped by their list of tokens, in a fixed order.
  private func groups(_ entries: some Sequence<Readouts.Entry>) -> [ArraySlice<Readouts.Entry>] {
    entries.sorted { ($0.set, $0.offset) < ($1.set, $1.offset) }.chunked { $0.set == $1.set }
  }

  private func gather(_ source: FloatPointer, _ indices: some Collection<Int>, into arena: inout FloatArena) {
    if arena.count < indices.count * hiddenSize { arena = FloatArena(count: indices.count * hiddenSize) }
    for (i, index) in indices.enumerated() {
      (arena.base + i * hiddenSize).update(from: source + index * hiddenSize, count: hiddenSize)
    }
  }

  private func reserveLogits(_ count: Int) {
    if logits.count < count { logits = FloatArena(count: count) }
  }

  /// Forgets the readouts of the forest before.
  func begin() {
    optionsDone = 0
    vocabularyRange = 0..<0
    logSums.removeAll(keepingCapacity: true)
    logProbabilities.removeAll(keepingCapacity: true)
  }

  /// The log-probabilities asked for; those of readouts that were there at the last call are not computed again.
  ///
  /// - Parameters:
  ///   - hidden: `[queries, hidden]`.
  ///   - embedding: the output embedding, `[vocabulary, hidden]`.
  ///   - packed: where it may be kept packed, while it stays as it is.
  func forward(
    _ readouts: Readouts, hidden: FloatPointer, embedding: FloatPointer, packed: PackedWeights? = nil
  ) -> [Double] {
    logProbabilities.append(contentsOf: repeatElement(0, count: readouts.count - logProbabilities.count))
    for group in groups(readouts.options[optionsDone...]) {
      let n = optionLogits(group, readouts, hidden: hidden, embedding: embedding)
      for (i, entry) in group.enumerated() {
        let row = logits.base + i * n
        var maximum = -Double.infinity
        for k in 0..<n { maximum = max(maximum, Double(row[k])) }
        var sum = 0.0
        for k in 0..<n { sum += exp(Double(row[k]) - maximum) }
        let logSum = maximum + log(sum)
        for k in 0..<n { logProbabilities[entry.offset + k] = Double(row[k]) - logSum }
      }
    }
    optionsDone = readouts.options.count
    for chunk in readouts.vocabulary[logSums.count...].chunks(of: chunk) {
      computeVocabularyLogits(
        chunk, hidden: hidden, embedding: embedding,
        packed: packed?.keepIfSeen(transformer.headMatrix))
      for (i, entry) in chunk.enumerated() {
        let row = vocabularyLogits.base + i * vocabularySize
        let logSum = logSumExp(row, vocabularySize)
        logSums.append(logSum)
        for (k, token) in readouts.tokens(of: entry.set).enumerated() {
          logProbabilities[entry.offset + k] = Double(row[Int(token)]) - logSum
        }
      }
    }
    return logProbabilities
  }

  /// The logits of some tokens at one hidden state.
  func logits(_ hidden: FloatPointer, _ tokens: some Sequence<Int32>, embedding: FloatPointer) -> [Float] {
    tokens.map { dot(hidden, embedding + Int($0) * hiddenSize, hiddenSize) }
  }

  /// Calls `body` with the log-probabilities over the vocabulary of one output after another.
  func forEachDistribution(
    queries: Int, hidden: FloatPointer, embedding: FloatPointer,
    _ body: (_ query: Int, _ logProbabilities: [Double]) -> Void
  ) {
    let entries = (0..<queries).map { Readouts.Entry(query: $0, set: 0, offset: 0) }
    for chunk in entries.chunks(of: chunk) {
      computeVocabularyLogits(chunk, hidden: hidden, embedding: embedding)
      for (i, entry) in chunk.enumerated() {
        let row = UnsafeBufferPointer(start: vocabularyLogits.base + i * vocabularySize, count: vocabularySize)
        let logSum = logSumExp(row.baseAddress!, vocabularySize)
        body(entry.query, row.map { Double($0) - logSum })
      }
    }
    // These are no readouts that the backward pass could find again.
    vocabularyRange = 0..<0
  }

  /// Adds the gradients of `hidden` and, unless it is frozen, of the embedding.
  ///
  /// With g_a the gradient of log π(a): the gradient of logit v is g_v − π(v) Σ_a g_a.
  func backward(
    _ readouts: Readouts, gradient: [Double], hidden: FloatPointer, embedding: FloatPointer,
    dHidden: MutableFloatPointer, dEmbedding: MutableFloatPointer?
  ) {
    let h = hiddenSize
    for group in groups(readouts.options) {
      let tokens = readouts.tokens(of: group.first!.set)
      let n = tokens.count
      gather(embedding, tokens.map { Int($0) }, into: &embeddingRows)
      gather(hidden, group.map(\.query), into: &hiddenRows)
      reserveLogits(group.count * n)
      for (i, entry) in group.enumerated() {
        var sum = 0.0
        for k in 0..<n { sum += gradient[entry.offset + k] }
        for k in 0..<n {
          logits.base[i * n + k] = Float(
            gradient[entry.offset + k] - exp(logProbabilities[entry.offset + k]) * sum)
        }
      }
      if let dEmbedding {
        // This product reads hiddenRows, which the next one overwrites: their order matters.
        Gemm.multiply(
          n, h, group.count, logits.base, lda: n, transposeA: true, hiddenRows.base, ldb: h, scratch(n * h), ldc: h,
          transformer.arithmetic)
        for (k, token) in tokens.enumerated() { add(products.base + k * h, to: dEmbedding + Int(token) * h, h) }
      }
      Gemm.multiply(
        group.count, h, n, logits.base, lda: n, embeddingRows.base, ldb: h, hiddenRows.base, ldc: h,
        transformer.arithmetic)
      for (i, entry) in group.enumerated() { add(hiddenRows.base + i * h, to: dHidden + entry.query * h, h) }
    }
    for chunk in readouts.vocabulary.chunks(of: chunk) {
      if vocabularyRange != chunk.indices { computeVocabularyLogits(chunk, hidden: hidden, embedding: embedding) }
      // The logits become their gradients, the hidden states theirs.
      vocabularyRange = 0..<0
      let dLogits = vocabularyLogits.base
      for (row, index) in chunk.indices.enumerated() {
        let entry = chunk[index]
        let line = dLogits + row * vocabularySize
        let tokens = readouts.tokens(of: entry.set)
        var sum = 0.0
        for k in 0..<tokens.count { sum += gradient[entry.offset + k] }
        _ = Kernels.expRow(line, maximum: Float(logSums[index]), count: vocabularySize)
        Kernels.scale(line, by: Float(-sum), count: vocabularySize)
        for (k, token) in tokens.enumerated() { line[Int(token)] += Float(gradient[entry.offset + k]) }
      }
      if let dEmbedding {
        Gemm.linearWeightGradient(
          dLogits, x: vocabularyHidden.base, rows: chunk.count, input: h, output: vocabularySize, to: dEmbedding,
          transformer.arithmetic)
      }
      Gemm.linearInputGradient(
        dLogits, weight: embedding, rows: chunk.count, input: h, output: vocabularySize, to: vocabularyHidden.base,
        transformer.arithmetic)
      for (i, entry) in chunk.enumerated() { add(vocabularyHidden.base + i * h, to: dHidden + entry.query * h, h) }
    }
  }

  private var products = FloatArena(count: 0)
  private func scratch(_ count: Int) -> MutableFloatPointer {
    if products.count < count { products = FloatArena(count: count) }
    return products.base
  }

  /// Logits of a group of outputs over their common tokens, `[outputs, tokens]`; returns the number of tokens.
  private func optionLogits(
    _ group: ArraySlice<Readouts.Entry>, _ readouts: Readouts, hidden: FloatPointer, embedding: FloatPointer
  ) -> Int {
    let tokens = readouts.tokens(of: group.first!.set)
    let n = tokens.count
    reserveLogits(group.count * n)
    // Few options make no product that pays. How many outputs ask for them must not decide: the bits would depend on it.
    if n < 8 {
      for (i, entry) in group.enumerated() {
        for (k, token) in tokens.enumerated() {
          logits.base[i * n + k] = dot(
            hidden + entry.query * hiddenSize, embedding + Int(token) * hiddenSize, hiddenSize)
        }
      }
    } else {
      gather(embedding, tokens.map { Int($0) }, into: &embeddingRows)
      gather(hidden, group.map(\.query), into: &hiddenRows)
      Gemm.linear(
        hiddenRows.base, weight: embeddingRows.base, rows: group.count, input: hiddenSize, output: n, to: logits.base,
        transformer.arithmetic)
    }
    return n
  }

  private func computeVocabularyLogits(
    _ chunk: ArraySlice<Readouts.Entry>, hidden: FloatPointer, embedding: FloatPointer,
    packed: PackedWeights.Panels? = nil
  ) {
    gather(hidden, chunk.map(\.query), into: &vocabularyHidden)
    if vocabularyLogits.count < chunk.count * vocabularySize {
      vocabularyLogits = FloatArena(count: self.chunk * vocabularySize)
    }
    Gemm.linear(
      vocabularyHidden.base, weight: embedding, rows: chunk.count, input: hiddenSize, output: vocabularySize,
      to: vocabularyLogits.base, packed: packed, transformer.arithmetic)
    vocabularyRange = chunk.indices
  }

  /// log Σ e^x, summed in blocks of 512 floats that are added in double precision.
  private func logSumExp(_ x: FloatPointer, _ count: Int) -> Double {
    let maximum = Kernels.maximum(x, count: count)
    var total = 0.0
    var start = 0
    while start < count {
      let end = min(start + 512, count)
      total += Double(flower_exp_sum(x + start, maximum, end - start))
      start = end
    }
    return Double(maximum) + log(total)
  }
}

extension Array {
  /// Neighbours that belong together, as slices.
  fileprivate func chunked(by belongs: (Element, Element) -> Bool) -> [ArraySlice<Element>] {
    var result: [ArraySlice<Element>] = []
    var start = 0
    for i in indices.dropFirst() where !belongs(self[i - 1], self[i]) {
      result.append(self[start..<i])
      start = i
    }
    if start < count { result.append(self[start...]) }
    return result
  }
}

extension RandomAccessCollection where Index == Int {
  /// Slices of at most `size` elements.
  func chunks(of size: Int) -> [SubSequence] {
    stride(from: startIndex, to: endIndex, by: size).map { self[$0..<Swift.min($0 + size, endIndex)] }
  }
}
