extension Tokenizer {
  /// Learns a byte-level BPE vocabulary: 256 tokens for the bytes (id = byte), then one token per merge.
  ///
  /// The most frequent adjacent pair of tokens becomes a token, again and again; the smaller ids win a tie, so the same
  /// texts give the same vocabulary. Pieces are GPT-2's, except that no token but "\n" contains a newline. Hence
  /// `encode(a + "\n" + b)` is always `encode(a)`, the newline's token, `encode(b)`: a title's tokens do not depend on
  /// the terminator behind it, nor on the lines around it.
  ///
  /// - Parameters:
  ///   - texts: with how often each counts, at least 0.
  ///   - vocabularySize: at least 256. The vocabulary stays smaller where no pair occurs twice.
  /// - Throws: `FlowerError` (usage) on a size or count out of range.
  public static func train(texts: [(text: String, count: Int)], vocabularySize: Int) throws -> Tokenizer {
    guard (256...Vocabulary.idLimit).contains(vocabularySize) else {
      throw FlowerError(
        .usage, "tokenizer: a vocabulary of \(vocabularySize); expected 256 to \(Vocabulary.idLimit) tokens")
    }
    var trainer = TokenizerTrainer(words: try words(of: texts))
    while trainer.tokens.count < vocabularySize, trainer.mergeMostFrequentPair() {}
    return Tokenizer(
      vocabulary: try Vocabulary(trainer.tokens, file: "the trained tokenizer"), merges: MergeTable(trainer.merges),
      preTokenizer: .gpt2)
  }

  /// The distinct pieces without newlines, in order of first appearance, with their counts.
  private static func words(of texts: [(text: String, count: Int)]) throws -> [TokenizerTrainer.Word] {
    let newline = UInt8(ascii: "\n")
    var indices: [ArraySlice<UInt8>: Int] = [:]
    var words: [TokenizerTrainer.Word] = []
    // No pair can be counted more often than there are bytes.
    var bytes = 0
    for (text, count) in texts where count != 0 {
      let (weighted, overflow) = count.multipliedReportingOverflow(by: text.utf8.count)
      let (sum, sumOverflow) = bytes.addingReportingOverflow(weighted)
      guard count > 0, !overflow, !sumOverflow else {
        throw FlowerError(.usage, "tokenizer: a text counts \(count) times; expected a positive count that adds up")
      }
      bytes = sum
      let pieces = PreTokenizer.gpt2.split(Array(text.utf8))
      for range in pieces.ranges {
        for word in pieces.bytes[range].split(separator: newline) where word.count > 1 {
          if let index = indices[word] {
            words[index].count += count
          } else {
            indices[word] = words.count
            words.append(TokenizerTrainer.Word(symbols: word.map { Int32($0) }, count: count))
          }
        }
      }
    }
    return words
  }
}

/// The state of training: words as tokens so far, and how often each pair of adjacent tokens occurs in them.
private struct TokenizerTrainer {
  struct Word {
    var symbols: [Int32]
    var count: Int
  }

  struct Pair: Hashable {
    let left: Int32
    let right: Int32
  }

  /// Orders the most frequent pair first, then the one with the smaller ids.
  struct Candidate: Comparable {
    let count: Int
    let pair: Pair

    static func < (a: Candidate, b: Candidate) -> Bool {
      (b.count, a.pair.left, a.pair.right) < (a.count, b.pair.left, b.pair.right)
    }
  }

  /// Bytes by id.
  private(set) var tokens: [[UInt8]] = (0...UInt8.max).map { [$0] }
  private(set) var merges: [MergeTable.Merge] = []

  private var ids: [[UInt8]: Int32] = [:]
  private var words: [Word]
  private var counts: [Pair: Int] = [:]
  /// The words in which a pair occurs or once did.
  private var places: [Pair: [Int]] = [:]
  /// May hold counts of the past, which are corrected when they come up.
  private var candidates = BinaryHeap<Candidate>()

  init(words: [Word]) {
    self.words = words
    for (index, word) in words.enumerated() {
      for pair in Self.pairs(word.symbols) {
        counts[pair, default: 0] += word.count
        if places[pair]?.last != index { places[pair, default: []].append(index) }
      }
    }
    for (pair, count) in counts { candidates.push(Candidate(count: count, pair: pair)) }
  }

  /// Makes one token of the most frequent pair everywhere; `false` if no pair occurs twice.
  mutating func mergeMostFrequentPair() -> Bool {
    guard let pair = popMostFrequentPair() else { return false }
    let bytes = tokens[Int(pair.left)] + tokens[Int(pair.right)]
    // Another pair may have made the same bytes before.
    let id = ids[bytes] ?? Int32(tokens.count)
    if ids.updateValue(id, forKey: bytes) == nil { tokens.append(bytes) }
    merges.append(MergeTable.Merge(left: pair.left, right: pair.right, rank: Int32(merges.count), id: id))

    var changes: [Pair: Int] = [:]
    for index in places.removeValue(forKey: pair) ?? [] {
      let word = words[index]
      let merged = Self.merge(pair, into: id, in: word.symbols)
      guard merged.count < word.symbols.count else { continue }
      words[index].symbols = merged
      for old in Self.pairs(word.symbols) { changes[old, default: 0] -= word.count }
      for new in Self.pairs(merged) {
        changes[new, default: 0] += word.count
        if new.left == id || new.right == id, places[new]?.last != index { places[new, default: []].append(index) }
      }
    }
    for (pair, change) in changes where change != 0 {
      let count = counts[pair, default: 0] + change
      counts[pair] = count == 0 ? nil : count
      if change > 0 { candidates.push(Candidate(count: count, pair: pair)) }
    }
    return true
  }

  private mutating func popMostFrequentPair() -> Pair? {
    while let candidate = candidates.pop() {
      let count = counts[candidate.pair] ?? 0
      guard count >= 2 else { continue }
      if count == candidate.count { return candidate.pair }
      if count < candidate.count { candidates.push(Candidate(count: count, pair: candidate.pair)) }
    }
    return nil
  }

  private static func pairs(_ symbols: [Int32]) -> some Sequence<Pair> {
    zip(symbols, symbols.dropFirst()).lazy.map { Pair(left: $0, right: $1) }
  }

  private static func merge(_ pair: Pair, into id: Int32, in symbols: [Int32]) -> [Int32] {
    var merged: [Int32] = []
    merged.reserveCapacity(symbols.count)
    var index = 0
    while index < symbols.count {
      if index + 1 < symbols.count, symbols[index] == pair.left, symbols[index + 1] == pair.right {
        merged.append(id)
        index += 2
      } else {
        merged.append(symbols[index])
        index += 1
      }
    }
    return merged
  }
}
