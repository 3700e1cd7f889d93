/// How rotary positions were stretched to contexts longer than those of pretraining.
public enum RopeScaling: Equatable, Sendable {
  case none
  /// All angles divided by `factor` (Chen et al. 2023, "Extending context window by positional interpolation").
  case linear(factor: Double)
  /// Llama 3.1: slow rotations are divided by `factor`, fast ones are kept, those between are interpolated. With the
  /// wavelength 2π / f of a frequency f: slow is longer than `originalPositions / lowFrequency`, fast is shorter than
  /// `originalPositions / highFrequency`.
  case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, originalPositions: Double)

  /// The scaled frequency, in radians per position.
  func apply(to frequency: Double) -> Double {
    switch self {
    case .none: return frequency
    case .linear(let factor): return frequency / factor
    case .llama3(let factor, let low, let high, let positions):
      let turns = positions * frequency / (2 * .pi)
      if turns < low { return frequency / factor }
      if turns > high { return frequency }
      let share = (turns - low) / (high - low)
      return (1 - share) * frequency / factor + share * frequency
    }
  }
}

extension RopeScaling {
  /// Reads `rope_parameters` (transformers 5) or `rope_scaling` (before).
  /// - Throws: `FlowerError` of kind `data`: a kind that is not implemented, by its name, or numbers out of range.
  init(_ fields: JSONFields) throws {
    // Old files say `type`, new ones `rope_type`, some both.
    let key = fields["rope_type"] != nil ? "rope_type" : "type"
    let kind = try fields.string(key, default: "default")
    if let other = fields["type"]?.string, other != kind { throw fields.error("type", "is not \"rope_type\"") }
    func positive(_ key: String) throws -> Double {
      let value = try fields.double(key)
      guard value > 0, value <= 1e9 else { throw fields.error(key, "is \(value), expected more than 0, at most 1e9") }
      return value
    }
    switch kind {
    case "default": self = .none
    case "linear": self = .linear(factor: try positive("factor"))
    case "llama3":
      let (low, high) = (try positive("low_freq_factor"), try positive("high_freq_factor"))
      guard low < high else {
        throw fields.error("high_freq_factor", "is \(high), expected more than \"low_freq_factor\" (\(low))")
      }
      self = .llama3(
        factor: try positive("factor"), lowFrequency: low, highFrequency: high,
        originalPositions: try positive("original_max_position_embeddings"))
    default:
      throw fields.error(
        key, "scaling of rotary positions by \(kind.quoted) is not implemented, only linear and llama3")
    }
  }

  /// Members of `rope_parameters` beside `rope_theta`.
  var members: [JSON.Member] {
    switch self {
    case .none: [.init("rope_type", "default")]
    case .linear(let factor): [.init("rope_type", "linear"), .init("factor", JSON(factor))]
    case .llama3(let factor, let low, let high, let positions):
      [
        .init("rope_type", "llama3"), .init("factor", JSON(factor)), .init("low_freq_factor", JSON(low)),
        .init("high_freq_factor", JSON(high)),
        // `transformers` wants an integer here; positions are counted.
        .init("original_max_position_embeddings", Int(exactly: positions).map { JSON($0) } ?? JSON(positions)),
      ]
    }
  }
}
