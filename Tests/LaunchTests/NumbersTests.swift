import Foundation
import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct Numbers {
    /// One training example of 64 whose loss is not a number: two other titles begin like its target, and with finite
    /// weights one of their logits overflows, whichever sign the hidden state has.
    private static func poisoned() async throws -> (Workspace, overrides: [String]) {
      let workspace = try Workspace()
      let titles = ["Abel", "Bach", "Cage", "Dufay", "Elgar", "QA", "QY", "QZ"]
      try workspace.write(
        titles.enumerated().map { #"{"id":\#($0),"title":"\#($1)"}"# }.joined(separator: "\n"), "data/items.jsonl")
      let train = (0..<64).map { #"{"history":[\#($0 % 5)],"item":\#($0 == 17 ? 5 : ($0 * 3 + 1) % 5)}"# }
      try workspace.write(train.joined(separator: "\n"), "data/train.jsonl")
      for split in ["valid", "test"] { try workspace.write(#"{"history":[0],"item":1}"#, "data/\(split).jsonl") }
      let overrides = [
        "data.generated=0", "data.path=\(workspace("data"))", "prompt.template='{history}:'", "objective.name=sft",
        "objective.sft_support=catalogue", "model.tie_embeddings=false", "training.steps=24",
      ]
      try await workspace.succeed(name: "sound", overrides + ["training.steps=1"])
      let model = workspace.checkpoint(1, of: "sound")
      var bytes = try File.contents(of: "\(model)/model.safetensors")
      let header = bytes[0..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
      let tensor = try #require(JSON(parsing: Array(bytes[8..<8 + header]))["lm_head.weight"])
      let start = 8 + header + (try #require(tensor["data_offsets"]?.array?.first?.int))
      for (title, value) in [("Y", Float(3e38)), ("Z", -3e38)] {
        for index in 0..<32 {
          let place = start + (Int(title.utf8.first!) * 32 + index) * 4
          withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.replaceSubrange(place..<place + 4, with: $0) }
        }
      }
      try File(writing: "\(model)/model.safetensors").write(bytes)
      return (workspace, overrides + ["model.path=\(model)"])
    }

    private func skippedSteps(_ workspace: Workspace, _ name: String) throws -> [Int] {
      try RunRecord(path: workspace("runs/\(name)")).steps.filter(\.isSkipped).map(\.step)
    }

    @Test func stepsThatAreNotFiniteAreSkippedAlikeOnAnyRanks() async throws {
      let (workspace, overrides) = try await Self.poisoned()
      let output = try await workspace.succeed(ranks: 1, name: "one", overrides)
      // Once an epoch.
      let skipped = try skippedSteps(workspace, "one")
      #expect(skipped.map { ($0 - 1) / 8 } == [0, 1, 2])
      #expect(output.contains("step \(skipped[0]): the loss is not finite; nothing is updated"))
      #expect(try RunRecord(path: workspace("runs/one")).steps.last?.skippedSteps == 3)
      // Resumed on other ranks, right before and right after a skipped step.
      let weights = try workspace.weights("one", step: 24)
      for (name, step) in [("before", skipped[1] - 1), ("after", skipped[1])] {
        try await workspace.succeed(name: "to-\(name)", overrides + ["checkpoint.every=\(step)"])
        try await workspace.succeed(
          ranks: 4, name: name, overrides, more: ["--resume", workspace.checkpoint(step, of: "to-\(name)")])
        #expect(try workspace.weights(name, step: 24) == weights)
        #expect(try skippedSteps(workspace, name) == skipped.filter { $0 > step })
      }
      let state = try TrainerState(directory: workspace.checkpoint(24, of: "after"))
      #expect(state.skipped.all == 3)
    }

    @Test func tooManyInARowEndTheRunWithItsCause() async throws {
      let (workspace, overrides) = try await Self.poisoned()
      let outcome = try await workspace.train(ranks: 2, overrides + ["training.nonfinite_limit=1"])
      #expect(outcome.codes == [4, 4])
      let step = try #require(workspace.steps().last) + 1
      let file = workspace("runs/tiny/\(Divergence.fileName)")
      let grain = try #require(JSON(contentsOf: file)["grains"]?.array?.first)
      let rank = try #require(grain["rank"]?.int)
      #expect(rank == (try #require(grain["grain"]?.int)) / 4)
      #expect(grain["examples"]?.array?.compactMap(\.int) == [17])
      let cause = "step \(step): the loss is not finite, 1 in a row (training.nonfinite_limit); nothing was updated. In step"
        + " \(step) it comes from rank \(rank) on \(hostName()): the loss of training example 17 (\(file))."
      #expect(outcome.errors.contains(cause), "\(outcome.errors)")
      // What it says repeats it, on other ranks too.
      let path = workspace.checkpoint(step - 1)
      #expect(outcome.errors.contains("--resume \(path) shows it again"))
      let again = try await workspace.train(
        ranks: 1, overrides + ["training.nonfinite_limit=1"], more: ["--resume", path])
      #expect(again.codes == [4] && again.errors.contains("training example 17"))
    }
  }
}
