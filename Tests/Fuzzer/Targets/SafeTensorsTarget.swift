import FlowerDist

extension FuzzTarget {
  /// One safetensors file: its header, then every tensor.
  static let safeTensors = FuzzTarget(
    name: "safetensors",
    seeds: [
      SafeTensorsImage(tensors: [
        .init(name: "model.norm.weight", dtype: .f32, shape: [8]),
        .init(name: "model.embed_tokens.weight", dtype: .f32, shape: [16, 8]),
      ]),
      SafeTensorsImage(
        tensors: [
          .init(name: "scalar", dtype: .f32, shape: []), .init(name: "half", dtype: .f16, shape: [3, 4]),
          .init(name: "brain", dtype: .bf16, shape: [1, 2, 3]), .init(name: "empty", dtype: .i64, shape: [0, 5]),
          .init(name: "flags", dtype: .bool, shape: [5]), .init(name: "\u{E9}", dtype: .u8, shape: [3]),
          .init(name: "e\u{301}", dtype: .f64, shape: [2]),
        ], metadata: ["format": "pt", "step": "7", "": ""]),
      SafeTensorsImage(tensors: (0..<40).map { .init(name: "t\($0)", dtype: .f32, shape: [$0 % 3, 2]) }),
      SafeTensorsImage(header: [:], data: []),
    ].map { FuzzInput("model.safetensors", $0.bytes) },
    mutate: { seed, donor, random in
      FuzzInput(
        "model.safetensors",
        SafeTensorsImage.mutate(seed["model.safetensors"], donor: donor["model.safetensors"], &random))
    },
    read: { directory in
      let reader = try SafeTensorsReader(path: "\(directory)/model.safetensors")
      for tensor in reader.tensors {
        switch tensor.dtype {
        case .f32, .bf16, .f16:
          let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: tensor.elementCount)
          defer { values.deallocate() }
          try reader.read(tensor, into: values)
        default:
          let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.range.count, alignment: 8)
          defer { bytes.deallocate() }
          try reader.read(tensor, into: bytes)
        }
        guard reader[tensor.name] == tensor else { fatalError("a tensor is not found by its name") }
      }
    })
}
