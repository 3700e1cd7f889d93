/// Damage to the lines of a YAML text: other values and keys, other depths, and what YAML can blow up with.
struct YAMLMutation {
  private static let values = [
    "", "~", "null", "true", "yes", "0", "-0", "-1", "+1", "0x10", "0o7", "1_000", "1e3", "4.0", "1e999", "1e-320",
    ".inf", ".nan", "2147483648", "9223372036854775807", "9223372036854775808", "18446744073709551616", "5 # five", "#",
    "\"0\"", "'it''s'", "\"\\0\"", "\"\\x07\\e[2J\"", "\"\\u2028\"", "\"\\ud800\"", "\"\\U00110000\"", "\"unclosed",
    "'unclosed", "!!binary aGVsbG8=", "!!int 5", "!!str 5", "!!float 5", "!!set {a, b}",
    "!!python/object/apply:os.system [ls]", "!<tag:example.org,2000:x> y", "!local z", "&a b", "&a [1]", "*a", "*b",
    "<<", "{<<: *a}", "[]", "{}", "[1, 2]", "{a: b}", "{history}", "\"{history}\\n\"", "[[[[]]]]", "|", "|2-", ">+",
    "%YAML 1.2", "---", "...", "? a", "- a", "a: b", "e\u{301}", "\u{E9}", "\u{FEFF}", "\u{85}", "\u{2028}",
    "\u{1F642}", ".", "..", "../x", "/x", "-x", "a/b", "a\tb", "coin", "policy", "weight 0.5, policy rest",
    "weight 1 to 0.2 over 5-20, policy rest", "weight 1 to 0.2 over 9999999999999999999-3",
    "length 1 to 0.1 by 0.1 per 100 below 2.5, policy rest", "weight nan", "weight 0", "replay", "weight 1,,", "a, a",
    "q_proj, v_proj", "q_proj, q_proj", "sft", "dpo", "grpo", "terminating", "vocabulary", "items", "bytes", "file",
    "model",
  ]
  private static let keys = [
    "model", "data", "training", "objective", "trajectories", "replay", "steps", "path", "generated", "name", "runs",
    "7", "training.steps", "modle", "\"a\"", "? b", "[a]", "{a: b}", "*a", "&a a", "<<", "!!str c", "~", "",
    "unknown_and_rather_long_key", "e\u{301}", "\u{E000}x", "\u{202E}", "\"\\e\"",
  ]

  /// Damages a text: mostly by lines, sometimes as bytes.
  static func apply(to text: [UInt8], donor: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
    var text = text
    let asBytes = random.chance(1, in: 6)
    if !asBytes {
      var lines = lines(of: text)
      repeat { change(&lines, donor: Self.lines(of: donor), &random) } while random.chance(1, in: 3)
      text = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
    }
    if asBytes || random.chance(1, in: 10) { ByteMutation.apply(to: &text, donor: donor, &random) }
    return text
  }

  private static func lines(of text: [UInt8]) -> [[UInt8]] {
    text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
  }

  private static func change(_ lines: inout [[UInt8]], donor: [[UInt8]], _ random: inout FuzzRandom) {
    guard !lines.isEmpty else {
      lines = donor
      return
    }
    let index = random.below(lines.count)
    let colon = lines[index].firstIndex(of: UInt8(ascii: ":"))
    switch random.below(13) {
    case 0: lines.remove(at: index)
    case 1: lines.insert(lines[index], at: random.below(lines.count + 1))
    case 2: lines.swapAt(index, random.below(lines.count))
    case 3: lines[index] = [UInt8](repeating: UInt8(ascii: " "), count: random.below(5)) + lines[index]
    case 4: lines[index] = Array(lines[index].drop { $0 == UInt8(ascii: " ") })
    case 5: lines[index].insert(UInt8(ascii: "\t"), at: random.below(lines[index].count + 1))
    case 6: lines.insert(random.pick(donor), at: index)
    case 7 where colon != nil:
      let indent = lines[index].prefix { $0 == UInt8(ascii: " ") }
      lines[index] = indent + Array(random.pick(keys).utf8) + lines[index][colon!...]
    case 8: lines.insert(Array(blowUp(&random).utf8), at: random.chance(1, in: 2) ? 0 : index)
    default:
      guard let colon else { return }
      lines[index] = lines[index][...colon] + Array((" " + random.pick(values)).utf8)
    }
  }

  /// A text whose reading could take far more time or memory than it has bytes.
  private static func blowUp(_ random: inout FuzzRandom) -> String {
    let count = 1 + random.length(1 << 14)
    func repeated(_ part: String) -> String { String(repeating: part, count: count) }
    switch random.below(14) {
    case 0: return aliases(levels: 1 + random.below(40), width: 1 + random.below(10), &random)
    case 1:
      let (open, close) = random.pick([("[", "]"), ("{a: ", "}"), ("[{a: [", "]}]"), ("{[", "]: 0}"), ("[[a]: ", "]")])
      return "x: " + repeated(open) + (random.chance(1, in: 2) ? repeated(close) : "")
    case 2: return repeated(random.pick(["- ", "? ", "- - a: ", "? - ", "!!seq ", "&a ", ": "])) + "x"
    case 3: return (0..<min(count, 200)).map { String(repeating: " ", count: $0) + "a:" }.joined(separator: "\n")
    case 4: return (0..<min(count, 5000)).map { "key\($0): \($0)" }.joined(separator: "\n")
    case 5: return (0..<min(count, 500)).map { _ in "name: x" }.joined(separator: "\n")
    case 6: return (0..<min(count, 500)).map { "k\($0): 0\nk\($0): 1" }.joined(separator: "\n")
    case 7: return "name: " + repeated(random.pick(["x", "x ", "é", "e\u{301}", "\"\\n", "''"]))
    case 8: return "name: |\n" + repeated(random.pick(["  x\n", " \n", "  \n", "    \n"]))
    case 9: return repeated("x") + ": y"
    case 10: return "#" + repeated("x")
    case 11: return repeated("---\n")
    case 12:
      return "prompt: {template: \"" + repeated(random.pick(["{history}", "\\\n", "\\u00e9", "e\u{301}"])) + "\"}"
    default: return "? " + repeated("[") + "x" + repeated("]") + "\n: y"
    }
  }

  /// Each level has the one before it several times, so that all of it is exponentially large; used as a value, as a
  /// key or merged in.
  private static func aliases(levels: Int, width: Int, _ random: inout FuzzRandom) -> String {
    let isMapping = random.chance(1, in: 3)
    var lines = ["x0: &x0 " + (isMapping ? "{a: b}" : "[a]")]
    for level in 1...levels {
      let inner = (0..<width).map { (isMapping ? "k\($0): " : "") + "*x\(level - 1)" }.joined(separator: ", ")
      lines.append("x\(level): &x\(level) " + (isMapping ? "{\(inner)}" : "[\(inner)]"))
    }
    lines.append(
      random.pick(["*x\(levels) : y", "? *x\(levels)\n: y", "<<: *x\(levels)", "name: *x\(levels)", "{*x\(levels): 0}"])
    )
    return lines.joined(separator: "\n")
  }
}
