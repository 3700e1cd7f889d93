/// Steps whose loss or gradient was not finite, so that they updated nothing.
struct SkippedSteps: Equatable {
  var all = 0
  /// Up to the last step.
  var inARow = 0

  mutating func count(skips: Bool) {
    all += skips ? 1 : 0
    inARow = skips ? inARow + 1 : 0
  }
}

/// A run whose numbers stay infinite or undefined: what is known of the first of the skipped steps in a row.
struct Divergence: Error {
  /// Examples of one grain that make its loss or gradient not finite.
  struct Grain: Equatable {
    var index: Int
    var rank: Int
    var host: String
    var lossIsFinite: Bool
    /// Rows of the training split; without histories positions in the batch.
    var examples: [Int]

    var json: JSON {
      [
        "grain": JSON(index), "rank": JSON(rank), "host": JSON(host), "loss_is_finite": JSON(lossIsFinite),
        "examples": .array(examples.map { JSON($0) }),
      ]
    }
  }

  static let fileName = "diverged.json"
  /// Examples that a message names of a grain; the file names all.
  private static let shown = 8

  /// The first step that was skipped, from 1.
  var step: Int
  var stepsInARow: Int
  /// Of the last one; what is not finite is `null` in the file.
  var loss: Double
  var gradientNorm: Double
  var hasHistories: Bool
  /// Empty where every grain is finite and only their sum is not.
  var grains: [Grain]

  var json: JSON {
    [
      "step": JSON(step), "steps_in_a_row": JSON(stepsInARow), "loss": JSON(loss), "grad_norm": JSON(gradientNorm),
      "examples_are": JSON(hasHistories ? "rows of the training split" : "positions in the batch"),
      "grains": .array(grains.map(\.json)),
    ]
  }

  /// What happened and where, without what to do about it.
  var message: String {
    let steps = stepsInARow == 1 ? "step \(step)" : "steps \(step) to \(step + stepsInARow - 1)"
    let what = loss.isFinite ? "gradient" : "loss"
    return "\(steps): the \(what) is not finite, \(stepsInARow) in a row (training.nonfinite_limit); nothing was updated."
      + " In step \(step) it comes from \(causes)"
  }

  private var causes: String {
    if grains.isEmpty { return "the sum of all gradients, each of which is finite" }
    // A rank's grains in one breath.
    var said: [Grain] = []
    for grain in grains {
      if let same = said.firstIndex(where: { $0.rank == grain.rank && $0.lossIsFinite == grain.lossIsFinite }) {
        said[same].examples += grain.examples
      } else {
        said.append(grain)
      }
    }
    return said.map { grain in
      let more = grain.examples.count - Self.shown
      let numbers = grain.examples.prefix(Self.shown).map(String.init).joined(separator: ", ")
      return "rank \(grain.rank) on \(grain.host): the \(grain.lossIsFinite ? "gradient" : "loss") of"
        + " \(hasHistories ? "training example" : "draw")\(grain.examples.count == 1 ? "" : "s") \(numbers)"
        + (more > 0 ? " and \(more) more" : "")
    }.joined(separator: "; ")
  }
}

extension Divergence.Grain {
  /// As one rank tells the others.
  init(json: JSON) throws {
    let record = try JSONRecord(json, place: "a rank's report")
    index = try record.count("grain")
    rank = try record.count("rank")
    host = try record.string("host")
    lossIsFinite = try record.required("loss_is_finite", "a truth value", \.bool)
    examples = try record.array("examples").compactMap(\.int)
  }
}
