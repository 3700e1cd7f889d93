/// What a model was trained with that Hugging Face's files have no place for: `flower.json` beside the weights. Every
/// command reads it, so that a model is used as it was trained; `transformers` ignores it.
public struct FlowerMetadata: Equatable, Sendable {
  public static let fileName = "flower.json"
  static let formatVersion = 1

  public var prompt: Recipe.Prompt
  /// The text of the token that ends a title.
  public var terminator: String
  public var terminatorToken: Int32
  /// Over which tokens the flow's policy is normalised.
  public var support: Recipe.Objective.Support
  /// Leaf weight and smoothing.
  public var reward: Recipe.Reward
  /// The weights of reward weight `file`.
  public var titleWeights: TitleWeights?
  /// SHA-256 of the catalogue, hexadecimal.
  public var catalogueDigest: String
  /// Element type of the weights that training began from; `nil` if it began from random ones.
  public var baseType: SafeTensors.DType?
  /// SHA-256 of the weights that an adapter was trained on (``Transformer/weightsDigest()``); `nil` without an adapter.
  public var baseDigest: String?

  public init(
    prompt: Recipe.Prompt, terminator: String, terminatorToken: Int32, support: Recipe.Objective.Support,
    reward: Recipe.Reward, titleWeights: TitleWeights? = nil, catalogueDigest: String,
    baseType: SafeTensors.DType? = nil,
    baseDigest: String? = nil
  ) {
    self.prompt = prompt
    self.terminator = terminator
    self.terminatorToken = terminatorToken
    self.support = support
    self.reward = reward
    self.titleWeights = titleWeights
    self.catalogueDigest = catalogueDigest
    self.baseType = baseType
    self.baseDigest = baseDigest
  }

  /// Reads `flower.json` of a model directory, and the weights of titles beside it if the reward has them from a file.
  /// - Throws: `FlowerError` of kind `data` naming file and key.
  public init(directory: String) throws {
    let path = "\(directory)/\(Self.fileName)"
    let fields = try JSONFields(JSON(contentsOf: path), path: path)
    let version = try fields.int("format_version")
    guard version == Self.formatVersion else {
      throw fields.error("format_version", "is \(version), this program reads \(Self.formatVersion)")
    }

    let prompt = try fields.object("prompt")
    self.prompt = Recipe.Prompt()
    self.prompt.template = try prompt.string("template")
    self.prompt.separator = try prompt.string("separator")
    self.prompt.historyLength = try prompt.int("history_length")
    self.prompt.maxTokens = try prompt.int("max_tokens")
    for (key, value) in [("history_length", self.prompt.historyLength), ("max_tokens", self.prompt.maxTokens)] {
      guard value >= 0 && value <= 1 << 24 else { throw prompt.error(key, "is \(value), expected 0 to \(1 << 24)") }
    }

    let terminator = try fields.object("terminator")
    self.terminator = try terminator.string("text")
    guard let token = Int32(exactly: try terminator.int("token")), token >= 0 else {
      throw terminator.error("token", "expected a token id, found \(try terminator.int("token"))")
    }
    terminatorToken = token
    support = try fields.choice("support")

    let reward = try fields.object("reward")
    self.reward = Recipe.Reward()
    self.reward.weight = try reward.choice("weight")
    if reward["flow_rule"] != nil { self.reward.flowRule = try reward.choice("flow_rule") }
    titleWeights =
      self.reward.weight == .file ? try TitleWeights(contentsOf: "\(directory)/\(TitleWeights.fileName)") : nil
    self.reward.smoothing = try reward.double("smoothing")
    self.reward.beta = try reward.double("beta")
    self.reward.gamma = try reward.double("gamma")
    self.reward.c = try reward.double("c", default: Recipe.Reward().c)
    self.reward.score = try reward["score"].map { _ in try reward.choice("score") } ?? .cooccurrence
    self.reward.scorePath = try reward["score_path"].map { _ in try reward.string("score_path") }
    self.reward.scoreValues =
      try reward["score_values"].map { _ in try reward.choice("score_values") } ?? .probabilities
    guard self.reward.score.hasPath == (self.reward.scorePath != nil) else {
      throw reward.error("score_path", "goes with the scores model and file, found score \(self.reward.score.rawValue)")
    }
    guard self.reward.smoothing >= 0 else {
      throw reward.error("smoothing", "is \(self.reward.smoothing), expected at least 0")
    }
    catalogueDigest = try fields.string("catalogue_sha256")
    baseType = try fields["base_dtype"].map { _ in try fields.choice("base_dtype") }
    baseDigest = try fields["base_sha256"].map { _ in
      let digest = try fields.string("base_sha256")
      guard digest.utf8.count == 64, digest.utf8.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else {
        throw fields.error("base_sha256", "expected 64 hexadecimal digits, found \(digest.quoted)")
      }
      return digest
    }
  }

  /// Writes what ``init(directory:)`` reads into a model directory, each file atomically.
  /// - Throws: `FlowerError` of kind `cannotWrite`.
  public func write(directory: String) throws {
    try titleWeights?.write(to: "\(directory)/\(TitleWeights.fileName)")
    try AtomicFile.write(json.serialized(pretty: true) + [0x0A], to: "\(directory)/\(Self.fileName)")
  }

  private var json: JSON {
    var members: [JSON.Member] = [
      .init("format_version", JSON(Self.formatVersion)),
      .init(
        "prompt",
        [
          "template": JSON(prompt.template), "separator": JSON(prompt.separator),
          "history_length": JSON(prompt.historyLength), "max_tokens": JSON(prompt.maxTokens),
        ]),
      .init("terminator", ["text": JSON(terminator), "token": JSON(terminatorToken)]),
      .init("support", JSON(support.rawValue)),
      .init(
        "reward",
        [
          "weight": JSON(reward.weight.rawValue), "flow_rule": JSON(reward.flowRule.rawValue),
          "smoothing": JSON(reward.smoothing), "beta": JSON(reward.beta),
          "gamma": JSON(reward.gamma), "c": JSON(reward.c), "score": JSON(reward.score.rawValue),
          "score_path": reward.scorePath.map { JSON($0) } ?? .null,
          "score_values": JSON(reward.scoreValues.rawValue),
        ]),
      .init("catalogue_sha256", JSON(catalogueDigest)),
    ]
    if let baseType { members.append(.init("base_dtype", JSON(baseType.rawValue))) }
    if let baseDigest { members.append(.init("base_sha256", JSON(baseDigest))) }
    return .object(members)
  }
}
