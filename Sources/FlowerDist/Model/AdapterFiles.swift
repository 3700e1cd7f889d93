/// PEFT's two files of an adapter: `adapter_config.json` and `adapter_model.safetensors`.
extension Adapter {
  static let configurationFile = "adapter_config.json"
  static let weightsFile = "adapter_model.safetensors"

  /// Whether a directory is that of an adapter, also where a `config.json` is in it: `transformers` does the same.
  static func isHeld(by directory: String) -> Bool { File.exists("\(directory)/\(configurationFile)") }

  /// Bytes of the directory that an adapter's file names as its model's, at most.
  static let longestName = 1024

  /// Whether it can: the name is shown, and becomes part of other paths.
  static func canName(_ base: String) -> Bool {
    !base.isEmpty && base.utf8.count <= longestName && base.isPrintable
  }

  /// The directory of the model that an adapter belongs to: what its file names, seen from where the program runs, else
  /// from the adapter's directory.
  /// - Throws: `FlowerError` of kind `data` if neither is a model directory.
  static func base(of directory: String) throws -> String {
    let path = "\(directory)/\(configurationFile)"
    let fields = try JSONFields(JSON(contentsOf: path), path: path)
    let name = try fields.string("base_model_name_or_path")
    guard canName(name) else {
      throw fields.error("base_model_name_or_path", "expected the directory of a model, found \(name.quoted)")
    }
    let places = name.hasPrefix("/") ? [name] : [name, "\(directory)/\(name)"]
    let isModel = { (place: String) in Directory.isDirectory(place + "/") && File.exists("\(place)/config.json") }
    guard let found = places.first(where: isModel) else {
      throw fields.error(
        "base_model_name_or_path",
        "no model at \(places.map(\.quoted).joined(separator: " or ")); expected the directory of the adapted model")
    }
    return found
  }

  /// Reads the adapter of a directory.
  /// - Throws: `FlowerError` of kind `data` naming file and key or tensor, also for what is not implemented.
  convenience init(directory: String, of model: ModelConfiguration) throws {
    let path = "\(directory)/\(Self.configurationFile)"
    let configuration = try Configuration(JSON(contentsOf: path), path: path)
    let list = Self.layout(configuration, of: model).list
    let reader = try SafeTensorsReader(path: "\(directory)/\(Self.weightsFile)")
    // Before memory is set aside for what the configuration says.
    guard reader.tensors.count == list.parameters.count else {
      let known = Set(list.parameters.map { Array($0.name.utf8) })
      let extra = reader.tensors.first { !known.contains(Array($0.name.utf8)) }
      throw FlowerError(
        .data,
        "\(reader.path): has \(reader.tensors.count) tensors, \(path) describes \(list.parameters.count)"
          + (extra.map { "; \($0.name.quoted) is not one of them" } ?? ""))
    }
    let tensors = try list.parameters.map { try reader.tensor($0.name, shape: $0.shape) }
    self.init(configuration, of: model)
    for (parameter, tensor) in zip(list.parameters, tensors) {
      try reader.readFinite(tensor, into: weights.view(parameter.range))
    }
  }

  /// Writes both files into a directory.
  /// - Parameter base: what `base_model_name_or_path` says.
  func write(directory: String, base: String) throws {
    try AtomicFile.write(
      configuration.json(base: base).serialized(pretty: true) + [0x0A], to: "\(directory)/\(Self.configurationFile)")
    var writer = try SafeTensorsWriter(
      path: "\(directory)/\(Self.weightsFile)",
      tensors: list.parameters.map { SafeTensors.Entry(name: $0.name, dtype: .f32, shape: $0.shape) })
    for parameter in list.parameters { try writer.write(UnsafeBufferPointer(weights.view(parameter.range))) }
    try writer.finish()
  }
}

