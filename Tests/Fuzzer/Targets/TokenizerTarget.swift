import FlowerDist

extension FuzzTarget {
  /// `tokenizer.json`, then text there and back.
  static let tokenizer = FuzzTarget(
    name: "tokenizer",
    seeds: SampleTokenizer.all.map { FuzzInput("tokenizer.json", $0.serialized(pretty: true)) },
    mutate: { seed, donor, random in
      var text = seed["tokenizer.json"]
      let changesRegex = random.chance(1, in: 3)
      if changesRegex, let document = try? JSON(parsing: text) {
        text = RegexMutation.apply(to: document, &random).serialized()
      }
      if !changesRegex || random.chance(1, in: 4) {
        text = JSONMutation.apply(to: text, donor: donor["tokenizer.json"], &random)
      }
      return FuzzInput("tokenizer.json", text)
    },
    read: { directory in try use(Tokenizer(contentsOf: "\(directory)/tokenizer.json")) })

  /// A rank file of tiktoken, then text there and back.
  static let tiktoken = FuzzTarget(
    name: "tiktoken",
    seeds: [SampleTokenizer.ranks(merges: []), SampleTokenizer.ranks(merges: SampleTokenizer.merges)].map {
      FuzzInput("qwen.tiktoken", $0)
    },
    mutate: { seed, donor, random in
      FuzzInput("qwen.tiktoken", mutateLines(seed["qwen.tiktoken"], donor["qwen.tiktoken"], &random))
    },
    read: { directory in try use(Tokenizer(contentsOf: "\(directory)/qwen.tiktoken")) })

  /// A tokenizer that was read gives ids that it knows, whatever the text.
  private static func use(_ tokenizer: Tokenizer) {
    let long = String(repeating: "a", count: 500) + "b\n" + String(repeating: "aA a's ", count: 50)
    for text in ["", "the cat's 123 the\n\n", "caf\u{E9} e\u{301} \u{1F642}<|endoftext|>", "\0\u{10FFFF}", long] {
      let ids = tokenizer.encode(text)
      guard ids.allSatisfy({ $0 >= 0 && Int($0) < tokenizer.vocabularySize }) else {
        fatalError("an id that the tokenizer does not have")
      }
      _ = tokenizer.decode(ids)
    }
    _ = tokenizer.decode([-1, .min, .max, Int32(tokenizer.vocabularySize)])
    _ = tokenizer.token(for: "\n")
  }

  private static func mutateLines(_ text: [UInt8], _ donor: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
    var lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
    repeat {
      guard !lines.isEmpty else { break }
      // The last lines are the merges.
      let near = random.chance(1, in: 2) ? max(0, lines.count - 12) : 0
      let index = near + random.below(lines.count - near)
      let another = random.below(lines.count)
      switch random.below(9) {
      case 0: lines.remove(at: index)
      case 1: lines.insert(lines[another], at: index)
      case 2: lines.swapAt(index, another)
      case 3:
        // The tokens of two lines change places, the ranks stay.
        var parts = [lines[index], lines[another]].map { $0.split(separator: UInt8(ascii: " ")).map(Array.init) }
        guard parts.allSatisfy({ $0.count == 2 }) else { break }
        (parts[0][0], parts[1][0]) = (parts[1][0], parts[0][0])
        lines[index] = Array(parts[0].joined(separator: [UInt8(ascii: " ")]))
        lines[another] = Array(parts[1].joined(separator: [UInt8(ascii: " ")]))
      case 4:
        let tails = [
          "-1", "+5", "1e2", "5.0", "", "99999999999999999999", "4194304", "2147483648", "\(index)", "\(another)",
        ]
        lines[index] = Array(lines[index].prefix { $0 != UInt8(ascii: " ") }) + Array((" " + random.pick(tails)).utf8)
      case 5:
        let tokens = [
          "", "=", "====", "YQ", "YQ=", "YQ==", "YWE=", "!!!!", "YWFhYWFhYWFhYWFhYWFhYWFh", "AAAA", "\u{E9}",
        ]
        lines[index] = Array("\(random.pick(tokens)) \(index)".utf8)
      case 6: lines[index] = []
      case 7: lines.removeLast(lines.count - index)
      default: ByteMutation.apply(to: &lines[index], donor: lines[another], &random)
      }
    } while random.chance(1, in: 3)
    var bytes = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
    if random.chance(1, in: 8) { ByteMutation.apply(to: &bytes, donor: donor, &random) }
    return bytes
  }
}
