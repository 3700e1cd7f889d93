import Testing

@testable import FlowerDist

struct TrainerStateTests {
  private static func state(_ recipe: Recipe = Recipe()) -> TrainerState {
    TrainerState(
      step: 9, seconds: 1.5, ranks: 2, course: RunCourse(recipe, data: "ab"), best: 0.5, bestStep: 4,
      validationsSinceBest: 3,
      progress: .init(falls: 1, loss: 0.25, count: 2), skipped: .init(all: 2, inARow: 1))
  }

  private static func written(_ scratch: ScratchDirectory) throws -> String {
    try Directory.create(scratch("trainer"))
    try state().write(directory: scratch.path)
    return String(decoding: try File.contents(of: scratch(TrainerState.fileName)), as: UTF8.self)
  }

  @Test func readsAsWritten() throws {
    let scratch = try ScratchDirectory()
    _ = try Self.written(scratch)
    #expect(try TrainerState(directory: scratch.path) == Self.state())
  }

  /// The next step would count beyond what an integer holds.
  @Test(arguments: [
    ("validations_since_best\": 3", "validations_since_best\": 9223372036854775807"),
    ("validations_since_best\": 3", "validations_since_best\": -1"),
    ("\"step\": 9", "\"step\": -9"), ("\"ranks\": 2", "\"ranks\": 9223372036854775807"),
    ("\"falls\": 1", "\"falls\": -1"), ("\"count\": 2", "\"count\": 9223372036854775807"),
    ("\"in_a_row\": 1", "\"in_a_row\": 3"), ("\"all\": 2", "\"all\": 10"),
  ])
  func countsOutOfRange(old: String, new: String) throws {
    let scratch = try ScratchDirectory()
    let text = try Self.written(scratch)
    #expect(text.contains(old))
    try scratch.write(text.replacing(old, with: new), TrainerState.fileName)
    let error = flowerError { _ = try TrainerState(directory: scratch.path) }
    #expect(error?.description.contains("out of range") == true, "\(error?.description ?? "accepted")")
  }

  @Test func differencesAreShort() throws {
    let keys = (0..<1000).map { JSON.Member("\u{1B}\($0)" + String(repeating: "k", count: 500), "\n") }
    let fields = try JSONFields(["data_sha256": "ab", "recipe": .object(keys)], path: "state.json")
    let found = RunCourse(Recipe(), data: "ab").differences(from: try RunCourse(fields))
    #expect(found.count == 21 && found.last == "980 more keys")
    #expect(found.allSatisfy { $0.isPrintable && $0.count < 300 })
  }
}
