extension ModelConfiguration {
  /// Largest sizes that are accepted, far above any known model: under them no product of two sizes and the number of
  /// layers overflows, so they can be multiplied without care.
  public enum Limit {
    public static let vocabularySize = 1 << 24
    public static let hiddenSize = 1 << 16
    public static let intermediateSize = 1 << 20
    public static let layers = 1 << 10
    public static let heads = 1 << 10
    public static let headDim = 1 << 10
  }

  /// Checks that the sizes lie within `Limit` and fit each other.
  /// - Throws: `FlowerError` of kind `data` that begins with `source`, naming the key as `config.json` has it.
  public func validate(source: String) throws {
    func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
      if !condition { throw FlowerError(.data, "\(source): \(message())") }
    }
    let sizes = [
      ("vocab_size", vocabularySize, Limit.vocabularySize), ("hidden_size", hiddenSize, Limit.hiddenSize),
      ("num_hidden_layers", layers, Limit.layers), ("num_attention_heads", heads, Limit.heads),
      ("num_key_value_heads", kvHeads, Limit.heads), ("head_dim", headDim, Limit.headDim),
      ("intermediate_size", intermediateSize, Limit.intermediateSize),
    ]
    for (key, size, limit) in sizes {
      try require(size >= 1 && size <= limit, "\"\(key)\" is \(size), expected 1 to \(limit)")
    }
    try require(
      heads % kvHeads == 0, "\"num_attention_heads\" (\(heads)) is no multiple of \"num_key_value_heads\" (\(kvHeads))")
    try require(headDim % 2 == 0, "\"head_dim\" is \(headDim), rotary positions need an even one")
    try require(ropeTheta.isFinite && ropeTheta > 0, "\"rope_theta\" is \(ropeTheta), expected more than 0")
    try require(rmsNormEps >= 0 && rmsNormEps < 1, "\"rms_norm_eps\" is \(rmsNormEps), expected 0 to 1")
    try require(
      attentionBias || architecture != .qwen2, "\"attention_bias\" is false, \(architecture.rawValue) always has biases"
    )
  }

  /// Reads `config.json` of a model directory.
  /// - Throws: `FlowerError` of kind `data`: a size is missing or out of range, or the model has a part that is not
  ///   implemented here, named by its key.
  public init(directory: String) throws {
    let path = "\(directory)/config.json"
    try self.init(JSON(contentsOf: path), path: path)
  }

  init(_ json: JSON, path: String) throws {
    let fields = try JSONFields(json, path: path)
    let names = try fields.array("architectures")
    guard names.count == 1, let name = names[0].string, let architecture = Architecture(rawValue: name) else {
      throw fields.error(
        "architectures",
        "is \(JSON(names).excerpt), which is not implemented; expected one of"
          + " \(Architecture.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    // `transformers` goes by this one.
    let type = try fields.string("model_type", default: architecture.modelType)
    guard type == architecture.modelType else {
      throw fields.error("model_type", "is \(type.quoted), expected \"\(architecture.modelType)\"")
    }
    try Self.refuseUnsupported(fields)
    let hiddenSize = try fields.int("hidden_size")
    let heads = try fields.int("num_attention_heads")
    // Where the file says nothing, what transformers takes.
    let headDim: Int
    if fields["head_dim"] != nil || architecture == .qwen3 {
      headDim = try fields.int("head_dim", default: 128)
    } else {
      guard heads >= 1, hiddenSize % heads == 0 else {
        throw fields.error("num_attention_heads", "is \(heads), which does not divide \"hidden_size\" (\(hiddenSize))")
      }
      headDim = hiddenSize / heads
    }
    self.init(
      architecture: architecture,
      vocabularySize: try fields.int("vocab_size"),
      hiddenSize: hiddenSize,
      layers: try fields.int("num_hidden_layers"),
      heads: heads,
      kvHeads: try fields.int("num_key_value_heads", default: heads),
      headDim: headDim,
      intermediateSize: try fields.int("intermediate_size"),
      attentionBias: try architecture == .qwen2 || fields.bool("attention_bias", default: false),
      tieEmbeddings: try fields.bool("tie_word_embeddings", default: false),
      ropeTheta: try Self.ropeTheta(fields),
      ropeScaling: try Self.ropeScaling(fields),
      rmsNormEps: try fields.double("rms_norm_eps", default: 1e-6))
    try validate(source: path)
  }

  /// At top level, or in `rope_parameters` since transformers 5; 10,000 where neither has one.
  private static func ropeTheta(_ fields: JSONFields) throws -> Double {
    let outer = try fields["rope_theta"].map { _ in try fields.double("rope_theta") }
    guard fields["rope_parameters"] != nil else { return outer ?? 10_000 }
    let inner = try fields.object("rope_parameters").double("rope_theta", default: outer ?? 10_000)
    if let outer, outer != inner { throw fields.error("rope_theta", "is not the one of \"rope_parameters\"") }
    return inner
  }

  /// In `rope_parameters` since transformers 5, in `rope_scaling` before; where both are, they must agree.
  private static func ropeScaling(_ fields: JSONFields) throws -> RopeScaling {
    let found = try ["rope_parameters", "rope_scaling"].filter { fields[$0] != nil }.map {
      try RopeScaling(fields.object($0))
    }
    guard found.allSatisfy({ $0 == found[0] }) else {
      throw fields.error("rope_scaling", "is not the one of \"rope_parameters\"")
    }
    return found.first ?? .none
  }

  /// What would silently compute another model if it were ignored.
  private static func refuseUnsupported(_ fields: JSONFields) throws {
    let activation = try fields.string("hidden_act", default: "silu")
    guard activation == "silu" else {
      throw fields.error("hidden_act", "\(activation.quoted) is not implemented, only silu")
    }
    for key in ["mlp_bias", "use_sliding_window", "use_mrope"] where try fields.bool(key, default: false) {
      throw fields.error(key, "is not implemented")
    }
    if fields["quantization_config"] != nil {
      throw fields.error("quantization_config", "quantized weights are not implemented")
    }
    if let kinds = fields["layer_types"], kinds.array?.allSatisfy({ $0.string == "full_attention" }) != true {
      throw fields.error("layer_types", "only \"full_attention\" is implemented")
    }
    if try fields.double("partial_rotary_factor", default: 1) != 1 {
      throw fields.error("partial_rotary_factor", "is not implemented")
    }
    for key in ["rope_scaling", "rope_parameters"] where fields[key] != nil {
      let rope = try fields.object(key)
      if let member = fields[key]?.object?.first(where: { $0.value.object != nil }) {
        throw rope.error(member.key, "rotary positions by kind of layer are not implemented")
      }
      if try rope.double("partial_rotary_factor", default: 1) != 1 {
        throw rope.error("partial_rotary_factor", "is not implemented")
      }
    }
  }

  /// Hugging Face's `config.json`.
  /// - Parameters:
  ///   - maximumPositions: longest sequence that others should feed the model.
  ///   - terminator: the token that ends a title, where their generation stops.
  ///   - dtype: of the weights beside it, F32 or BF16.
  public func json(maximumPositions: Int, terminator: Int32, dtype: SafeTensors.DType = .f32) -> JSON {
    var members: [JSON.Member] = [
      .init("architectures", [.string(architecture.rawValue)]),
      .init("model_type", JSON(architecture.modelType)),
      .init("vocab_size", JSON(vocabularySize)),
      .init("hidden_size", JSON(hiddenSize)),
      .init("num_hidden_layers", JSON(layers)),
      .init("num_attention_heads", JSON(heads)),
      .init("num_key_value_heads", JSON(kvHeads)),
      .init("head_dim", JSON(headDim)),
      .init("intermediate_size", JSON(intermediateSize)),
      .init("hidden_act", "silu"),
      .init("rms_norm_eps", JSON(rmsNormEps)),
      .init("rope_theta", JSON(ropeTheta)),
      .init("tie_word_embeddings", JSON(tieEmbeddings)),
      .init("max_position_embeddings", JSON(maximumPositions)),
      .init("bos_token_id", nil),
      .init("eos_token_id", JSON(terminator)),
      .init("torch_dtype", dtype == .bf16 ? "bfloat16" : "float32"),
    ]
    if ropeScaling != .none { members.append(.init("rope_scaling", .object(ropeScaling.members))) }
    if architecture != .llama { members.append(.init("use_sliding_window", false)) }
    if architecture != .qwen2 { members.append(.init("attention_bias", JSON(attentionBias))) }
    if architecture == .llama { members.append(.init("mlp_bias", false)) }
    return .object(members)
  }
}
