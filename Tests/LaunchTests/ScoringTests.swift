import Foundation
import Testing

@testable import FlowerDist

extension LaunchTests {
  /// The verb `score` on models of the PyTorch twin, which have neither tokenizer nor flower.json.
  @Suite struct Scoring {
    static let twin = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "FlowerDistTests/Fixtures/twin/qwen2").path()

    /// A case of the twin: what the verb reads, written to a file, and what it should find.
    private func given(_ name: String, _ workspace: Workspace) throws -> (input: String, expected: JSON) {
      let file = try JSON(contentsOf: "\(Self.twin)/case-\(name).json")
      try workspace.write(file["input"]!.description, "\(name).json")
      return (workspace("\(name).json"), file["expected"]!)
    }

    @Test func aloneAndUnderMPI() async throws {
      let workspace = try Workspace()
      let (input, expected) = try given("subtb-0.9-catalogue", workspace)
      var outputs: [[UInt8]] = []
      for ranks in [0, 2] {
        let output = workspace("scores-\(ranks).json")
        let outcome = try await workspace.run(
          ranks: ranks, ["score", "--model", Self.twin, "--input", input, "--output", output])
        #expect(outcome.codes.allSatisfy { $0 == 0 }, "\(outcome.errors)")
        #expect(outcome.output.isEmpty)
        outputs.append(try File.contents(of: output))
      }
      #expect(outputs[0] == outputs[1])
      let scores = try JSON(parsing: outputs[0])
      #expect(abs(scores["loss"]!.double! - expected["loss"]!.double!) < 1e-5)
      func parameters(_ json: JSON) -> [String]? { json["gradient_norms"]?.object?.map(\.key).sorted() }
      #expect(parameters(scores) == parameters(expected))
    }

    /// A pipe gets the scores and nothing else.
    @Test func toAPipe() async throws {
      let workspace = try Workspace()
      let (input, expected) = try given("sequences", workspace)
      let outcome = try await workspace.run(
        ranks: 0, ["score", "--model", Self.twin, "--input", input, "--output", "/dev/stdout"])
      #expect(outcome.code == 0, "\(outcome.errors)")
      let scores = try JSON(parsing: Array(outcome.output.utf8))["sequences"]!.array!
      for (found, wanted) in zip(scores, expected["sequences"]!.array!) {
        let (found, wanted) = (found["log_probs"]!.array!, wanted["log_probs"]!.array!)
        #expect(found.count == wanted.count)
        #expect(zip(found, wanted).allSatisfy { abs($0.double! - $1.double!) < 1e-5 })
      }
    }

    @Test(arguments: [
      (#"{"sequences": [{"tokens": [1, 64]}]}"#, 3, "sequences[0].tokens[1] is 64; expected an integer from 0 to 63"),
      (#"{"sequences": [{"tokens": [1, 6]}"#, 3, "in.json:1:"),
      ("", 3, "in.json:1:"),
      (#"{"sequences": [], "gradients": true}"#, 2, "objective and gradients need trajectories"),
    ])
    func refuses(_ input: String, _ code: Int32, _ message: String) async throws {
      let workspace = try Workspace()
      try workspace.write(input, "in.json")
      let outcome = try await workspace.run(
        ranks: 2, ["score", "--model", Self.twin, "--input", workspace("in.json"), "--output", workspace("out.json")])
      #expect(outcome.codes == [code, code])
      #expect(outcome.errors.contains(workspace("in.json")) && outcome.errors.contains(message), "\(outcome.errors)")
      #expect(!File.exists(workspace("out.json")))
    }

    @Test func filesThatAreNotThere() async throws {
      let workspace = try Workspace()
      let (input, _) = try given("sequences", workspace)
      func code(_ model: String, _ input: String, _ output: String) async throws -> Int32 {
        try await workspace.run(ranks: 0, ["score", "--model", model, "--input", input, "--output", output]).code
      }
      #expect(try await code(workspace("none"), input, workspace("out.json")) == 3)
      #expect(try await code(Self.twin, workspace("none"), workspace("out.json")) == 3)
      #expect(try await code(Self.twin, input, workspace("none/out.json")) == 6)
      #expect(try await workspace.run(ranks: 0, ["score", "--model", Self.twin, "--input", input]).code == 2)
    }
  }
}
