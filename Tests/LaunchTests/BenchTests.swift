import Testing

@testable import FlowerDist

extension LaunchTests {
  @Suite struct Bench {
    @Test func aPacedBenchmarkAnswersEveryLine() async throws {
      let shape = ["--hidden", "32", "--layers", "1", "--heads", "2", "--kv-heads", "1", "--intermediate", "64"]
      let batch = ["--vocabulary", "100", "--examples", "2", "--prompt", "5"]
      let outcome = try await Workspace().run(
        ranks: 0, ["bench", "--paced", "--repeats", "1", "--warm-up", "1"] + shape + batch, input: "\n\n")
      #expect(outcome.code == 0, "\(outcome.errors)")
      let answers = outcome.output.split(separator: "\n").map { try? JSON(parsing: Array($0.utf8)) }
      #expect(answers.count == 2)
      for answer in answers {
        #expect(answer?["repeats"]?.int == 1)
        #expect(try #require(answer?["forward_backward"]?["median_seconds"]?.double) > 0)
      }
      let unasked = try await Workspace().run(ranks: 0, ["bench", "--paced"] + shape + batch)
      #expect(unasked.code == 0 && unasked.output.isEmpty)
    }

    @Test func onlyStepsArePaced() async throws {
      let outcome = try await Workspace().run(ranks: 0, ["bench", "--paced", "--network"])
      #expect(outcome.code == 2)
      #expect(outcome.errors.contains("--paced goes with neither --network nor --tokenizer"))
    }
  }
}
