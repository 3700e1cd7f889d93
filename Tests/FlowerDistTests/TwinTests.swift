import Foundation
import Testing

@testable import FlowerDist

/// The engine against Hugging Face's models in PyTorch (Fixtures/twin, made by Tests/Twin/make_fixtures.py).
@Suite struct TwinTests {
  static let directory = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/twin")

  /// Of models, and of adapters in a folder of the model's.
  static let cases: [(model: String, name: String)] = {
    let files = (FileManager.default.enumerator(atPath: directory.path())?.allObjects as? [String] ?? []).sorted()
    return files.compactMap { file -> (String, String)? in
      let parts = file.split(separator: "/")
      guard let name = parts.last, name.hasPrefix("case-"), name.hasSuffix(".json") else { return nil }
      return (parts.dropLast().joined(separator: "/"), String(name))
    }
  }()

  @Test func fixturesAreThere() {
    let models = [
      "llama", "llama-bias-llama3", "llama-head-dim", "llama-linear", "lora", "lora/adapter", "lora/adapter-qv",
      "qwen2",
      "qwen2-one-layer", "qwen3", "qwen3-bias-untied",
    ]
    #expect(Set(Self.cases.map(\.model)) == Set(models))
    #expect(Self.cases.count >= 50)
  }

  @Test(arguments: cases) func agrees(model: String, name: String) throws {
    let folder = Self.directory.appending(path: model)
    let transformer = try Transformer.read(ModelSource(folder.path())).transformer
    let scorer = Scorer(LanguageModel(transformer))
    let file = try JSON(contentsOf: folder.appending(path: name).path())
    let request = try ScoreRequest(
      file["input"]!, file: name, vocabularySize: transformer.configuration.vocabularySize)
    compare(try scorer.score(request).json, file["expected"]!, "")

    guard let trajectories = request.trajectories else { return }
    let gradient = FloatArena(count: transformer.trainable.list.count)
    _ = try scorer.score(trajectories, into: gradient)
    let reference = try SafeTensorsReader(
      path: folder.appending(path: name.replacing(".json", with: ".gradients.safetensors")).path())
    for parameter in transformer.trainable.list.parameters {
      var values = [Float](repeating: 0, count: parameter.count)
      try values.withUnsafeMutableBufferPointer {
        try reference.read(reference.tensor(parameter.name, shape: parameter.shape), into: $0)
      }
      let scale = max(values.map { abs($0) }.max()!, 1e-3)
      let distance = zip(values, gradient.view(parameter.range)).map { abs($0 - $1) }.max()!
      #expect(distance < 2e-4 * scale, "\(parameter.name): off by \(distance) of \(scale)")
    }
  }

  /// Every number of the twin has its counterpart. Rewards are exact, the model is computed in single precision.
  private func compare(_ found: JSON?, _ expected: JSON, _ place: String) {
    switch expected {
    case .object(let members):
      // What the verb does not write: the probability of titles that no trajectory leads to.
      for member in members where member.key != "item_log_probs" {
        compare(found?[member.key], member.value, "\(place).\(member.key)")
      }
    case .array(let elements):
      #expect(found?.array?.count == elements.count, "\(place)")
      for (index, (a, b)) in zip(found?.array ?? [], elements).enumerated() { compare(a, b, "\(place)[\(index)]") }
    case .number:
      let (a, b) = (found?.double ?? .nan, expected.double!)
      let isExact = ["log_token_reward", "log_flow", "log_reward"].contains { place.contains($0) }
      let tolerance = isExact ? 1e-12 : place.contains("gradient_norms") ? 1e-4 * abs(b) + 1e-6 : 1e-5 * max(1, abs(b))
      #expect(abs(a - b) < tolerance, "\(place): \(a), expected \(b)")
    default:
      #expect(found?.isNull == expected.isNull, "\(place)")
    }
  }
}
