/// What the verb `score` is asked for: token sequences, or trajectories under an objective, or both (docs/formats.md).
public struct ScoreRequest: Sendable {
  /// What errors call the request.
  var file: String
  /// Token sequences of at least one token each; `nil` where none were asked for.
  public var sequences: [[Int32]]?
  /// How many of the most probable tokens are wanted beside each log-probability of a sequence.
  public var top: Int
  public var trajectories: TrajectoryRequest?
  /// Whether the gradient of the trajectories' loss is wanted.
  public var gradients: Bool

  /// Longest sequence, or prompt, in tokens: attention is quadratic in it.
  static let maximumTokens = 1 << 17
  /// Most entries of all lists of best tokens together.
  static let maximumTopEntries = 1 << 24

  /// Reads a file.
  /// - Parameter vocabularySize: of the model; token ids are below it.
  /// - Throws: `FlowerError` naming file, key path and what was expected: of kind `data` where the file is malformed, of
  ///   kind `usage` where it asks for what does not go together.
  public init(contentsOf path: String, vocabularySize: Int) throws {
    try self.init(JSON(contentsOf: path), file: path, vocabularySize: vocabularySize)
  }

  /// Reads a value of the file's form; `file` names it in errors.
  public init(_ json: JSON, file: String, vocabularySize: Int) throws {
    self.file = file
    let root = JSONField(file: file, value: json)
    try root.allow(["sequences", "top", "trajectories", "objective", "gradients"])
    let (sequences, trajectories) = (try root["sequences"], try root["trajectories"])
    guard sequences.isPresent || trajectories.isPresent else { throw root.expected("sequences or trajectories in it") }
    let top = try root["top"]
    self.top = top.isPresent ? try top.int(in: 0...vocabularySize) : 0
    gradients = try root["gradients"].bool(default: false)

    if sequences.isPresent {
      self.sequences = try sequences.elements().map { sequence in
        try sequence.allow(["tokens"])
        return try sequence["tokens"].tokens(1...Self.maximumTokens, vocabularySize: vocabularySize)
      }
      let positions = self.sequences!.reduce(0) { $0 + $1.count }
      guard positions * self.top <= Self.maximumTopEntries else {
        throw top.expected("at most \(Self.maximumTopEntries) over the number of tokens, which is \(positions)")
      }
    } else if self.top > 0 {
      throw FlowerError(.usage, "\(top.place) lists tokens of sequences, but there are none")
    }

    let objective = try root["objective"]
    if trajectories.isPresent {
      self.trajectories = try TrajectoryRequest(trajectories, objective: objective, vocabularySize: vocabularySize)
    } else if objective.isPresent || gradients {
      throw FlowerError(.usage, "\(file): objective and gradients need trajectories, but there are none")
    }
  }
}

extension JSONField {
  /// Token ids of the vocabulary, as many as `count` allows.
  func tokens(_ count: ClosedRange<Int>, vocabularySize: Int) throws -> [Int32] {
    let tokens = try ints(in: 0...vocabularySize - 1).map { Int32($0) }
    guard count.contains(tokens.count) else {
      throw FlowerError(
        .data, "\(place) has \(tokens.count) tokens; expected \(count.lowerBound) to \(count.upperBound)")
    }
    return tokens
  }
}
