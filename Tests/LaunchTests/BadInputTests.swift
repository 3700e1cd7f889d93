import Foundation
import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct BadInput {
    /// Expects that all ranks end with the code, that the messages are said once, and that no run was begun.
    private func expectRefusal(
      _ workspace: Workspace, _ outcome: Workspace.Outcome, code: Int32, _ messages: String...,
      sourceLocation: SourceLocation = #_sourceLocation
    ) {
      #expect(outcome.codes.allSatisfy { $0 == code }, "\(outcome)", sourceLocation: sourceLocation)
      for message in messages {
        let count = outcome.errors.split(separator: message, omittingEmptySubsequences: false).count - 1
        #expect(count == 1, "\"\(message)\" in \(outcome.errors)", sourceLocation: sourceLocation)
      }
      #expect(!outcome.output.contains("loss"), sourceLocation: sourceLocation)
      #expect(!File.exists(workspace("runs/tiny")), sourceLocation: sourceLocation)
    }

    // MARK: - Recipe and arguments

    @Test(arguments: [
      (["--set", "training.stepz=4"], "did you mean training.steps?"),
      (["--name", "a/b"], "name: expected"),
      (["--frobnicate"], "Unknown option '--frobnicate'"),
      (["--set", "training.grains=1"], "2 ranks, but training.grains is 1"),
      (["--set", "data.generated=1"], "data.generated: expected an integer"),
    ])
    func arguments(_ more: [String], _ message: String) async throws {
      let workspace = try Workspace()
      expectRefusal(workspace, try await workspace.train(more: more), code: 2, message)
    }

    @Test func allProblemsOfARecipeAtOnce() async throws {
      let workspace = try Workspace(
        """
        model: {hidden_sise: 32}
        data: {generated: many}
        training:
          steps: 0
        """)
      let file = workspace("tiny.yaml")
      expectRefusal(
        workspace, try await workspace.train(), code: 2, "\(file):1:9: unknown key", "did you mean model.hidden_size?",
        "\(file):2:19: data.generated: expected", "\(file):4:10: training.steps: expected")
    }

    @Test func missingRecipe() async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.run(ranks: 2, ["train", workspace("none.yaml")])
      expectRefusal(workspace, outcome, code: 2, "\(workspace("none.yaml")): cannot read the recipe")
    }

    @Test func anotherRecipeOnOneRank() async throws {
      let workspace = try Workspace()
      let usual = workspace.arguments()
      func last(_ more: [String]) async throws -> Workspace.Outcome {
        try await workspace.run(ranks: 3, usual, last: usual + more)
      }
      expectRefusal(
        workspace, try await last(["--set", "training.steps=41"]), code: 5, "the ranks do not agree on training.steps",
        "has 40", "has 41")
      expectRefusal(workspace, try await last(["--resume", "latest"]), code: 5, "the ranks do not agree on --resume")
      expectRefusal(workspace, try await last(["--set", "training.steps=none"]), code: 2, "[rank 2 ", "found \"none\"")
      expectRefusal(workspace, try await last(["--frobnicate"]), code: 2, "[rank 2 ", "Unknown option '--frobnicate'")
    }

    /// As everybody starts it: mpirun ends ranks when the first one ends with an error.
    @Test func mpirunEndsWithTheCode() async throws {
      let workspace = try Workspace()
      var outcome = try await workspace.run(ranks: 4, workspace.arguments(["training.stepz=4"]), endsAll: true)
      // Among what mpirun kills are the shells that note the codes.
      outcome.codes.removeAll { $0 == -1 }
      expectRefusal(workspace, outcome, code: 2, "did you mean training.steps?")
      #expect(outcome.code == 2)
    }

    // MARK: - Data

    @Test func missingData() async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.train(["data.generated=0", "data.path=\(workspace("nowhere"))"])
      expectRefusal(workspace, outcome, code: 3, "\(workspace("nowhere/items.jsonl")): missing")
    }

    @Test(arguments: [
      ("train.jsonl", #"{"history":[0],"item":1}"# + "\n{]\n", "train.jsonl:2:2: "),
      ("valid.jsonl", #"{"history":[0,3],"item":1}"#, "valid.jsonl:1: no item has the id 3"),
      ("test.jsonl", #"{"history":[0],"item":-1}"#, "test.jsonl:1: no item has the id -1"),
      ("test.jsonl", "", "test.jsonl: is empty"),
      ("items.jsonl", #"{"id":0,"title":" "}"#, "items.jsonl:1: the title is empty"),
      ("items.jsonl", #"{"id":1,"title":"One"}"#, "items.jsonl:1: expected the id 0"),
    ])
    func damagedDataset(_ file: String, _ content: String, _ message: String) async throws {
      let workspace = try Workspace()
      let titles = ["Zero", "One", "Two"].enumerated().map { #"{"id":\#($0),"title":"\#($1)"}"# }
      try workspace.write(titles.joined(separator: "\n"), "data/items.jsonl")
      for split in ["train", "valid", "test"] {
        try workspace.write(#"{"history":[0],"item":1}"#, "data/\(split).jsonl")
      }
      let overrides = ["data.generated=0", "data.path=\(workspace("data"))", "prompt.template=\"{history}:\""]
      try await workspace.succeed(name: "good", overrides + ["training.steps=1"])
      try workspace.write(content, "data/\(file)")
      expectRefusal(workspace, try await workspace.train(overrides), code: 3, workspace("data/") + message)
    }

    @Test func noModel() async throws {
      let workspace = try Workspace()
      try workspace.write("{}", "model/config.json")
      let outcome = try await workspace.train(["model.path=\(workspace("model"))"])
      expectRefusal(workspace, outcome, code: 3, workspace("model/config.json"))
      let missing = try await workspace.train(["model.path=\(workspace("none"))"])
      expectRefusal(workspace, missing, code: 3, "cannot read \(workspace("none/config.json"))")
    }

    // MARK: - Runs and checkpoints

    @Test func aRunThatExists() async throws {
      let workspace = try Workspace()
      try await workspace.succeed()
      let weights = try workspace.weights()
      let outcome = try await workspace.train()
      #expect(outcome.codes == [2, 2])
      #expect(outcome.errors.contains("this run exists. Continue it with --resume latest"))
      #expect(try workspace.weights() == weights)
      #expect(try workspace.steps() == Array(1...40))
    }

    @Test func aCheckpointOfAnotherRun() async throws {
      let workspace = try Workspace()
      try await workspace.succeed(name: "other", ["model.hidden_size=64", "data.generated=61"])
      let path = workspace.checkpoint(40, of: "other")
      let outcome = try await workspace.train(more: ["--resume", path])
      expectRefusal(
        workspace, outcome, code: 3, "\(path): was made with model.hidden_size 64 (now 32), other data, so going on")
      // Nor is one run continued under another's name.
      try await workspace.succeed(name: "third", ["training.steps=1"])
      let mixed = try await workspace.train(
        name: "third", ["model.hidden_size=64", "data.generated=61"], more: ["--resume", path])
      #expect(mixed.codes == [2, 2])
      #expect(mixed.errors.contains("this run was begun with model.hidden_size 32 (now 64), training.steps 1 (now 40)"))
      #expect(try workspace.steps("third") == [1])
      let none = try await workspace.train(more: ["--resume", workspace("none")])
      expectRefusal(workspace, none, code: 3, "cannot read \(workspace("none/manifest.json"))")
    }

    // MARK: - Training

    @Test func divergence() async throws {
      let workspace = try Workspace()
      let outcome = try await workspace.train([
        "optimizer.learning_rate=10", "optimizer.weight_decay=10", "optimizer.warmup_steps=0", "training.nonfinite_limit=1",
      ])
      #expect(outcome.codes == [4, 4])
      #expect(outcome.errors.contains("is not finite"))
      let done = try workspace.steps()
      #expect(done == Array(1...done.count) && outcome.errors.contains("step \(done.count + 1): "))
    }
  }
}
