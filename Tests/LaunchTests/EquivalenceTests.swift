import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct Equivalence {
    /// One way through sampling, objective and batching.
    struct Way: CustomTestStringConvertible {
      let testDescription: String
      let overrides: [String]

      init(_ name: String, _ overrides: String...) {
        testDescription = name
        self.overrides = overrides
      }
    }

    @Test(
      "The same weights on 1 to 4 ranks",
      arguments: [
        Way("SubTB over the catalogue, drawn by coin"),
        Way("SFT over the vocabulary", "objective.name=sft", "objective.sft_support=vocabulary"),
        Way("power reward by weight", "reward.weight=power", "trajectories.source=weight", "objective.theta=0.5"),
        Way("on-policy", "trajectories.source=policy"),
        Way("on-policy, by thirds", "trajectories.source=policy", "training.arithmetic=bf16x6"),
        Way(
          "power reward, mixed with other targets and the policy", "reward.weight=power",
          "trajectories.source=length 0.3, targets 0.3, policy 0.2, weight rest"),
        Way(
          "power reward, published flow rule", "reward.weight=add_log", "reward.flow_rule=published",
          "objective.name=tb"),
        Way(
          "replay and a schedule", "trajectories.source=weight 1 to 0.1 over 20, replay 0 to 0.5 over 10, policy 0.3",
          "replay.capacity=20", "replay.staleness=5"),
        Way(
          "as published", "trajectories.source=length 1 to 0.1 by 0.3 per 5 below 100, policy rest"),
        Way("over the vocabulary", "objective.support=vocabulary", "objective.name=tb"),
        Way(
          "terminating flow over runs of tokens", "objective.flow=terminating", "objective.support=vocabulary",
          "objective.granularity=3"),
        Way(
          "SFT and SubTB on trunks of users", "training.batching=user", "training.user_targets=3", "objective.theta=0.5",
          "training.global_batch=32"),
        Way("micro-batches", "training.global_batch=16", "training.grains=4", "training.micro_batch=1"),
      ])
    func sameWeights(_ way: Way) async throws {
      let needsHistories = ["SFT", "power"].contains { way.testDescription.hasPrefix($0) }
      var overrides = way.overrides + ["checkpoint.every=0", "training.steps=30"]
      if needsHistories { overrides += Workspace.histories }
      let workspace = try Workspace()
      var weights: [String] = []
      for ranks in 1...4 {
        try await workspace.succeed(ranks: ranks, name: "on-\(ranks)", overrides)
        weights.append(try workspace.weights("on-\(ranks)", step: 30))
      }
      #expect(Set(weights).count == 1)
    }

    /// Preferences against a frozen start: each rank computes the reference of its own examples, in whichever epoch.
    @Test(
      arguments: [
        Way("S-DPO", "objective.name=s_dpo", "objective.theta=0.2"),
        Way("RosePO", "objective.name=rose_po", "objective.support=vocabulary"),
        Way("GRPO", "objective.name=grpo", "trajectories.source=policy"),
      ])
    func sameWeightsWithAReference(_ way: Way) async throws {
      let workspace = try Workspace()
      let data = ["data.generated_examples=30"] + Workspace.histories.dropFirst() + ["checkpoint.every=10"]
      try await workspace.succeed(ranks: 1, name: "start", data + ["objective.name=sft", "training.steps=10"])
      // 20 steps of 8 are several epochs of what is left for training.
      let start = "model.path=\(workspace.checkpoint(10, of: "start"))"
      let overrides = data + way.overrides + [start, "training.steps=20"]
      for ranks in 1...3 { try await workspace.succeed(ranks: ranks, name: "on-\(ranks)", overrides) }
      let expected = try workspace.weights("on-1", step: 20)
      for ranks in 2...3 { #expect(try workspace.weights("on-\(ranks)", step: 20) == expected) }
      // What an attempt remembered of the reference is not missed.
      try await workspace.succeed(
        ranks: 2, name: "later", overrides, more: ["--resume", workspace.checkpoint(10, of: "on-1")])
      #expect(try workspace.weights("later", step: 20) == expected)
      #expect(try workspace.weights("on-1", step: 10) != expected)
      // Another model is another run.
      let other = "objective.reference=\(workspace.checkpoint(10, of: "on-1"))"
      let refused = try await workspace.train(
        ranks: 2, name: "other", overrides + [other], more: ["--resume", workspace.checkpoint(10, of: "on-1")])
      #expect(refused.codes == [3, 3] && refused.errors.contains("another reference model"), "\(refused.errors)")
      let plan = try await workspace.train(ranks: 2, name: "plan", overrides, more: ["--dry-run"])
      #expect(plan.output.contains("reference") && plan.output.contains("MB of weights, once per host"))
    }

    /// A model of several buckets, whose gradients and new weights are on their way while others are computed, or afterwards.
    @Test func overlapChangesNothing() async throws {
      let workspace = try Workspace()
      let model = [
        "model.hidden_size=256", "model.intermediate_size=704", "model.layers=4", "training.steps=3", "validation.every=0",
      ]
      for (ranks, overlap) in [(1, true), (2, true), (3, true), (3, false), (4, true)] {
        try await workspace.succeed(ranks: ranks, name: "\(ranks)-\(overlap)", model + ["communication.overlap=\(overlap)"])
      }
      let expected = try workspace.weights("1-true", step: 3)
      for name in ["2-true", "3-true", "3-false", "4-true"] {
        #expect(try workspace.weights(name, step: 3) == expected, "\(name)")
      }
      // Rounded gradients are others, the same each time.
      for name in ["rounded", "again"] {
        try await workspace.succeed(ranks: 2, name: name, model, more: ["--compress", "bf16"])
      }
      #expect(try workspace.weights("rounded", step: 3) == workspace.weights("again", step: 3))
      #expect(try workspace.weights("rounded", step: 3) != expected)
    }

    /// A run keeps its arithmetic, and those who use it take it over.
    @Test func arithmeticIsARunsOwn() async throws {
      let workspace = try Workspace()
      let plain = Workspace.histories + ["training.steps=20"]
      let thirds = plain + ["training.arithmetic=bf16x6"]
      try await workspace.succeed(ranks: 2, name: "thirds", thirds)
      try await workspace.succeed(ranks: 1, name: "later", thirds, more: ["--resume", workspace.checkpoint(10, of: "thirds")])
      #expect(try workspace.weights("later", step: 20) == workspace.weights("thirds", step: 20))
      let refused = try await workspace.train(
        ranks: 1, name: "other", plain, more: ["--resume", workspace.checkpoint(10, of: "thirds")])
      #expect(refused.codes == [3] && refused.errors.contains("training.arithmetic"), "\(refused.errors)")
      let shown = try JSON(contentsOf: workspace("runs/thirds/environment.json"))
      #expect(shown["arithmetic"]?.string == "bf16x6")
      try await workspace.succeed(ranks: 1, name: "plain", plain)
      #expect(try workspace.weights("plain", step: 20) != workspace.weights("thirds", step: 20))

      let run = workspace("runs/thirds")
      let request = workspace("request.json")
      try workspace.write(#"{"sequences": [{"tokens": [1, 2, 3, 4, 5]}]}"#, "request.json")
      for verb in [["audit", "--examples", "20"], ["score", "--input", request]] {
        func numbers(_ model: String, _ more: String...) async throws -> String {
          let output = workspace("numbers.json")
          let outcome = try await workspace.run(ranks: 0, verb + ["--model", model, "--output", output] + more)
          #expect(outcome.code == 0, "\(outcome.errors)")
          return try JSON(contentsOf: output).description
        }
        let own = try await numbers(run)
        #expect(try await own == numbers(run, "--arithmetic", "bf16x6"))
        #expect(try await own != numbers(run, "--arithmetic", "fma"))
      }
    }

    @Test func mpirunChangesNothing() async throws {
      let workspace = try Workspace()
      for (ranks, name) in [(0, "alone"), (1, "one")] { try await workspace.succeed(ranks: ranks, name: name) }
      #expect(try workspace.weights("alone") == workspace.weights("one"))
    }

    @Test func threadsChangeNothing() async throws {
      let workspace = try Workspace()
      for (ranks, threads, name) in [(1, 1, "one"), (1, 3, "three"), (2, 2, "two")] {
        let outcome = try await workspace.train(
          ranks: ranks, name: name, environment: ["OPENBLAS_NUM_THREADS": String(threads)])
        #expect(outcome.code == 0, "\(outcome.errors)")
      }
      #expect(try workspace.weights("one") == workspace.weights("three"))
      #expect(try workspace.weights("one") == workspace.weights("two"))
    }

    @Test func oneThreadPerRankUnlessAsked() async throws {
      let workspace = try Workspace()
      for (name, asked, threads) in [("default", nil, 1), ("asked", "2", 2)] {
        let outcome = try await workspace.train(
          name: name, ["training.steps=1"], environment: ["OPENBLAS_NUM_THREADS": asked])
        #expect(outcome.codes == [0, 0])
        let environment = try JSON(contentsOf: workspace("runs/\(name)/environment.json"))
        #expect(environment["threads_per_rank"]?.int == threads)
      }
    }
  }
}
