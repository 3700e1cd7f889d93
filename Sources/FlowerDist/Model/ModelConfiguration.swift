/// The shape of a decoder of the Qwen2 / Qwen3 / Llama family, as Hugging Face's `config.json` describes it.
public struct ModelConfiguration: Equatable, Sendable {
  public enum Architecture: String, CaseIterable, Sendable {
    case qwen2 = "Qwen2ForCausalLM"
    case qwen3 = "Qwen3ForCausalLM"
    case llama = "LlamaForCausalLM"

    /// What people call it.
    public var name: String {
      switch self {
      case .qwen2: "Qwen2"
      case .qwen3: "Qwen3"
      case .llama: "Llama"
      }
    }

    /// `model_type` of `config.json`.
    var modelType: String { name.lowercased() }
  }

  public var architecture: Architecture
  public var vocabularySize: Int
  public var hiddenSize: Int
  public var layers: Int
  public var heads: Int
  public var kvHeads: Int
  public var headDim: Int
  public var intermediateSize: Int
  /// Whether q, k and v projections have a bias (Qwen2: always; Qwen3, Llama: `attention_bias`).
  public var attentionBias: Bool
  public var tieEmbeddings: Bool
  public var ropeTheta: Double
  public var ropeScaling: RopeScaling
  public var rmsNormEps: Double

  /// Width of all query heads together.
  public var queryDim: Int { heads * headDim }
  /// Width of all key (or value) heads together.
  public var kvDim: Int { kvHeads * headDim }
  /// Whether the attention's output projection has a bias: where `attention_bias` is a choice, it means all four.
  public var outputBias: Bool { attentionBias && architecture != .qwen2 }
  /// Whether each head's queries and keys are normalised before they are rotated.
  public var qkNorm: Bool { architecture == .qwen3 }

  public init(
    architecture: Architecture, vocabularySize: Int, hiddenSize: Int, layers: Int, heads: Int, kvHeads: Int,
    headDim: Int, intermediateSize: Int, attentionBias: Bool, tieEmbeddings: Bool, ropeTheta: Double,
    ropeScaling: RopeScaling = .none, rmsNormEps: Double
  ) {
    self.architecture = architecture
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.layers = layers
    self.heads = heads
    self.kvHeads = kvHeads
    self.headDim = headDim
    self.intermediateSize = intermediateSize
    self.attentionBias = attentionBias
    self.tieEmbeddings = tieEmbeddings
    self.ropeTheta = ropeTheta
    self.ropeScaling = ropeScaling
    self.rmsNormEps = rmsNormEps
  }
}