extension Adapter.Configuration {
  /// What is read, and what means nothing to an adapter that is trained: how it was, and for whom.
  private static let known: Set = [
    "peft_type", "bias", "r", "lora_alpha", "target_modules", "init_lora_weights", "base_model_name_or_path",
    "lora_dropout", "inference_mode", "task_type", "revision", "peft_version", "auto_mapping", "megatron_core",
    "qalora_group_size",
  ]

  /// Reads `adapter_config.json`.
  init(_ json: JSON, path: String) throws {
    let fields = try JSONFields(json, path: path)
    guard try fields.string("peft_type") == "LORA" else {
      throw fields.error("peft_type", "is \(fields["peft_type"]!.excerpt), only \"LORA\" is implemented")
    }
    guard try fields.string("bias", default: "none") == "none" else {
      throw fields.error("bias", "trained biases are not implemented, only \"none\"")
    }
    // With PiSSA, OLoRA and others PEFT changes the base's weights too, whenever it loads the adapter.
    if let start = fields["init_lora_weights"], start.bool == nil {
      let harmless = ["gaussian", "eva", "orthogonal"]
      guard let name = start.string, harmless.contains(name) else {
        throw fields.error(
          "init_lora_weights",
          "\(start.excerpt) is not implemented, only true, false, \(harmless.joined(separator: ", "))")
      }
    }
    // PEFT's variants of LoRA are keys that are null, false or empty unless used, and new ones come all the time.
    for (key, value) in (json.object ?? []).lazy.map({ ($0.key, $0.value) }) where !Self.known.contains(key) {
      let isUnused =
        value.isNull || value.bool == false || value.array?.isEmpty == true || value.object?.isEmpty == true
      if !isUnused { throw fields.error(key, "is not implemented") }
    }
    let rank = try fields.int("r")
    guard 1...Self.rankLimit ~= rank else { throw fields.error("r", "is \(rank), expected 1 to \(Self.rankLimit)") }
    let alpha = try fields.double("lora_alpha")
    guard alpha > 0, alpha <= Self.alphaLimit else {
      throw fields.error("lora_alpha", "is \(alpha), expected more than 0, at most \(Self.alphaLimit)")
    }
    let targets = try fields.array("target_modules").map { name in
      guard let module = name.string.flatMap(Module.init(rawValue:)) else {
        throw fields.error(
          "target_modules",
          "\(name.excerpt) is not implemented, only \(Module.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return module
    }
    guard !targets.isEmpty else { throw fields.error("target_modules", "is empty") }
    self.init(rank: rank, alpha: alpha, targets: ModuleSet(targets))
  }

  /// `adapter_config.json`.
  func json(base: String) -> JSON {
    [
      "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": JSON(base), "r": JSON(rank),
      "lora_alpha": JSON(alpha), "lora_dropout": 0.0,
      "target_modules": .array(targets.modules.map { JSON($0.rawValue) }),
      "bias": "none", "fan_in_fan_out": false, "use_rslora": false, "use_dora": false, "inference_mode": true,
    ]
  }
}

extension Transformer {
  /// Adds the adapter to the weights, which are then the model that both were together: W ← W + α / r · B·A, the same whatever
  /// the model's arithmetic.
  public func mergeAdapter() {
    guard let adapter else { return }
    precondition(!weights.isShared, "these weights are not this process's to change")
    let rank = adapter.configuration.rank
    for (index, layer) in layout.layers.enumerated() {
      for linear in [layer.q, layer.kv, layer.o, layer.gateUp, layer.down] {
        var weight = weights.base + linear.weight
        for module in linear.modules {
          let width = module.width(configuration).output
          if let slot = adapter.slot(index, module) {
            Gemm.multiply(
              width, linear.input, rank, alpha: adapter.configuration.scale, adapter.weights.base + slot.b, lda: rank,
              adapter.weights.base + slot.a, ldb: linear.input, accumulate: true, weight, ldc: linear.input,
              .fma)
          }
          weight += width * linear.input
        }
      }
    }
    self.adapter = nil
  }
}
