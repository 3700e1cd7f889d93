/// Who does what in a run: the first ranks learn, the last ones, if any, write titles for them.
struct RankRoles: Equatable {
  let rank: Int
  let learners: Int
  let samplers: Int

  /// - Throws: `FlowerError` of kind `usage` for more ranks than there is work for.
  init(_ recipe: Recipe, _ communicator: any Communicator) throws {
    rank = communicator.rank
    samplers = recipe.trajectories.samplers
    learners = communicator.size - samplers
    let grains = recipe.training.grains
    guard learners > 0 else {
      throw FlowerError(
        .usage,
        "trajectories.samplers is \(samplers) of \(communicator.size) \(communicator.size == 1 ? "rank" : "ranks");"
          + " expected fewer, because somebody has to learn")
    }
    if max(learners, samplers) > grains {
      throw FlowerError(
        .usage,
        "\(max(learners, samplers)) \(learners >= samplers ? "ranks" : "samplers"), but training.grains is \(grains): start"
          + " at most that many, or raise training.grains (which may change the result's last bits)")
    }
  }

  var isLearner: Bool { rank < learners }

  /// The grains whose gradients this rank computes.
  func learned(of grains: Int) -> Range<Int> {
    isLearner ? ReductionPlan.grains(ofRank: rank, grains: grains, ranks: learners) : 0..<0
  }

  /// The grains for whose examples this rank writes titles.
  func written(of grains: Int) -> Range<Int> {
    isLearner ? 0..<0 : ReductionPlan.grains(ofRank: rank - learners, grains: grains, ranks: samplers)
  }
}
