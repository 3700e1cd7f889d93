import Foundation
import Testing

@testable import FlowerDist

@Suite struct RewardTableTests {
  /// Titles that begin others, that share their tokens, of one token, and of many.
  static let titles: [[Int32]] = [
    [5, 3, 9], [5, 3], [5, 3, 9], [5], [7, 7, 7, 7, 7], [7, 7, 7], [7, 7, 7, 8], [300, 5, 3], [5, 4], [9],
  ]
  static let weights: [Double] = [3, 2, 4, 1, 6, 5, 0.5, 8, 1, 2]

  private func table(granularity: Int, pieceSize: Int = 1 << 16) throws -> [String: [String: Double]] {
    let table = try RewardTable(
      titles: Self.titles, weights: Self.weights, terminator: 2, granularity: granularity)
    var text: [UInt8] = []
    try table.serialize(pieceSize: pieceSize) { piece in
      #expect(piece.count < pieceSize + 200)
      text += piece
    }
    let json = try JSON(parsing: text)
    #expect(json.object?.first?.key == "first" && json.object?.count == table.stateCount)
    return Dictionary(
      uniqueKeysWithValues: json.object!.map { state in
        (state.key, Dictionary(uniqueKeysWithValues: state.value.object!.map { ($0.key, $0.value.double!) }))
      })
  }

  /// Every title counts for each of its prefixes, as the definition says, without a tree.
  @Test(arguments: [1, 2, 3, 5, 150])
  func equalsBruteForce(granularity: Int) throws {
    var sums: [String: [String: Double]] = [:]
    for (title, weight) in zip(Self.titles, Self.weights) {
      var steps: [String] = []
      var rest = title[...]
      while !rest.isEmpty {
        steps.append(rest.prefix(granularity).map(String.init).joined(separator: "-"))
        rest = rest.dropFirst(granularity)
      }
      for (index, step) in (steps + ["2"]).enumerated() {
        let prefix = index == 0 ? "first" : steps[..<index].joined(separator: granularity == 1 ? "-" : "@")
        sums[prefix, default: [:]][step, default: 0] += weight
      }
    }
    let table = try table(granularity: granularity)
    #expect(Set(table.keys) == Set(sums.keys))
    for (prefix, steps) in sums {
      let total = steps.values.reduce(0, +)
      let expected = steps.mapValues { log($0 / total) }
      #expect(Set(table[prefix]!.keys) == Set(expected.keys), "\(prefix)")
      for (step, value) in expected { #expect(abs(table[prefix]![step]! - value) < 1e-14, "\(prefix) \(step)") }
    }
  }

  @Test func isTheSameInSmallPieces() throws {
    #expect(try table(granularity: 1, pieceSize: 1) == table(granularity: 1))
  }

  @Test func leavesOutTitlesThatNeverOccur() throws {
    let dataset = Dataset(name: "d", titles: ["ab", "abc", "x", "ab"], weights: [1, 3, 0, 2])
    let table = try RewardTable(dataset, tokenizer: .bytes)
    #expect(table.titleCount == 2 && table.stateCount == 4)
    let scratch = try ScratchDirectory()
    try table.write(to: scratch("rewards.json"))
    let expected = """
      {
        "first": {"97": 0.0},
        "97": {"98": 0.0},
        "97-98": {"99": \(log(0.5)), "10": \(log(0.5))},
        "97-98-99": {"10": 0.0}
      }

      """
    #expect(try String(decoding: File.contents(of: scratch("rewards.json")), as: UTF8.self) == expected)
    #expect(flowerError { try table.write(to: scratch("none/rewards.json")) }?.kind == .cannotWrite)
  }

  @Test func refuses() {
    let long = [Int32](repeating: 1, count: 5000)
    for titles in [[], [[]], [[1, 2]], [long]] as [[[Int32]]] {
      let weights = titles.map { _ in 1.0 }
      #expect(
        flowerError {
          _ = try RewardTable(titles: titles, weights: weights, terminator: 2, granularity: 1)
        }?.kind == .data)
    }
    #expect(
      flowerError { _ = try RewardTable(titles: [[1]], weights: [1], terminator: 2, granularity: 0) }?.kind == .usage)
  }
}
