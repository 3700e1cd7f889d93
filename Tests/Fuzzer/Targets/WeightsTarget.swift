import FlowerDist

extension FuzzTarget {
  /// `model.safetensors`, or shards with their index.
  static let weights = FuzzTarget(
    name: "weights",
    seeds: [sharded(count: 2), sharded(count: 3), stale, single],
    mutate: { seed, donor, random in
      var input = seed
      repeat { mutateWeights(&input, donor, &random) } while random.chance(1, in: 3)
      return input
    },
    read: { directory in
      let weights = try ModelWeights(directory: directory)
      for name in weights.names {
        guard let tensor = weights[name] else { fatalError("a tensor is not found by its name") }
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: tensor.elementCount)
        defer { values.deallocate() }
        try weights.read(name, shape: tensor.shape, into: values)
      }
    })

  static let indexFile = "model.safetensors.index.json"

  /// Tensors of all three float types in as many files, with an index.
  private static func sharded(count: Int) -> FuzzInput {
    var input = FuzzInput([])
    var map: [JSON.Member] = []
    for shard in 0..<count {
      let file = "model-0000\(shard + 1)-of-0000\(count).safetensors"
      let tensors = (0..<3).map { index in
        SafeTensors.Entry(
          name: "layers.\(shard).\(index)", dtype: [.f32, .bf16, .f16][index], shape: [shard + 1, index + 2])
      }
      input[file] = SafeTensorsImage(tensors: tensors).bytes
      map += tensors.map { JSON.Member($0.name, .string(file)) }
    }
    let index: JSON = ["metadata": ["total_size": 100], "weight_map": .object(map)]
    input[indexFile] = index.serialized(pretty: true)
    return input
  }

  private static let single = FuzzInput(
    "model.safetensors", SafeTensorsImage(tensors: [.init(name: "a", dtype: .bf16, shape: [2, 3])]).bytes)

  /// An index beside the whole model, naming files that are gone.
  private static let stale: FuzzInput = {
    var input = single
    input[indexFile] = Array(#"{"weight_map":{"a":"model-00001-of-00002.safetensors"}}"#.utf8)
    return input
  }()

  /// Damages one of the files, or what they are to each other.
  static func mutateWeights(_ input: inout FuzzInput, _ donor: FuzzInput, _ random: inout FuzzRandom) {
    guard !input.files.isEmpty else { return }
    let index = random.below(input.files.count)
    let another = random.below(input.files.count)
    switch random.below(8) {
    case 0: input.files.remove(at: index)
    case 1:
      (input.files[index].bytes, input.files[another].bytes) = (input.files[another].bytes, input.files[index].bytes)
    case 2:
      let names = ["model.safetensors", "model-00001-of-00002.safetensors", indexFile, "x.safetensors"]
      let name = random.pick(names)
      if !input.files.contains(where: { $0.name == name }) { input.files[index].name = name }
    case 3, 4:
      input[indexFile] = JSONMutation.apply(to: input[indexFile], donor: donor[indexFile], &random)
    default:
      let file = input.files[index]
      guard file.name != indexFile else { return }
      input.files[index].bytes = SafeTensorsImage.mutate(file.bytes, donor: random.pick(donor.files).bytes, &random)
    }
  }
}
