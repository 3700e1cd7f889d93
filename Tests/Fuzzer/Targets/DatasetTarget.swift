import FlowerDist

extension FuzzTarget {
  /// A dataset directory, with histories or without.
  static let dataset = FuzzTarget(
    name: "dataset",
    seeds: [histories, titleCounts],
    mutate: { seed, donor, random in
      seed.changingFiles(&random, more: 4) { input, index, random in
        if input.files[index].name == "dataset.json" {
          input.files[index].bytes = JSONMutation.apply(to: input.files[index].bytes, donor: [], &random)
        } else {
          mutateObjects(&input.files[index].bytes, donor: random.pick(donor.files).bytes, &random)
        }
      }
    },
    read: { directory in _ = try Dataset(directory: directory) })

  private static let histories: FuzzInput = {
    var input = FuzzInput(
      "items.jsonl",
      """
      {"id":0,"title":"The Lost Harbour"}
      {"id":1,"title":"Winter's Tale: Part 2"}
      {"id":2,"title":"Caf\u{E9} \u{1F642}"}

      """)
    input["train.jsonl"] = Array(
      """
      {"history":[0,1],"item":2,"user":7,"timestamp":1.5}
      {"history":[],"item":0}
      {"history":[2,2,2],"item":1,"user":8}

      """.utf8)
    input["valid.jsonl"] = Array("{\"history\":[1],\"item\":0}\r\n".utf8)
    input["test.jsonl"] = Array(#"{"history":[0],"item":1}"#.utf8)
    // The SHA-256 of nothing.
    input["notes"] = []
    input["dataset.json"] = Array(
      #"""
      {"name":"made up","source":{"format":"none"},"problems":{},"digests":
      {"notes":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}
      """#.utf8)
    return input
  }()

  private static let titleCounts = FuzzInput(
    "title_counts.jsonl", "{\"title\":\"One\",\"count\":17}\n{\"title\":\"Two\",\"count\":0.5}\n")

  /// Damages a text of one object per line.
  static func mutateObjects(_ text: inout [UInt8], donor: [UInt8], _ random: inout FuzzRandom) {
    var lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
    let index = random.below(lines.count)
    let other = Array(random.pick(donor.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)))
    switch random.below(8) {
    case 0: lines.remove(at: index)
    case 1: lines.insert(lines[index], at: random.below(lines.count + 1))
    case 2: lines.insert(other, at: index)
    case 3: lines.swapAt(index, random.below(lines.count))
    case 4: lines[index] += [UInt8](repeating: UInt8(ascii: " "), count: random.length(1 << 16))
    case 5: lines.insert([], at: index)
    default: lines[index] = JSONMutation.apply(to: lines[index], donor: other, &random)
    }
    text = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
    if random.chance(1, in: 8) { ByteMutation.apply(to: &text, donor: donor, &random) }
  }
}
