import Foundation
import Testing

@testable import FlowerDist

@Suite struct CooccurrenceScoreTests {
  /// The formulas of the documentation on a dense matrix, `0.85^n` not rounded.
  private func dense(_ train: [Interaction], _ popularity: [Double], history: [Int32]) -> [Double] {
    let items = popularity.count
    var counts = [[Double]](repeating: [Double](repeating: 0, count: items), count: items)
    for example in train {
      for distance in 1...10 where distance <= example.history.count {
        let item = example.history[example.history.count - distance]
        counts[Int(item)][Int(example.item)] += pow(0.85, Double(distance - 1))
      }
    }
    var scores = [Double](repeating: 0, count: items)
    for age in 0..<min(10, history.count) {
      let row = counts[Int(history[history.count - 1 - age])]
      for item in 0..<items {
        scores[item] += pow(0.85, Double(age)) * (row[item] + 2 * popularity[item]) / (row.reduce(0, +) + 2)
      }
    }
    let total = scores.reduce(0, +)
    return total == 0 ? popularity : scores.map { $0 / total }
  }

  private func data() throws -> Dataset {
    let data = try Dataset.generated(titles: 40, examples: 400, seed: 11)
    // An item twice in one history, the target in its own history, more than ten items, none.
    let odd = [
      Interaction(history: [3, 4, 3, 5, 3], item: 3), Interaction(history: (0..<15).map { $0 % 7 }, item: 2),
      Interaction(history: [], item: 2),
    ]
    return Dataset(
      name: "", titles: data.titles, train: odd + data.train.dropFirst(odd.count), valid: data.valid, test: data.test)
  }

  private func isClose(_ a: [Double], _ b: [Double]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) < 1e-9 }
  }

  @Test func equalsTheFormulas() throws {
    let data = try data()
    let score = CooccurrenceScore(dataset: data)
    for example in data.test + data.train.prefix(3) {
      let scores = score.scores(history: example.history)
      #expect(isClose(scores, dense(data.train, score.popularity, history: example.history)))
      #expect(abs(scores.reduce(0, +) - 1) < 1e-12)
    }
  }

  @Test func aSmallCaseByHand() {
    let data = Dataset(
      name: "", titles: ["A", "B", "C"],
      train: [Interaction(history: [0, 1], item: 2), Interaction(history: [1], item: 0)], valid: [], test: [])
    // pop = 1/3, 2/3, 0; C_BC = 1, C_AC = .85, C_BA = 1.
    let score = CooccurrenceScore(dataset: data)
    let all: [Double] = [5.0 / 12, 4.0 / 12, 3.0 / 12]
    let others: [Double] = [2.0 / 9, 4.0 / 9, 3.0 / 9]
    #expect(isClose(score.scores(history: [1]), all))
    #expect(isClose(score.scores(history: [1], leavingOut: 0), others))
    #expect(isClose(score.scores(history: []), [1.0 / 3, 2.0 / 3, 0]))
  }

  /// To the last bit, whatever the order in which the counts were added up.
  @Test func leavingOutIsRebuildingWithoutTheExample() throws {
    let data = try data()
    let score = CooccurrenceScore(dataset: data)
    for index in [0, 1, 2, 3, 50, 100, 200, 319] {
      var others = data.train
      let example = others.remove(at: index)
      let rebuilt = CooccurrenceScore(popularity: score.popularity, train: others.reversed())
      let expected = rebuilt.scores(history: example.history)
      #expect(score.scores(history: example.history, leavingOut: example.item) == expected)
    }
  }

  @Test func withoutCountsPopularityIsUniform() {
    let data = Dataset(
      name: "", titles: ["A", "B"], train: [Interaction(history: [], item: 1)], valid: [], test: [])
    #expect(CooccurrenceScore(dataset: data).scores(history: [0]) == [0.5, 0.5])
  }
}
