/// How lists of titles are made of a model.
public struct Decoding: Equatable, Sendable {
  /// What a title's log-probability is.
  public enum Score: String, CaseIterable, Sendable {
    /// log π(title) over the catalogue.
    case policy
    /// The sum of log-probabilities over the whole vocabulary of tokens that go on with a title, not renormalised.
    case published
  }

  public var score: Score
  /// α: titles are ranked by score / length^α, the length being tokens and ⊤ (and, if `published`, an end token). 0 is what
  /// D3 asks for (Bao et al. 2024, "Decoding matters"): a division by the length favours titles of many forced tokens.
  public var lengthPenalty: Double
  /// g: titles are ranked by g · log π + (1 − g) · log of the share of a preference score, which splits over the tokens as
  /// rewards do (D3's text-free assistant); 1 leaves the score out.
  public var guidance: Double
  /// Of sampled lists, at every choice.
  public var temperature: Double

  public init(
    score: Score = .policy, lengthPenalty: Double = 0, guidance: Double = 1, temperature: Double = 1
  ) {
    self.score = score
    self.lengthPenalty = lengthPenalty
    self.guidance = guidance
    self.temperature = temperature
  }

  static let lengthPenaltyLimit = 10.0
  static let temperatureLimit = 1000.0
  /// Width of the published beam.
  public static let publishedBeam = 10

  /// What of these counts for such lists and is not as it is by default, in words; empty if nothing is.
  func description(of lists: EvaluationReport.Lists) -> String {
    let usual = Decoding()
    let parts =
      switch lists {
      case .topK:
        [
          score == usual.score ? nil : "score \(score.rawValue)",
          lengthPenalty == usual.lengthPenalty ? nil : "length penalty \(lengthPenalty)",
          guidance == usual.guidance ? nil : "guidance \(guidance)",
        ]
      case .sampled: [temperature == usual.temperature ? nil : "temperature \(temperature)"]
      }
    return parts.compactMap { $0 }.joined(separator: ", ")
  }
}
