extension Dataset {
  private static let vocabulary = 64
  private static let wordsInTitle = 5
  /// Share of a user's choices that follow the user's taste; the others follow popularity.
  private static let loyalty = 0.8

  /// A made-up dataset that resembles a real one, for trying things without a network and for tests: pronounceable
  /// titles that share beginnings (some are the beginning of another), popularity by Zipf's law, and users with tastes,
  /// so that histories predict targets. The same numbers give the same dataset on every machine.
  ///
  /// - Parameters:
  ///   - titles: Number of items, all titles distinct.
  ///   - examples: Number of examples, split 80 / 10 / 10; 0 makes a distribution without histories.
  /// - Throws: `FlowerError` of kind `usage` for fewer than 2 or more than a million titles, for 1 to 9 examples (a
  ///   split would be empty) or more than 10 million.
  public static func generated(titles count: Int, examples: Int, seed: UInt64) throws -> Dataset {
    guard (2...1_000_000).contains(count) else {
      throw FlowerError(.usage, "data.generated: expected 2 to 1,000,000 titles, found \(count)")
    }
    guard examples == 0 || (10...10_000_000).contains(examples) else {
      throw FlowerError(.usage, "data.generated_examples: expected 0 or 10 to 10,000,000, found \(examples)")
    }
    let hash = CounterHash(seed: seed)
    let titles = generatedTitles(count, hash)
    let weights = generatedWeights(count, hash)
    let name = "generated"
    guard examples > 0 else { return Dataset(name: name, titles: titles, weights: weights) }
    return Dataset(name: name, titles: titles, ordered: generatedExamples(examples, weights, hash))
  }

  /// Every second title adds a word to an earlier one.
  private static func generatedTitles(_ count: Int, _ hash: CounterHash) -> [String] {
    var titles: [[Int]] = []
    var taken = Set<[Int]>()
    var attempt = 0
    while titles.count < count {
      func draw(_ purpose: Int, below bound: Int) -> Int { hash.integer(below: bound, .title, attempt, purpose) }
      var words: [Int] = []
      if !titles.isEmpty, draw(0, below: 2) == 0 { words = titles[draw(1, below: titles.count)] }
      for place in 0..<(words.isEmpty ? 1 + draw(2, below: 3) : 1) { words.append(draw(3 + place, below: vocabulary)) }
      if words.count <= wordsInTitle, taken.insert(words).inserted { titles.append(words) }
      attempt += 1
    }
    let words = (0..<vocabulary).map(word)
    return titles.map { $0.map { words[$0] }.joined(separator: " ") }
  }

  /// A word of two or three syllables; below 70 no two begin with the same.
  private static func word(_ number: Int) -> String {
    let consonants = Array("bdfgklmnprstvz")
    let vowels = Array("aeiou")
    func syllable(_ n: Int) -> String { String([consonants[n % 14], vowels[n / 14 % 5]]) }
    let tail = number % 3 == 0 ? syllable((number * 11 + 40) % 70) : ""
    return (syllable(number % 70) + syllable((number * 33 + 17) % 70) + tail).capitalizedFirst
  }

  /// Training counts by Zipf's law, `c / rank`, rounded and at least 1, the ranks in an order of their own.
  private static func generatedWeights(_ count: Int, _ hash: CounterHash) -> [Double] {
    let order = (0..<count).sorted { (hash.bits(.rank, $0, 0), $0) < (hash.bits(.rank, $1, 0), $1) }
    var weights = [Double](repeating: 0, count: count)
    for (rank, item) in order.enumerated() { weights[item] = max(1, (Double(10 * count) / Double(rank + 1)).rounded()) }
    return weights
  }

  private static func generatedExamples(_ count: Int, _ weights: [Double], _ hash: CounterHash) -> [Interaction] {
    let tastes = max(2, min(32, weights.count / 12))
    let groups = (0..<weights.count).reduce(into: [[Int]](repeating: [], count: tastes)) { groups, item in
      groups[hash.integer(below: tastes, .taste, item, 0)].append(item)
    }
    let everything = WeightedDraw(Array(weights.indices), weights)
    let favourites = groups.map { $0.isEmpty ? everything : WeightedDraw($0, weights) }
    var events: [InteractionEvent] = []
    var missing = count
    var user = 0
    while missing > 0 {
      let length = 1 + min(missing, 4 + hash.integer(below: 12, .user, user, 0))
      let favourite = favourites[hash.integer(below: tastes, .user, user, 1)]
      let start = hash.unit(.user, user, 2) * 1000
      for place in 0..<length {
        let loyal = hash.unit(.choice, user, 2 * place) < loyalty
        let item = (loyal ? favourite : everything).item(at: hash.unit(.choice, user, 2 * place + 1))
        events.append(InteractionEvent(user: Int32(user), item: Int32(item), time: start + Double(place)))
      }
      missing -= length - 1
      user += 1
    }
    return events.examples(historyLength: Preparation.Options().historyLength)
  }
}

/// Items drawn in proportion to their weights.
private struct WeightedDraw {
  let items: [Int]
  /// Sums of the weights up to and with each item.
  var sums: [Double] = []

  init(_ items: [Int], _ weights: [Double]) {
    self.items = items
    for item in items { sums.append((sums.last ?? 0) + weights[item]) }
  }

  /// The item at a place of the unit interval.
  func item(at place: Double) -> Int {
    let wanted = place * sums.last!
    var range = 0..<sums.count - 1
    while !range.isEmpty {
      let middle = (range.lowerBound + range.upperBound) / 2
      range = sums[middle] > wanted ? range.lowerBound..<middle : middle + 1..<range.upperBound
    }
    return items[range.lowerBound]
  }
}

/// Random numbers without a state: each is a function of the seed and of what it is for.
private struct CounterHash {
  enum Purpose: UInt64 { case title, rank, taste, user, choice }

  let seed: UInt64

  func bits(_ purpose: Purpose, _ first: Int, _ second: Int) -> UInt64 {
    [purpose.rawValue, UInt64(first), UInt64(second)].reduce(Self.mixed(seed)) { Self.mixed($0 ^ $1) }
  }

  /// In [0, 1).
  func unit(_ purpose: Purpose, _ first: Int, _ second: Int) -> Double {
    Double(bits(purpose, first, second) >> 11) / Double(1 << 53)
  }

  func integer(below bound: Int, _ purpose: Purpose, _ first: Int, _ second: Int) -> Int {
    Int(unit(purpose, first, second) * Double(bound))
  }

  /// The output function of SplitMix64 (Steele, Lea and Flood, 2014).
  private static func mixed(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

extension String {
  fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
