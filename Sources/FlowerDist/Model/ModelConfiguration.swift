/// The shape of a decoder of the Qwen2 / Llama family, as Hugging Face's `config.json` describes it.
public struct ModelConfiguration: Equatable, Sendable {
  public enum Architecture: String, Sendable {
    case qwen2 = "Qwen2ForCausalLM"
    case llama = "LlamaForCausalLM"
  }

  public var architecture: Architecture
  public var vocabularySize: Int
  public var hiddenSize: Int
  public var layers: Int
  public var heads: Int
  public var kvHeads: Int
  public var headDim: Int
  public var intermediateSize: Int
  /// Whether q, k and v projections have a bias (Qwen2: yes; Llama: `attention_bias`).
  public var attentionBias: Bool
  public var tieEmbeddings: Bool
  public var ropeTheta: Double
  public var rmsNormEps: Double

  /// Width of all query heads together.
  public var queryDim: Int { heads * headDim }
  /// Width of all key (or value) heads together.
  public var kvDim: Int { kvHeads * headDim }

  public init(
    architecture: Architecture, vocabularySize: Int, hiddenSize: Int, layers: Int, heads: Int, kvHeads: Int,
    headDim: Int, intermediateSize: Int, attentionBias: Bool, tieEmbeddings: Bool, ropeTheta: Double, rmsNormEps: Double
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
    self.rmsNormEps = rmsNormEps
  }
}
