/// Damage that knows nothing of the format.
enum ByteMutation {
  /// What breaks readers of text: structure, numbers at the edge, invalid UTF-8, marks, escapes.
  private static let fragments: [[UInt8]] =
    [
      "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "\\ud800", "\\udc00\\ud800", "\\u00e9", "null", "true", "-",
      "0", "00", "-0", "1e308", "1e999", "4.0", "9223372036854775807", "9223372036854775808", "18446744073709551616",
      "-1", "NaN", " ", "\n", "\r\n", "\t", "\0", "//", "#", "=", "==", "\u{FEFF}", "\u{2028}", "é", "e\u{301}", "🙂",
    ].map { Array($0.utf8) }
    // A lone continuation, overlong, a surrogate, past U+10FFFF, cut off, never valid.
    + [[0x80], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0xFE], [0xFF, 0xFE]]

  static func apply(to bytes: inout [UInt8], donor: [UInt8], _ random: inout FuzzRandom) {
    repeat { change(&bytes, donor, &random) } while random.chance(1, in: 3)
  }

  private static func change(_ bytes: inout [UInt8], _ donor: [UInt8], _ random: inout FuzzRandom) {
    let place = random.below(bytes.count + 1)
    func range(_ random: inout FuzzRandom, in bytes: [UInt8]) -> Range<Int> {
      let start = random.below(bytes.count + 1)
      return start..<start + random.length(bytes.count - start)
    }
    switch random.below(12) {
    case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8(random.below(8))
    case 1 where place < bytes.count: bytes[place] = UInt8(truncatingIfNeeded: random.next())
    case 2 where place < bytes.count: bytes.replaceSubrange(place...place, with: random.pick(fragments))
    case 3: bytes.removeLast(bytes.count - place)
    case 4: bytes.removeSubrange(range(&random, in: bytes))
    case 5: bytes.insert(contentsOf: bytes[range(&random, in: bytes)], at: place)
    case 6: bytes.insert(contentsOf: donor[range(&random, in: donor)], at: place)
    case 7: bytes.replaceSubrange(place..., with: donor[range(&random, in: donor)])
    case 8:
      // Many of one thing, such as a hundred thousand brackets.
      let fragment = random.pick(fragments)
      bytes.insert(contentsOf: [[UInt8]](repeating: fragment, count: 1 + random.length(1 << 17)).joined(), at: place)
    case 9 where random.chance(1, in: 4):
      // UTF-16, of either order.
      let isLittle = random.chance(1, in: 2)
      bytes = bytes.flatMap { isLittle ? [$0, 0] : [0, $0] }
      if random.chance(1, in: 2) { bytes = (isLittle ? [0xFF, 0xFE] : [0xFE, 0xFF]) + bytes }
    case 10 where random.chance(1, in: 4): bytes = []
    default: bytes.insert(contentsOf: random.pick(fragments), at: place)
    }
  }
}
