import Foundation

/// The words of the catalogue's titles, split at white space and told apart by their bytes.
struct TitleWords {
  /// The numbers of the words of each leaf's title, in order, repetitions included.
  private let wordsOfLeaf: [[Int]]
  private let vocabularySize: Int

  init(titles: [String]) {
    // Array<UInt8> keys: String's == is canonical equivalence.
    var numbers: [[UInt8]: Int] = [:]
    wordsOfLeaf = titles.map { title in
      title.unicodeScalars.split { $0.properties.isWhitespace }.map { word in
        let bytes = Array(String(word).utf8)
        let number = numbers[bytes] ?? numbers.count
        numbers[bytes] = number
        return number
      }
    }
    vocabularySize = numbers.count
  }

  /// Shannon entropy in bits of the words of the titles, each counted as often as its leaf is, and the share of
  /// distinct words; both zero without words.
  func diversity(leafCounts: [Int]) -> (entropy: Double, typeTokenRatio: Double) {
    var counts = [Int](repeating: 0, count: vocabularySize)
    for (leaf, count) in leafCounts.enumerated() where count > 0 {
      for word in wordsOfLeaf[leaf] { counts[word] += count }
    }
    let total = Double(counts.reduce(0, +))
    guard total > 0 else { return (0, 0) }
    let entropy = counts.reduce(0.0) { sum, count in
      guard count > 0 else { return sum }
      let share = Double(count) / total
      return sum - share * log2(share)
    }
    return (entropy, Double(counts.count { $0 > 0 }) / total)
  }
}
