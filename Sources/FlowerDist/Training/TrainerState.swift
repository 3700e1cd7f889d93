/// What a run needs to go on besides weights and optimizer state: `trainer/state.json` of a checkpoint.
struct TrainerState: Equatable {
  static let fileName = "trainer/state.json"
  private static let formatVersion = 1

  var step: Int
  var seconds: Double
  /// Ranks that wrote the optimizer shards.
  var ranks: Int
  var course: RunCourse
  /// Best value of the validation metric so far, its step, and validations since.
  var best: Double?
  var bestStep: Int?
  var validationsSinceBest: Int
  /// How far the schedule of the trajectories' sources is.
  var progress: Recipe.Mixture.Progress
  var skipped: SkippedSteps

  func write(directory: String) throws {
    let members: [JSON.Member] =
      [
        JSON.Member("format_version", JSON(Self.formatVersion)), JSON.Member("step", JSON(step)),
        JSON.Member("seconds", JSON(seconds)), JSON.Member("ranks", JSON(ranks)),
        JSON.Member("best", best.map { JSON($0) } ?? .null),
        JSON.Member("best_step", bestStep.map { JSON($0) } ?? .null),
        JSON.Member("validations_since_best", JSON(validationsSinceBest)),
        JSON.Member(
          "trajectories",
          ["falls": JSON(progress.falls), "loss": JSON(progress.loss), "count": JSON(progress.count)]),
        JSON.Member("skipped", ["all": JSON(skipped.all), "in_a_row": JSON(skipped.inARow)]),
      ]
      + course.members
    try AtomicFile.write(JSON.object(members).serialized(pretty: true) + [0x0A], to: "\(directory)/\(Self.fileName)")
  }

  init(
    step: Int, seconds: Double, ranks: Int, course: RunCourse, best: Double?, bestStep: Int?, validationsSinceBest: Int,
    progress: Recipe.Mixture.Progress, skipped: SkippedSteps = .init()
  ) {
    self.step = step
    self.seconds = seconds
    self.ranks = ranks
    self.course = course
    self.best = best
    self.bestStep = bestStep
    self.validationsSinceBest = validationsSinceBest
    self.progress = progress
    self.skipped = skipped
  }

  init(directory: String) throws {
    let path = "\(directory)/\(Self.fileName)"
    let json = try JSON(contentsOf: path)
    let fields = try JSONFields(json, path: path)
    guard try fields.int("format_version") == Self.formatVersion else {
      throw fields.error("format_version", "this program reads \(Self.formatVersion)")
    }
    step = try fields.int("step")
    seconds = try fields.double("seconds")
    ranks = try fields.int("ranks")
    guard step >= 0, seconds >= 0, 1...1 << 20 ~= ranks else {
      throw fields.error("ranks", "step, seconds or ranks out of range")
    }
    course = try RunCourse(fields)
    best = json["best"]?.double
    bestStep = json["best_step"]?.int
    validationsSinceBest = try fields.int("validations_since_best")
    guard 0...step ~= validationsSinceBest else { throw fields.error("validations_since_best", "is out of range") }
    progress = .init()
    // Checkpoints from before there were schedules have none.
    if fields["trajectories"] != nil {
      let schedule = try fields.object("trajectories")
      progress.falls = try schedule.int("falls")
      progress.loss = try schedule.double("loss")
      progress.count = try schedule.int("count")
      guard progress.falls >= 0, 0...1 << 50 ~= progress.count else {
        throw schedule.error("falls", "falls or count out of range")
      }
    }
    skipped = .init()
    // Likewise.
    if fields["skipped"] != nil {
      let steps = try fields.object("skipped")
      skipped = .init(all: try steps.int("all"), inARow: try steps.int("in_a_row"))
      guard 0...step ~= skipped.all, 0...skipped.all ~= skipped.inARow else {
        throw steps.error("all", "all or in_a_row out of range")
      }
    }
  }
}
