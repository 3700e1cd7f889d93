import Testing

@testable import FlowerDist

@Suite struct SweepPlanTests {
  private let scratch: ScratchDirectory
  private let recipe: String

  init() throws {
    scratch = try ScratchDirectory()
    recipe = try scratch.write(Self.text, "flower.yaml")
  }

  private static let text = "data: {generated: 60}\ntraining: {steps: 40}\nruns: out\n"

  private func plan(
    _ over: [String], seeds: [UInt64] = [], overrides: [String] = [], recipes: [String]? = nil, name: String? = nil
  ) throws -> SweepPlan {
    try SweepPlan(
      recipes: recipes ?? [recipe], over: over.map(SweepAxis.init(parsing:)), seeds: seeds, overrides: overrides,
      name: name)
  }

  private func message(_ body: () throws -> SweepPlan) -> String {
    let error = flowerError { _ = try body() }
    #expect(error?.kind == .usage)
    return error?.description ?? "no error"
  }

  @Test func everyCombinationOnce() throws {
    let plan = try plan(
      ["objective.theta=0,.5", "trajectories.count=4,8,2"], seeds: [1, 7], overrides: ["training.steps=9"])
    #expect(
      plan.runs.prefix(3).map(\.name) == [
        "flower_theta=0.0_count=4_seed=1", "flower_theta=0.0_count=4_seed=7", "flower_theta=0.0_count=8_seed=1",
      ])
    #expect(plan.runs.count == 12 && Set(plan.runs.map(\.name)).count == 12)
    #expect(Set(plan.runs.map(\.setting)).count == 6)
    let last = try #require(plan.runs.last)
    #expect(last.recipe.objective.theta == 0.5 && last.recipe.trajectories.count == 2 && last.recipe.training.seed == 7)
    #expect(plan.runs.allSatisfy { $0.recipe.training.steps == 9 && $0.path == "out/flower-sweep/\($0.name)" })
    #expect(plan.row(of: last) == "out/flower-sweep/results/flower_theta=0.5_count=2_seed=7.json")
  }

  @Test func withoutAxesOneRunPerSeed() throws {
    #expect(try plan([]).runs.map(\.name) == ["flower_seed=1"])
    #expect(
      try plan([], seeds: [3, 4], name: "other").runs.map(\.path) == [
        "out/other/flower_seed=3", "out/other/flower_seed=4",
      ])
  }

  /// What is set for all runs may go with the values of the axes alone.
  @Test func recipesAreReadWithTheirValues() throws {
    let published = try plan(["reward.weight=divide,add_log"], overrides: ["reward.flow_rule=published"])
    #expect(published.runs.map(\.recipe.reward.weight) == [.divide, .addLog])
    #expect(published.runs.allSatisfy { $0.recipe.reward.flowRule == .published })
    let wrong = message { try plan(["reward.weight=divide,power"], overrides: ["reward.flow_rule=published"]) }
    #expect(wrong.contains("flow_rule published is for weight divide and add_log"))
  }

  @Test func severalRecipes() throws {
    let other = try scratch.write(Self.text, "sft.yaml")
    let plan = try plan(["training.steps=1,2"], recipes: [recipe, other])
    #expect(plan.directory == "out/flower+sft-sweep")
    #expect(
      plan.runs.map(\.name) == [
        "flower_steps=1_seed=1", "flower_steps=2_seed=1", "sft_steps=1_seed=1", "sft_steps=2_seed=1",
      ])
  }

  @Test func keysOfOneNameAreToldApart() throws {
    let names = try plan(["objective.name=tb,db", "validation.metric=loss"]).runs.map(\.name)
    #expect(names == ["flower_name=tb_metric=loss_seed=1", "flower_name=db_metric=loss_seed=1"])
    let lambdas = try plan(["optimizer.beta1=.8,.9", "reward.beta=1,2"]).runs.map(\.name)
    #expect(lambdas[0] == "flower_beta1=0.8_beta=1.0_seed=1")
    let paths = try plan(["model.path=a,b", "tokenizer.path=t"]).runs.map(\.name)
    #expect(paths[1] == "flower_model.path=b_tokenizer.path=t_seed=1")
  }

  @Test func namesAreFolders() throws {
    let long = String(repeating: "x", count: 80)
    let names = try plan([#"prompt.separator=", ","a/b",'a=b',\#(long)y,\#(long)z,'%2c',ä"#]).runs.map(\.name)
    #expect(Set(names).count == 7)
    #expect(
      names.allSatisfy { !$0.contains("/") && $0.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } && $0.utf8.count < 80 })
    #expect(names[0] == "flower_separator=%2c%20_seed=1" && names[5] == "flower_separator=%252c_seed=1")
    #expect(names[2] == "flower_separator=a%3db_seed=1")
  }

  @Test func refusesWhatIsAmbiguous() {
    #expect(message { try plan(["objective.theta=.5,0.50"]) }.contains("two runs would be called"))
    #expect(message { try plan(["objective.theta=1", "objective.theta=.2"]) }.contains("set twice"))
    #expect(message { try plan(["objective.theta=1"], overrides: ["objective.theta=.2"]) }.contains("set twice"))
    #expect(message { try plan(["training.seed=1,2"]) }.contains("use --seeds"))
    #expect(message { try plan([], overrides: ["name=x"]) }.contains("name of its own"))
    #expect(message { try plan([], seeds: [1, 1]) }.contains("different numbers"))
    #expect(message { try plan([], recipes: [recipe, recipe]) }.contains("two runs would be called flower_seed=1"))
    #expect(message { try plan([], name: "../x") }.contains("can name a folder"))
    #expect(message { try plan([], recipes: []) }.contains("at least one recipe"))
    let many = (1...101).map(String.init).joined(separator: ",")
    #expect(message { try plan(["training.steps=\(many)", "trajectories.count=\(many)"]) }.contains("at most 10000"))
    #expect(message { try plan(["objective.thita=1"]) }.contains("did you mean objective.theta?"))
    #expect(message { try plan(["objective.theta=0.5,2"]) }.contains("objective.theta=2: objective.theta: expected"))
  }

  @Test func valuesBetweenCommas() throws {
    #expect(try SweepAxis(parsing: "a.b=1, 2,'x,y'").values == ["1", " 2", "'x,y'"])
    #expect(try SweepAxis(parsing: "a=").values == [""])
    for text in ["", "=1", "a", "a='1,2"] {
      #expect(flowerError { _ = try SweepAxis(parsing: text) }?.kind == .usage, "\(text)")
    }
  }
}
