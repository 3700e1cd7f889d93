import FlowerDist

/// Damage to a JSON text that stays close to one: values at the edge, other types, keys dropped, doubled and renamed,
/// parts of other documents, depth.
struct JSONMutation {
  private static let numbers = [
    "0", "-0", "-1", "1", "2", "3", "7", "8", "255", "256", "4.0", "1e3", "1E+2", "0.5", "-0.5", "1e308", "-1e308",
    "1e999",
    "1e-320", "65535", "65536", "1048576", "4194303", "4194304", "16777216", "16777217", "2147483647", "2147483648",
    "4294967295",
    "4294967296",
    "4611686018427387904", "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775809", "18446744073709551615", "18446744073709551616", "6148914691236517206",
    "1" + String(repeating: "0", count: 400), "0." + String(repeating: "0", count: 400) + "1",
    // None of these is JSON.
    "00", "01", "+1", ".5", "1.", "0x10", "NaN", "Infinity", "-", "",
  ]
  private static let strings = [
    "", " ", "\0", "\n", "\r\n", "a\u{0}b", "é", "e\u{301}", "🙂", "\u{FEFF}", "\u{202E}", ".", "..", "../x", "/x",
    "-1", "4.0", "null", "{history}", "{", "Ġ", "Ġa", "a b", " a", "\u{10FFFF}", String(repeating: "x", count: 300),
    String(repeating: "e\u{301}", count: 2000),
  ]

  /// Keys and strings of good documents, to be used in wrong places.
  private let words: [String]
  private let donor: JSON?

  init(donor: JSON?) {
    self.donor = donor
    var words = Self.strings
    if let donor { Self.collect(donor, into: &words) }
    self.words = words
  }

  private static func collect(_ value: JSON, into words: inout [String]) {
    guard words.count < 500 else { return }
    switch value {
    case .string(let text): words.append(text)
    case .array(let elements): for element in elements { collect(element, into: &words) }
    case .object(let members):
      for member in members {
        words.append(member.key)
        collect(member.value, into: &words)
      }
    default: break
    }
  }

  /// Damages a text: mostly as a document, sometimes as bytes, sometimes both.
  static func apply(to text: [UInt8], donor: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
    var text = text
    let asBytes = random.chance(1, in: 6)
    if !asBytes, let document = try? JSON(parsing: text) {
      let mutation = JSONMutation(donor: try? JSON(parsing: donor))
      var changed = document
      repeat { changed = mutation.changed(changed, &random) } while random.chance(1, in: 3)
      text = changed.serialized(pretty: random.chance(1, in: 4))
    }
    if asBytes || random.chance(1, in: 10) { ByteMutation.apply(to: &text, donor: donor, &random) }
    return text
  }

  /// Changes one value: going down from the top, every level is as likely.
  func changed(_ value: JSON, _ random: inout FuzzRandom) -> JSON {
    switch value {
    case .array(var elements) where !elements.isEmpty && random.chance(3, in: 4):
      let index = random.below(elements.count)
      elements[index] = changed(elements[index], &random)
      return .array(elements)
    case .object(var members) where !members.isEmpty && random.chance(3, in: 4):
      let index = random.below(members.count)
      members[index].value = changed(members[index].value, &random)
      return .object(members)
    default: return altered(value, &random)
    }
  }

  private func altered(_ value: JSON, _ random: inout FuzzRandom) -> JSON {
    if random.chance(1, in: 5) { return other(value, &random) }
    switch value {
    case .array(let elements): return .array(altered(elements, &random))
    case .object(let members): return .object(altered(members, &random))
    case .string(let text): return .string(altered(text, &random))
    case .number(let text): return .number(altered(number: text, &random))
    case .bool(let value): return random.chance(1, in: 2) ? .bool(!value) : .number(value ? "1" : "0")
    case .null: return other(value, &random)
    }
  }

