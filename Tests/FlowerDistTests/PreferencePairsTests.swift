import Testing

@testable import FlowerDist

@Suite struct PreferencePairsTests {
  private static let draws: UInt32 = 40_000

  private func catalogue(_ dataset: Dataset, smoothing: Double = 1) throws -> Catalogue {
    var (prompt, reward) = (Recipe.Prompt(), Recipe.Reward())
    prompt.template = dataset.isDistribution ? "A title:" : "{history}:"
    reward.smoothing = smoothing
    return try Catalogue(dataset: dataset, tokenizer: .bytes, prompt: prompt, terminator: "\n", reward: reward)
  }

  private func objective(_ name: Recipe.Objective.Name, rejected: Int? = nil) -> Recipe.Objective {
    var objective = Recipe.Objective()
    objective.name = name
    objective.rejected = rejected
    return objective
  }

  private func random(_ k: UInt32) -> CounterRandom { CounterRandom(seed: 4, purpose: .pairs, example: k) }

  /// Titles A to E, A the target of a history in which the others occur 1 to 4 times.
  private var histories: Dataset {
    Dataset(
      name: "", titles: ["A", "B", "C", "D", "E"],
      train: [Interaction(history: [1, 2, 2, 3, 3, 3, 4, 4, 4, 4], item: 0)], valid: [], test: [])
  }

  @Test(arguments: [Recipe.Objective.Name.dpo, .sDPO, .dmpo, .rosePO]) func rejectsAnyButTheTarget(
    name: Recipe.Objective.Name
  ) throws {
    let catalogue = try catalogue(histories)
    let pairs = try PreferencePairs(objective(name), catalogue)
    let target = Int(catalogue.tree.leafOfItem[2])
    let expected = [.sDPO, .dmpo].contains(name) ? 3 : 1
    var counts = [[Int]](repeating: [Int](repeating: 0, count: 5), count: expected)
    for k in 0..<Self.draws {
      let leaves = pairs.draw(target: target, random(k))
      #expect(leaves.count == 1 + expected && leaves[0] == target)
      for (place, leaf) in leaves.dropFirst().enumerated() { counts[place][leaf] += 1 }
    }
    // By popularity: occurrences plus one.
    let share = (0..<5).map { leaf in
      leaf == target ? 0 : name == .rosePO ? catalogue.rewards.counts[leaf] + 1 : 1.0
    }
    for place in counts { #expect(chiSquareDeviate(place, share) < 4) }
  }

  /// Weights 1, 1, 2, 5, 5 (smoothed 2, 2, 3, 6, 6): three can be chosen; two are below the third, three below the last two.
  @Test func withoutHistoriesTheMorePopularWins() throws {
    let dataset = Dataset(name: "", titles: ["A", "B", "C", "D", "E"], weights: [5, 1, 2, 1, 5])
    let pairs = try PreferencePairs(objective(.dpo, rejected: 2), catalogue(dataset))
    var counts = [Int](repeating: 0, count: 25)
    for k in 0..<Self.draws {
      let leaves = pairs.draw(target: nil, random(k))
      for rejected in leaves.dropFirst() { counts[5 * leaves[0] + rejected] += 1 }
    }
    var share = [Double](repeating: 0, count: 25)
    for (chosen, rejected) in [(0, [1, 2, 3]), (2, [1, 3]), (4, [1, 2, 3])] {
      for other in rejected { share[5 * chosen + other] = 1 / Double(3 * rejected.count) }
    }
    #expect(chiSquareDeviate(counts, share) < 4)
  }

  @Test func nothingToCompare() throws {
    func error(_ name: Recipe.Objective.Name, _ dataset: Dataset, smoothing: Double = 1) -> FlowerError? {
      flowerError { _ = try PreferencePairs(objective(name), catalogue(dataset, smoothing: smoothing)) }
    }
    let single = error(.dpo, Dataset(name: "one", titles: ["A", "A"], weights: [1, 3]))
    #expect(single?.kind == .data && single?.description.contains("one: has one title only") == true)
    let equal = error(.dpo, Dataset(name: "flat", titles: ["A", "B"], weights: [3, 3]))
    #expect(equal?.description.contains("equally popular") == true)
    let train = [Interaction(history: [1, 1], item: 0)]
    let lonely = Dataset(name: "x", titles: ["A", "B", "C"], train: train, valid: [], test: [])
    #expect(error(.rosePO, lonely, smoothing: 0)?.description.contains("one title alone") == true)
    #expect(error(.rosePO, lonely) == nil && error(.dpo, lonely, smoothing: 0) == nil)
  }
}

@Suite struct GroupWeightsTests {
  /// Nine titles in eight groups, the first of two; each occurs as often as its place from the end says.
  @Test func sharesInHistoriesOverSharesOfTargets() throws {
    let history = (0..<9).flatMap { item in [Int32](repeating: Int32(item), count: 9 - item) }
    var train = [Interaction(history: history, item: 0), Interaction(history: [], item: 1)]
    train += [2, 2, 8, 8].map { Interaction(history: [], item: $0) }
    var prompt = Recipe.Prompt()
    prompt.template = "{history}:"
    let catalogue = try Catalogue(
      dataset: Dataset(name: "", titles: (0..<9).map { "T\($0)" }, train: train, valid: [], test: []),
      tokenizer: .bytes, prompt: prompt, terminator: "\n", reward: Recipe.Reward())
    let weights = catalogue.groupWeights
    func weight(_ item: Int) -> Double { weights[Int(catalogue.tree.leafOfItem[item])] }
    // 45 occurrences: 9 + 8 of the first group, whose titles are 2 of 6 targets.
    #expect(abs(weight(0) - 17.0 / 45 / (2.0 / 6)) < 1e-12 && weight(1) == weight(0))
    #expect(abs(weight(2) - 7.0 / 45 / (2.0 / 6)) < 1e-12)
    #expect(abs(weight(8) - 1.0 / 45 / (2.0 / 6)) < 1e-12)
    #expect(weight(3) == 0, "never a target")
  }
}
