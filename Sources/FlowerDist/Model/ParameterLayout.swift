/// A weight matrix of a decoder layer, by the name that Hugging Face gives its module.
public enum Module: String, CaseIterable, Sendable {
  case q = "q_proj"
  case k = "k_proj"
  case v = "v_proj"
  case o = "o_proj"
  case gate = "gate_proj"
  case up = "up_proj"
  case down = "down_proj"

  /// Within the layer, e.g. `self_attn.q_proj`.
  var path: String {
    switch self {
    case .q, .k, .v, .o: "self_attn.\(rawValue)"
    case .gate, .up, .down: "mlp.\(rawValue)"
    }
  }

  /// Widths of what goes in and what comes out.
  func width(_ c: ModelConfiguration) -> (input: Int, output: Int) {
    switch self {
    case .q: (c.hiddenSize, c.queryDim)
    case .k, .v: (c.hiddenSize, c.kvDim)
    case .o: (c.queryDim, c.hiddenSize)
    case .gate, .up: (c.hiddenSize, c.intermediateSize)
    case .down: (c.intermediateSize, c.hiddenSize)
    }
  }
}

/// Where each parameter of a model lies in its arena of weights, and in one of gradients.
///
/// Names and shapes are Hugging Face's. Key and value weights are neighbours, as are gate and up, so that keys and values,
/// and gate and up, are each one product.
public struct ParameterLayout: Equatable, Sendable {
  /// Modules that share an input and are one product: y = x · Wᵀ (+ b).
  struct Linear: Equatable, Sendable {
    /// Their outputs are neighbours in this order.
    var modules: [Module]
    var input: Int
    /// Width of all outputs.
    var output: Int
    /// Offset of W, `[output, input]`.
    var weight: Int
    /// Offset of b, `[output]`.
    var bias: Int?
  }

  /// Weights of the norms of each head's queries and keys.
  struct HeadNorms: Equatable, Sendable {
    var query: Int
    var key: Int
  }

  /// Offsets of one decoder layer.
  struct Layer: Equatable, Sendable {
    var inputNorm: Int
    var q: Linear
    /// Keys, then values.
    var kv: Linear
    var headNorms: HeadNorms?
    var o: Linear
    var postNorm: Int
    /// Gates, then ups.
    var gateUp: Linear
    var down: Linear
  }

  public private(set) var list = ParameterList()
  private(set) var layers: [Layer] = []
  private(set) var embedding = 0
  private(set) var finalNorm = 0
  /// Offset of the output embedding; the input embedding's when they are tied.
  private(set) var head = 0

  public var parameters: [ParameterList.Parameter] { list.parameters }
  /// Number of floats.
  public var count: Int { list.count }

  public init(_ c: ModelConfiguration) {
    embedding = list.append("model.embed_tokens.weight", [c.vocabularySize, c.hiddenSize])
    for index in 0..<c.layers {
      let prefix = "model.layers.\(index)."
      let inputNorm = list.append(prefix + "input_layernorm.weight", [c.hiddenSize])
      var q = weights([.q], c, prefix)
      var kv = weights([.k, .v], c, prefix)
      if c.attentionBias {
        q.bias = biases([.q], c, prefix)
        kv.bias = biases([.k, .v], c, prefix)
      }
      let headNorms =
        c.qkNorm
        ? HeadNorms(
          query: list.append(prefix + "self_attn.q_norm.weight", [c.headDim]),
          key: list.append(prefix + "self_attn.k_norm.weight", [c.headDim])) : nil
      var o = weights([.o], c, prefix)
      if c.outputBias { o.bias = biases([.o], c, prefix) }
      let postNorm = list.append(prefix + "post_attention_layernorm.weight", [c.hiddenSize])
      let gateUp = weights([.gate, .up], c, prefix)
      let down = weights([.down], c, prefix)
      layers.append(
        Layer(
          inputNorm: inputNorm, q: q, kv: kv, headNorms: headNorms, o: o, postNorm: postNorm, gateUp: gateUp, down: down
        ))
    }
    finalNorm = list.append("model.norm.weight", [c.hiddenSize])
    head = c.tieEmbeddings ? embedding : list.append("lm_head.weight", [c.vocabularySize, c.hiddenSize])
  }

  private mutating func weights(_ modules: [Module], _ c: ModelConfiguration, _ prefix: String) -> Linear {
    let widths = modules.map { $0.width(c) }
    let offsets = zip(modules, widths).map { list.append("\(prefix)\($0.path).weight", [$1.output, $1.input]) }
    return Linear(
      modules: modules, input: widths[0].input, output: widths.reduce(0) { $0 + $1.output }, weight: offsets[0])
  }

  private mutating func biases(_ modules: [Module], _ c: ModelConfiguration, _ prefix: String) -> Int {
    modules.map { list.append("\(prefix)\($0.path).bias", [$0.width(c).output]) }[0]
  }
}
