import FlowerDist

extension FuzzTarget {
  /// A run with a checkpoint: verified, inspected, and resumed by one step.
  static let checkpoint = FuzzTarget(
    name: "checkpoint",
    seeds: [SampleCheckpoint.input],
    mutate: { seed, donor, random in
      var input = seed
      repeat { mutateCheckpoint(&input, donor, &random) } while random.chance(1, in: 4)
      // Else the first digest would stop all that was done.
      if random.chance(15, in: 16) { SampleCheckpoint.describe(&input) }
      if random.chance(1, in: 8) {
        input[SampleCheckpoint.manifest] = JSONMutation.apply(
          to: input[SampleCheckpoint.manifest], donor: donor[SampleCheckpoint.manifest], &random)
      }
      return input
    },
    read: { directory in
      requirePrintable(try Verification(path: "\(directory)/\(SampleCheckpoint.path)").lines.joined(separator: "\n"))
      let inspection = try Inspection(path: "\(directory)/\(SampleCheckpoint.path)")
      requirePrintable(inspection.description)
      let loop = try TrainingLoop(SampleCheckpoint.recipe(directory), start: .latest, SingleProcess())
      do {
        try loop.train()
      } catch let error as FlowerError where error.kind == .diverged {
        // Numbers that are finite can be too large to go on with.
      }
    },
    listsProblems: true, isSlow: true)

  private static func mutateCheckpoint(
    _ input: inout FuzzInput, _ donor: FuzzInput, _ random: inout FuzzRandom
  ) {
    func change(_ name: String, by mutate: ([UInt8], [UInt8], inout FuzzRandom) -> [UInt8]) {
      input[name] = mutate(input[name], donor[name], &random)
    }
    switch random.below(8) {
    case 0, 1, 2:
      change(SampleCheckpoint.state) { JSONMutation.apply(to: $0, donor: $1, &$2) }
    case 3, 4:
      change(random.pick(SampleCheckpoint.shards)) {
        random.chance(1, in: 3) ? mutateOptimizer($0, &$2) : SafeTensorsImage.mutate($0, donor: $1, &$2)
      }
    case 5:
      change(SampleCheckpoint.replay) { text, donor, random in
        var text = text
        mutateObjects(&text, donor: donor, &random)
        return text
      }
    case 6:
      let index = random.below(input.files.count)
      if input.files[index].name.hasPrefix(SampleCheckpoint.path) { input.files.remove(at: index) }
    default:
      change(
        random.pick(["run/metrics.jsonl", "run/logs/attempt-1/starting.json", "\(SampleCheckpoint.path)/flower.json"])
      ) {
        JSONMutation.apply(to: $0, donor: $1, &$2)
      }
    }
  }

  /// Cuts or moves a part of a parameter, so that the parts have gaps or overlap while each is as it should be.
  private static func mutateOptimizer(_ file: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
    guard var image = SafeTensorsImage(file), var members = image.header.object, members.count > 1 else { return file }
    let index = 1 + random.below(members.count - 1)
    let parts = members[index].key.split(separator: "/")
    let bounds = parts.count == 3 ? parts[1].split(separator: ":").compactMap { Int($0) } : []
    guard bounds.count == 2 else { return file }
    let shift = random.pick([-bounds[0], -1, 1, bounds[0] - bounds[1], 1 << 40, .max - bounds[1]])
    let (start, end) = (bounds[0] &+ shift, bounds[1] &+ shift)
    members[index].key = "\(parts[0])/\(start):\(end)/\(parts[2])"
    image.header = .object(members)
    return image.bytes
  }
}
