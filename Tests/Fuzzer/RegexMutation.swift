import FlowerDist

/// Regular expressions of tokenizer files, made up: nested repetitions, alternatives that begin alike, lookaheads.
enum RegexMutation {
  private static let atoms = [
    "a", "aa", "e", " ", ".", "\\s", "\\S", "\\d", "\\w", "\\p{L}", "\\p{N}", "\\P{L}", "\\p{Lu}", "[a-e]", "[^a]",
    "[^\\r\\n\\p{L}\\p{N}]", "[a-z&&[^b]]", "\\n", "^", "$", "\\A", "\\z", "é", "\\x{1F642}", "(?i:'s|'T)", "(?i:s)",
    // Not read, or not at all.
    "\\b", "\\1", "(?<=a)", "(?<n>a)", "[[:alpha:]]", "\\p{Greek}", "[z-a]", "[]", "\\", "(", "[a", "a{2,1}",
    "\\u{110000}",
  ]
  private static let quantifiers = [
    "", "", "?", "*", "+", "??", "*?", "+?", "*+", "++", "{2}", "{0,3}", "{1,}", "{,4}", "{30}", "{1000}", "{2}+",
    "{1001}",
  ]

  /// An expression of at most so many levels of groups.
  static func expression(depth: Int = 4, _ random: inout FuzzRandom) -> String {
    (0..<1 + random.below(3)).map { _ in item(depth, &random) + random.pick(quantifiers) }.joined()
  }

  private static func item(_ depth: Int, _ random: inout FuzzRandom) -> String {
    guard depth > 0, random.chance(1, in: 2) else { return random.pick(atoms) }
    let opening = random.pick(["(", "(?:", "(?:", "(?i:", "(?-i:", "(?=", "(?!", "(?>"])
    let branches = (0..<1 + random.below(3)).map { _ in expression(depth: depth - 1, &random) }
    return opening + branches.joined(separator: "|") + ")"
  }

  /// A document with every `{"Regex": …}` in it changed.
  static func apply(to value: JSON, _ random: inout FuzzRandom) -> JSON {
    switch value {
    case .array(let elements): return .array(elements.map { apply(to: $0, &random) })
    case .object(let members):
      return .object(
        members.map { member in
          guard member.key == "Regex", case .string(let old) = member.value else {
            return JSON.Member(member.key, apply(to: member.value, &random))
          }
          let new = expression(&random)
          return JSON.Member("Regex", .string(random.pick([new, old + "|" + new, new + old, changed(old, &random)])))
        })
    default: return value
    }
  }

  private static func changed(_ pattern: String, _ random: inout FuzzRandom) -> String {
    var scalars = Array(pattern.unicodeScalars)
    let place = random.below(scalars.count + 1)
    switch random.below(3) {
    case 0: scalars.removeLast(scalars.count - place)
    case 1: scalars.insert(contentsOf: random.pick(quantifiers + atoms).unicodeScalars, at: place)
    default: scalars.removeSubrange(place..<min(scalars.count, place + 1 + random.below(4)))
    }
    return String(String.UnicodeScalarView(scalars))
  }
}
