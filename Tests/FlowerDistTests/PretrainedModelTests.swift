import Foundation
import Testing

@testable import FlowerDist

/// Where Benchmarks/fetch_smollm2.py puts the model; an ignored folder.
private let pretrainedModel = {
  let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  return root.appending(path: ".cache/smollm2-135m").path()
}()

/// SmolLM2-135M-Instruct, which Benchmarks/fetch_smollm2.py fetches, against `transformers`
/// (Fixtures/smollm2.json, made by Tests/Twin/smollm2_fixture.py).
@Suite(
  .enabled(
    if: File.exists("\(pretrainedModel)/config.json"),
    "skipped: .cache/smollm2-135m is not there; `python Benchmarks/fetch_smollm2.py` fetches it"))
struct PretrainedModelTests {
  struct Entry: Sendable {
    var text: String
    var tokens: [Int32]
    var logProbabilities: [Double]
  }

  static let entries: [Entry] = {
    let url = Bundle.module.url(forResource: "Fixtures/smollm2", withExtension: "json")!
    return try! JSON(contentsOf: url.path).array!.map { entry in
      Entry(
        text: entry["text"]!.string!, tokens: entry["tokens"]!.array!.map { Int32($0.int!) },
        logProbabilities: entry["log_probs"]!.array!.map { $0.double! })
    }
  }()

  @Test func agreesWithTransformers() throws {
    let model = try ModelDirectory(contentsOf: pretrainedModel)
    #expect(model.transformer.layout.count == 134_515_008)
    for entry in Self.entries { #expect(model.tokenizer.encode(entry.text) == entry.tokens) }
    let tokens = Self.entries.map { $0.tokens.map { "\($0)" }.joined(separator: ",") }
    let input = #"{"sequences":[\#(tokens.map { #"{"tokens":[\#($0)]}"# }.joined(separator: ","))]}"#
    let request = try ScoreRequest(JSON(parsing: Array(input.utf8)), file: "in.json", vocabularySize: 49152)
    let sequences = try #require(try Scorer(LanguageModel(model.transformer)).score(request).sequences)
    for (sequence, entry) in zip(sequences, Self.entries) {
      let distance = zip(sequence.logProbabilities, entry.logProbabilities).map { abs($0 - $1) }.max() ?? .infinity
      #expect(sequence.logProbabilities.count == entry.logProbabilities.count && distance < 1e-3, "\(distance)")
    }
  }
}
