/// The model and the batch that a benchmark makes up: the small model of the documentation unless set otherwise.
public struct BenchmarkShape: Equatable, Sendable {
  public var hiddenSize = 256
  public var layers = 6
  public var heads = 8
  public var kvHeads = 2
  public var intermediateSize = 704
  public var vocabularySize = 8192
  /// Rank of adapters of all linear layers, which are trained in place of the weights; 0: none.
  public var adapterRank = 0
  public var examples = 8
  /// Tokens of a prompt and of a title.
  public var prompt = 200
  public var title = 12
  /// Trajectories per prompt beside its SFT target; 0 trains by SFT alone.
  public var trajectories = 1
  public var support = Recipe.Objective.Support.vocabulary
  public var draws = Draws.given
  public var arithmetic = Arithmetic.fma

  /// Where trajectories come from.
  public enum Draws: String, CaseIterable, Sendable {
    /// Titles that are known beforehand: off-policy.
    case given
    /// Sampled from the model while it is trained.
    case policy
  }

  public init() {}

  var configuration: ModelConfiguration {
    ModelConfiguration(
      architecture: .qwen2, vocabularySize: vocabularySize, hiddenSize: hiddenSize, layers: layers, heads: heads,
      kvHeads: kvHeads, headDim: heads > 0 ? hiddenSize / heads : 0, intermediateSize: intermediateSize,
      attentionBias: true, tieEmbeddings: true, ropeTheta: 1e6, rmsNormEps: 1e-6)
  }

  /// The made-up catalogue has 1,000 titles and ten options at each of their first three tokens, so about as many real
  /// choices as a title of a catalogue of games or films; the other tokens are forced.
  static let catalogueSize = 1000
  private static let choices = 3

  /// Throws a usage error unless the shape is one that can be trained.
  func validate() throws {
    let ranges = [
      ("--heads", heads, 1...4096), ("--kv-heads", kvHeads, 1...4096), ("--vocabulary", vocabularySize, 100...1 << 20),
      ("--examples", examples, 1...4096), ("--prompt", prompt, 1...1 << 16), ("--title", title, Self.choices...4096),
      ("--trajectories", trajectories, 0...Self.catalogueSize - 1),
      ("--lora", adapterRank, 0...Adapter.Configuration.rankLimit),
    ]
    for (name, value, range) in ranges where !range.contains(value) {
      throw FlowerError(.usage, "\(name) is \(value): expected \(range.lowerBound) to \(range.upperBound)")
    }
    try configuration.validate(source: "the benchmark's model")
  }

  /// The catalogue's tree; the terminator is token 0.
  func tree() throws -> CatalogueTree {
    let titles = (0..<Self.catalogueSize).map { item in
      var rest = item
      return (0..<title).map { position -> Int32 in
        defer { rest /= 10 }
        return position < Self.choices ? Int32(1 + rest % 10) : token(item, position)
      }
    }
    return try CatalogueTree(titles: titles, terminator: 0)
  }

  /// The prompts, all different.
  var prompts: [[Int32]] {
    (0..<examples).map { example in (0..<prompt).map { token(Self.catalogueSize + example, $0) } }
  }

  /// The title that trajectory `k` of an example takes (0: the target). Up to ten of them differ from the first token on.
  func item(example: Int, _ k: Int) -> Int { (example * 137 + k * 111) % Self.catalogueSize }

  private func token(_ sequence: Int, _ position: Int) -> Int32 {
    let random = CounterRandom(
      seed: 1, purpose: .draws, step: 0, example: UInt32(sequence), sample: UInt32(position))
    return 1 + Int32(random.uniform(0) * Double(vocabularySize - 1))
  }
}
