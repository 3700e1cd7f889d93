/// Where each parameter lies in the flat arenas of weights, gradients and optimizer state.
///
/// Names and shapes are Hugging Face's. Query, key and value weights are neighbours, as are gate and up, so that keys
/// and values, and gate and up, are each one product.
public struct ParameterLayout: Equatable, Sendable {
  public struct Parameter: Equatable, Sendable {
    /// Hugging Face's name, e.g. `model.layers.0.self_attn.q_proj.weight`.
    public var name: String
    /// `[output, input]` for weights, `[width]` for norms and biases.
    public var shape: [Int]
    public var offset: Int
    public var count: Int
    public var range: Range<Int> { offset..<offset + count }
    /// Whether weight decay applies: to matrices, not to norms and biases.
    public var decays: Bool { shape.count > 1 }
  }

  /// Offsets of one decoder layer.
  struct Layer: Equatable, Sendable {
    var inputNorm = 0
    var q = 0
    var kv = 0
    var qBias = 0
    var kvBias = 0
    var o = 0
    var postNorm = 0
    var gateUp = 0
    var down = 0
  }

  /// In arena order, without gaps.
  public private(set) var parameters: [Parameter] = []
  private(set) var layers: [Layer] = []
  private(set) var embedding = 0
  private(set) var finalNorm = 0
  /// Offset of the output embedding; the input embedding's when they are tied.
  private(set) var head = 0
  /// Number of floats.
  public private(set) var count = 0

  public init(_ configuration: ModelConfiguration) {
    let c = configuration
    embedding = append("model.embed_tokens.weight", [c.vocabularySize, c.hiddenSize])
    for index in 0..<c.layers {
      let prefix = "model.layers.\(index)."
      var layer = Layer()
      layer.inputNorm = append(prefix + "input_layernorm.weight", [c.hiddenSize])
      layer.q = append(prefix + "self_attn.q_proj.weight", [c.queryDim, c.hiddenSize])
      layer.kv = append(prefix + "self_attn.k_proj.weight", [c.kvDim, c.hiddenSize])
      _ = append(prefix + "self_attn.v_proj.weight", [c.kvDim, c.hiddenSize])
      if c.attentionBias {
        layer.qBias = append(prefix + "self_attn.q_proj.bias", [c.queryDim])
        layer.kvBias = append(prefix + "self_attn.k_proj.bias", [c.kvDim])
        _ = append(prefix + "self_attn.v_proj.bias", [c.kvDim])
      }
      layer.o = append(prefix + "self_attn.o_proj.weight", [c.hiddenSize, c.queryDim])
      layer.postNorm = append(prefix + "post_attention_layernorm.weight", [c.hiddenSize])
      layer.gateUp = append(prefix + "mlp.gate_proj.weight", [c.intermediateSize, c.hiddenSize])
      _ = append(prefix + "mlp.up_proj.weight", [c.intermediateSize, c.hiddenSize])
      layer.down = append(prefix + "mlp.down_proj.weight", [c.hiddenSize, c.intermediateSize])
      layers.append(layer)
    }
    finalNorm = append("model.norm.weight", [c.hiddenSize])
    head = c.tieEmbeddings ? embedding : append("lm_head.weight", [c.vocabularySize, c.hiddenSize])
  }

  private mutating func append(_ name: String, _ shape: [Int]) -> Int {
    let offset = count
    let size = shape.reduce(1, *)
    parameters.append(Parameter(name: name, shape: shape, offset: offset, count: size))
    count += size
    return offset
  }
}
