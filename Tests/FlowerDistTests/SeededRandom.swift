/// Random numbers of the tests, the same on every machine (SplitMix64, Steele et al. 2014).
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: Int) { state = UInt64(seed) }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func doubles(_ count: Int, in range: ClosedRange<Double>) -> [Double] {
    (0..<count).map { _ in Double.random(in: range, using: &self) }
  }

  mutating func floats(_ count: Int, in range: ClosedRange<Float>) -> [Float] {
    (0..<count).map { _ in Float.random(in: range, using: &self) }
  }

  mutating func tokens(_ count: Int, below bound: Int) -> [Int32] {
    (0..<count).map { _ in Int32.random(in: 0..<Int32(bound), using: &self) }
  }

  /// Titles that are hard on a tree: beginnings of each other, the same for several items, and of one token. Tokens are
  /// 0 to 6 without the terminator 3.
  mutating func titles(_ count: Int) -> [[Int32]] {
    let alphabet: [Int32] = [0, 1, 2, 4, 5, 6]
    var titles: [[Int32]] = []
    for _ in 0..<count {
      let kind = Int.random(in: 0..<10, using: &self)
      if kind < 2, let other = titles.randomElement(using: &self) {
        titles.append(other)
        continue
      }
      var title = kind < 5 ? titles.randomElement(using: &self) ?? [] : []
      let length = kind == 9 ? 1 : Int.random(in: 1...5, using: &self)
      for _ in 0..<length { title.append(alphabet.randomElement(using: &self)!) }
      titles.append(title)
    }
    return titles
  }
}
