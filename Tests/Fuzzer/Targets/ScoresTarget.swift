import FlowerDist

extension FuzzTarget {
  /// Preference scores in a file, `.npy` or safetensors, for a dataset of two examples and three items.
  static let scores = FuzzTarget(
    name: "scores",
    seeds: [
      array("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }      \n", version: 1, count: 24),
      array("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n", version: 2, count: 48),
      FuzzInput(
        "scores",
        SafeTensorsImage(tensors: [
          .init(name: "train", dtype: .f32, shape: [2, 3]), .init(name: "test", dtype: .f64, shape: [1, 3]),
        ]).bytes),
    ],
    mutate: { seed, donor, random in
      var bytes = seed["scores"]
      if bytes.first == 0x93 {
        if random.chance(1, in: 2) {
          mutateText(&bytes, &random)
        } else {
          ByteMutation.apply(to: &bytes, donor: donor["scores"], &random)
        }
      } else {
        bytes = SafeTensorsImage.mutate(bytes, donor: donor["scores"], &random)
      }
      return FuzzInput("scores", bytes)
    },
    read: { directory in
      let file = try ScoreFile("\(directory)/scores", dataset: scoredDataset, values: .logits)
      for split in Dataset.Split.allCases {
        for (row, example) in scoredDataset[split].enumerated() {
          let context = PreferenceContext(history: example.history, at: ExamplePlace(split, row: row))
          let scores = [Double](unsafeUninitializedCapacity: 3) { buffer, count in
            file.scores(for: context, into: buffer)
            count = 3
          }
          guard scores.allSatisfy({ $0 >= 0 }), abs(scores.reduce(0, +) - 1) < 1e-6 else {
            fatalError("scores that are no distribution")
          }
        }
      }
    })

  private static let scoredDataset = Dataset(
    name: "made up", titles: ["A", "B", "C"],
    train: [Interaction(history: [0], item: 1), Interaction(history: [1], item: 2)], valid: [],
    test: [Interaction(history: [0], item: 2)])

  /// A `.npy` file whose numbers are all 1.
  private static func array(_ header: String, version: UInt8, count: Int) -> FuzzInput {
    let one: [UInt8] = count == 24 ? [0, 0, 0x80, 0x3F] : [0, 0, 0, 0, 0, 0, 0xF0, 0x3F]
    let length = [UInt8(header.utf8.count), 0] + (version == 1 ? [] : [0, 0])
    let data = [[UInt8]](repeating: one, count: 6).joined()
    return FuzzInput("scores", [0x93] + Array("NUMPY".utf8) + [version, 0] + length + Array(header.utf8) + data)
  }

  /// Changes the header's text, and its length with it.
  private static func mutateText(_ bytes: inout [UInt8], _ random: inout FuzzRandom) {
    let start = bytes[6] == 1 ? 10 : 12
    guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")), end > start else { return }
    var text = String(decoding: bytes[start...end], as: UTF8.self)
    let words = [
      "2", "3", "(2, 3)", "False", "True", "'<f4'", "'<f8'", "'descr'", "'shape'", "'", "{", "}", "(", ")", ",", ":",
      "0", "9223372036854775807", "4611686018427387904", "-1", "(1, 6)", "(2, 3, 1)", "'>f4'", "'|O'", " ", "\\",
    ]
    repeat {
      text = text.replacing(random.pick(words), with: random.pick(words), maxReplacements: 1 + random.below(2))
    } while random.chance(1, in: 3)
    let length = random.chance(1, in: 8) ? random.below(1 << 16) : text.utf8.count
    let lengths = (0..<start - 8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
    bytes = Array(bytes[..<8]) + lengths + Array(text.utf8) + bytes[(end + 1)...]
  }
}