  /// A value of any type in the place of this one, or around it.
  private func other(_ value: JSON, _ random: inout FuzzRandom) -> JSON {
    switch random.below(10) {
    case 0: return .null
    case 1: return .bool(random.chance(1, in: 2))
    case 2: return .number(random.pick(Self.numbers))
    case 3: return .string(random.pick(words))
    case 4: return .array([])
    case 5: return .object([])
    case 6: return .array([value])
    case 7: return .object([JSON.Member(random.pick(words), value)])
    case 8:
      // About as deep as is allowed.
      return (0..<120 + random.below(16)).reduce(value) { inner, level in
        level % 2 == 0 ? .array([inner]) : .object([JSON.Member("a", inner)])
      }
    default: return donor.map { part(of: $0, &random) } ?? .null
    }
  }

  private func part(of value: JSON, _ random: inout FuzzRandom) -> JSON {
    switch value {
    case .array(let elements) where !elements.isEmpty && random.chance(3, in: 4):
      part(of: random.pick(elements), &random)
    case .object(let members) where !members.isEmpty && random.chance(3, in: 4):
      part(of: random.pick(members).value, &random)
    default: value
    }
  }

  private func altered(_ elements: [JSON], _ random: inout FuzzRandom) -> [JSON] {
    guard !elements.isEmpty else { return [.number(random.pick(Self.numbers))] }
    var elements = elements
    let index = random.below(elements.count)
    switch random.below(6) {
    case 0: elements.remove(at: index)
    case 1: elements.insert(elements[index], at: random.below(elements.count + 1))
    case 2: elements.swapAt(index, random.below(elements.count))
    case 3: elements.removeLast(elements.count - index)
    case 4:
      let count = 1 + random.length(1 << 14)
      elements.insert(contentsOf: repeatElement(elements[index], count: count), at: index)
    default: elements.insert(other(elements[index], &random), at: index)
    }
    return elements
  }

  private func altered(_ members: [JSON.Member], _ random: inout FuzzRandom) -> [JSON.Member] {
    guard !members.isEmpty else { return [JSON.Member(random.pick(words), .null)] }
    var members = members
    let index = random.below(members.count)
    switch random.below(9) {
    case 0, 1: members.remove(at: index)
    case 2:
      // The same key again, with this or another value.
      var copy = members[index]
      if random.chance(1, in: 2) { copy.value = other(copy.value, &random) }
      members.insert(copy, at: random.below(members.count + 1))
    case 3: members[index].key = altered(members[index].key, &random)
    case 4:
      let another = random.below(members.count)
      (members[index].value, members[another].value) = (members[another].value, members[index].value)
    case 5:
      let another = random.below(members.count)
      (members[index].key, members[another].key) = (members[another].key, members[index].key)
    case 6: members.swapAt(index, random.below(members.count))
    case 7:
      // Two keys that Unicode calls equal and bytes do not.
      members += [JSON.Member("\u{E9}", members[index].value), JSON.Member("e\u{301}", members[index].value)]
    default:
      members.insert(JSON.Member(random.pick(words), other(members[index].value, &random)), at: index)
    }
    return members
  }

  private func altered(_ text: String, _ random: inout FuzzRandom) -> String {
    switch random.below(6) {
    case 0: return random.pick(words) + text
    case 1: return text + random.pick(words)
    case 2: return String(text.dropLast())
    case 3: return text.uppercased()
    default: return random.pick(words)
    }
  }

  /// Another number: at the edge, a little more or less, or the same written differently.
  private func altered(number text: String, _ random: inout FuzzRandom) -> String {
    guard let value = Int(text), random.chance(1, in: 2) else { return random.pick(Self.numbers) }
    switch random.below(8) {
    case 0: return text + ".0"
    case 1: return text + "e0"
    case 2: return "-" + text
    case 3: return "0" + text
    case 4: return "\(value &* 2)"
    case 5: return "\(value / 2)"
    case 6: return "\(value &+ 1)"
    default: return "\(value &- 1)"
    }
  }
}
