import Testing

@testable import FlowerDist

@Suite struct GeneratedDatasetTests {
  @Test func theSameNumbersGiveTheSameData() throws {
    let data = try Dataset.generated(titles: 50, examples: 300, seed: 1)
    #expect(try Dataset.generated(titles: 50, examples: 300, seed: 1).digest == data.digest)
    #expect(try Dataset.generated(titles: 50, examples: 300, seed: 2).digest != data.digest)
  }

  @Test(arguments: [2, 3, 100, 3000])
  func titlesAreDistinctAndShareBeginnings(count: Int) throws {
    let data = try Dataset.generated(titles: count, examples: 0, seed: 7)
    #expect(data.titles.count == count)
    #expect(data.distinctTitles == count)
    #expect(data.titles.allSatisfy { title in title.utf8.allSatisfy { $0 == 0x20 || ($0 | 0x20) >= 0x61 } })
    guard count >= 100 else { return }
    #expect(data.problems().contains { $0.kind == .prefixTitles && $0.count > count / 10 })
    #expect(data.titles.allSatisfy { $0.utf8.count <= 40 })
  }

  @Test func popularityFollowsZipfsLaw() throws {
    let data = try Dataset.generated(titles: 100, examples: 0, seed: 3)
    #expect(data.isDistribution)
    #expect(data.counts.sorted(by: >).prefix(4) == [1000, 500, 333, 250])
    #expect(data.counts.min() == 10)
    // Popularity has nothing to do with the order of the titles.
    #expect(data.counts.firstIndex(of: 1000) != 0)
  }

  @Test(arguments: [10, 11, 999])
  func examplesAreSplit(examples: Int) throws {
    let data = try Dataset.generated(titles: 40, examples: examples, seed: 5)
    let counts = Dataset.Split.allCases.map { data[$0].count }
    #expect(counts == [examples * 8 / 10, examples * 9 / 10 - examples * 8 / 10, examples - examples * 9 / 10])
    #expect(data.train.allSatisfy { !$0.history.isEmpty && $0.history.count <= 10 })
  }

  @Test func impossibleNumbersAreRefused() {
    for (titles, examples) in [(1, 0), (-1, 0), (.max, 0), (10, 9), (10, -1), (10, .max)] {
      let error = #expect(throws: FlowerError.self) {
        try Dataset.generated(titles: titles, examples: examples, seed: 1)
      }
      #expect(error?.kind == .usage)
    }
  }

  @Test func historiesPredictTargets() throws {
    let data = try Dataset.generated(titles: 200, examples: 3000, seed: 1)
    let score = CooccurrenceScore(dataset: data)
    func hits(_ scores: (Interaction) -> [Double]) -> Int {
      data.test.count { example in
        let scores = scores(example)
        return scores.count { $0 > scores[Int(example.item)] } < 10
      }
    }
    let popular = hits { _ in score.popularity }
    let personal = hits { score.scores(history: $0.history) }
    #expect(Double(personal) > 1.5 * Double(popular), "\(personal) and \(popular) of \(data.test.count)")
  }
}
