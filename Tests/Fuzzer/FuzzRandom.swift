/// The random choices of one case (SplitMix64, Steele et al. 2014), a function of target, seed and number.
struct FuzzRandom {
  private var state: UInt64

  init(seed: UInt64, target: String, number: Int) {
    state = seed
    for part in Array(target.utf8).map(UInt64.init) + [UInt64(number)] { state = next() ^ part }
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// From 0 to `bound` - 1.
  mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

  mutating func chance(_ count: Int, in total: Int) -> Bool { below(total) < count }

  mutating func pick<Choices: RandomAccessCollection>(_ choices: Choices) -> Choices.Element {
    choices[choices.index(choices.startIndex, offsetBy: below(choices.count))]
  }

  /// A length up to `longest`, small ones as likely as large ones.
  mutating func length(_ longest: Int) -> Int {
    guard longest > 0 else { return 0 }
    return below(1 + longest >> below(Int.bitWidth - longest.leadingZeroBitCount))
  }
}
