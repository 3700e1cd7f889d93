import Foundation
import Testing

@testable import FlowerDist

/// The Qwen2.5 vocabulary and what was published with it, which are not part of this repository.
///
/// They are looked for in the directory that FLOWERDIST_QWEN_GOLDENS names, else in `.cache/qwen2.5`: `qwen.tiktoken` (from
/// package `dashscope` 2.0.2 of PyPI, `dashscope/resources/qwen.tiktoken`), `synthetic_goldens.jsonl`,
/// `prompt_goldens.jsonl`, and directories with `title_counts.jsonl` and `golden_token_distribution.json` (or `…_n5.json`
/// for runs of 5 tokens, and so on).
private enum QwenGoldens {
  static let directory: String = {
    let repository = URL(fileURLWithPath: #filePath).pathComponents.dropLast(3)
    return ProcessInfo.processInfo.environment["FLOWERDIST_QWEN_GOLDENS"]
      ?? NSString.path(withComponents: repository + [".cache/qwen2.5"])
  }()
  static let rankFile = "\(directory)/qwen.tiktoken"
  static let areThere = File.exists(rankFile)
  static let tokenizer = try! Tokenizer(contentsOf: rankFile)

  static func lines(_ file: String) throws -> [JSON] {
    let lines = try LineReader("\(directory)/\(file)")
    var result: [JSON] = []
    while let line = try lines.next() { result.append(try JSON(parsing: line)) }
    return result
  }

  /// Directory and granularity of every table of token rewards.
  static let tables: [(directory: String, granularity: Int)] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.sorted().flatMap { name in
      [1, 5, 10, 150].map { ("\(directory)/\(name)", $0) }.filter {
        FileManager.default.fileExists(atPath: goldenTable($0.0, $0.1))
      }
    }
  }()

  static func goldenTable(_ directory: String, _ granularity: Int) -> String {
    "\(directory)/golden_token_distribution\(granularity == 1 ? "" : "_n\(granularity)").json"
  }
}

@Suite(
  .enabled(
    if: QwenGoldens.areThere,
    "needs qwen.tiktoken and goldens in FLOWERDIST_QWEN_GOLDENS or .cache/qwen2.5: see QwenGoldenTests.swift"))
struct QwenGoldenTests {
  @Test func rankFile() throws {
    let digest = try SHA256.hex(of: File(reading: QwenGoldens.rankFile))
    #expect(digest == "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186")
    #expect(QwenGoldens.tokenizer.vocabularySize == 151_643)
    #expect(QwenGoldens.tokenizer.token(for: "\n") == 198)
  }

  @Test func readsBackAsTokenizerJSON() throws {
    let scratch = try ScratchDirectory()
    try QwenGoldens.tokenizer.write(to: scratch("tokenizer.json"))
    #expect(try Tokenizer(contentsOf: scratch("tokenizer.json")) == QwenGoldens.tokenizer)
  }

  @Test func hardTexts() throws {
    for line in try QwenGoldens.lines("synthetic_goldens.jsonl") {
      let text = try #require(line["text"]?.string)
      #expect(QwenGoldens.tokenizer.encode(text) == ids(line["tokens"]), "\(text)")
    }
  }

  @Test func prompts() throws {
    let tokenizer = QwenGoldens.tokenizer
    for line in try QwenGoldens.lines("prompt_goldens.jsonl") {
      let input = try #require(line["instruction"]?.string) + #require(line["prompt"]?.string)
      let target = try #require(line["target"]?.string)
      #expect(tokenizer.encode(input) == ids(line["input_tokens"]))
      #expect(tokenizer.encode(target) == ids(line["target_tokens"]))
      let joint = tokenizer.encode(input) + tokenizer.encode(target)
      #expect((tokenizer.encode(input + target) == joint) == line["joint_same"]?.bool)
    }
  }

  @Test(arguments: QwenGoldens.tables)
  func tokenRewards(directory: String, granularity: Int) throws {
    let table = try RewardTable(
      Dataset(directory: directory), tokenizer: QwenGoldens.tokenizer, granularity: granularity)
    let scratch = try ScratchDirectory()
    try table.write(to: scratch("rewards.json"))
    let expected = try states(QwenGoldens.goldenTable(directory, granularity))
    let actual = try states(scratch("rewards.json"))
    #expect(Set(actual.keys) == Set(expected.keys))
    for (prefix, steps) in expected {
      let found = try #require(actual[prefix])
      #expect(Set(found.keys) == Set(steps.keys), "\(prefix)")
      for (step, value) in steps { #expect(abs(found[step, default: .nan] - value) < 1e-12, "\(prefix) \(step)") }
    }
  }

  private func states(_ path: String) throws -> [String: [String: Double]] {
    let states = try #require(try JSON(contentsOf: path).object)
    return Dictionary(
      uniqueKeysWithValues: states.map { state in
        (state.key, Dictionary(uniqueKeysWithValues: state.value.object!.map { ($0.key, $0.value.double!) }))
      })
  }

  private func ids(_ json: JSON?) -> [Int32]? { json?.array?.map { Int32($0.int!) } }
}
