import Testing

@testable import FlowerDist

@Suite struct DrawsTests {
  static let weights: [Double] = [0, 3, 0, 1, 0.5, 8]
  /// Titles of 1 to 6 tokens.
  static let titles = weights.indices.map { [Int32](repeating: Int32($0) + 10, count: $0 + 1) }
  /// By position in the batch; the second example's own is drawn for it only as the target of another.
  static let targets = [5, 1, 1, 3]

  static func rewards() throws -> TokenRewards {
    TokenRewards(try CatalogueTree(titles: titles, terminator: 3), weights: weights)
  }

  static func sources(_ text: String, replay: ReplayBuffer = ReplayBuffer(.init())) throws -> DrawSources {
    DrawSources(
      try #require(MixtureTests.mixture(text)), tree: try rewards().tree, step: 0, progress: .init(), targets: targets,
      replay: replay)
  }

  /// The second of a batch of four.
  static func draws(_ sources: DrawSources, count: Int, place: Int32? = 7) throws -> [Draw] {
    let example = Example(
      index: 1, history: [], item: nil, prompt: [], place: place.map { ExamplePlace(.train, row: Int($0)) })
    return sources.draw(count, for: example, try rewards()) {
      CounterRandom(seed: 5, purpose: .draws, step: 6, example: 1, sample: UInt32($0))
    }
  }

  /// How often each leaf was drawn; the last place counts what the policy has to write.
  static func counts(_ draws: [Draw]) -> [Int] {
    var counts = [Int](repeating: 0, count: weights.count + 1)
    for draw in draws {
      #expect((draw.leaf == nil) == (draw.source == .policy))
      counts[draw.leaf ?? weights.count] += 1
    }
    return counts
  }

  static var replay: ReplayBuffer {
    var buffer = ReplayBuffer(.init())
    let visits: [(Int32, Int32, Double)] = [(7, 1, 2), (7, 4, 1), (8, 3, 50), (6, 5, 50), (7, 5, 0)]
    buffer.add(visits.map { .init(prompt: $0, leaf: $1, priority: $2) }, step: 1)
    return buffer
  }

  @Test(
    arguments: [
      ("weight", [0, 3, 0, 1, 0.5, 8, 0]), ("uniform", [0, 1, 0, 1, 1, 1, 0]), ("length", [0, 2, 0, 4, 5, 6, 0]),
      // Of the other three examples' next items, as often as they are there.
      ("targets", [0, 1, 0, 1, 0, 1, 0]), ("policy", [0, 0, 0, 0, 0, 0, 1]),
      ("coin", [0, 0.12 + 0.125, 0, 0.04 + 0.125, 0.02 + 0.125, 0.32 + 0.125, 0]),
      ("targets 2, policy 1", [0, 2, 0, 2, 0, 2, 3]), ("replay 0.75, policy 0.25", [0, 2, 0, 0, 1, 0, 1]),
      ("weight 0, uniform 1", [0, 1, 0, 1, 1, 1, 0]),
    ] as [(String, [Double])])
  func inProportion(text: String, expected: [Double]) throws {
    let counts = Self.counts(try Self.draws(Self.sources(text, replay: Self.replay), count: 40_000))
    if text == "policy" {
      #expect(counts.last == 40_000)
    } else {
      #expect(chiSquareDeviate(counts, expected) < 4, "\(counts)")
    }
  }

  @Test func sourcesAreSaid() throws {
    let draws = try Self.draws(Self.sources("weight 1, length 2, targets 3, policy 4"), count: 20_000)
    let counts = [Recipe.Trajectories.Source.weight, .length, .targets, .policy].map { source in
      draws.count { $0.source == source }
    }
    #expect(chiSquareDeviate(counts, [1, 2, 3, 4]) < 4)
  }

  /// A trajectory depends on its own stream only: not on how many there are.
  @Test func trajectoriesAreIndependent() throws {
    let many = try Self.draws(Self.sources("coin"), count: 50)
    #expect(try Self.draws(Self.sources("coin"), count: 7) == Array(many.prefix(7)))
  }

  /// Where the buffer has nothing of the prompt the others have its share; outside training it has nothing.
  @Test(arguments: [5, nil] as [Int32?]) func nothingToReplay(place: Int32?) throws {
    let draws = try Self.draws(
      Self.sources("replay 0.9, weight 0.05, policy 0.05", replay: Self.replay), count: 10_000, place: place)
    let counts = [Recipe.Trajectories.Source.replay, .weight, .policy].map { source in
      draws.count { $0.source == source }
    }
    #expect(counts[0] == 0)
    #expect(chiSquareDeviate(counts, [0, 1, 1]) < 4)
  }

  @Test func theOnlyTargetThereIs() throws {
    var sources = try Self.sources("targets")
    sources.targets = [3]
    let example = Example(index: 0, history: [], item: nil, prompt: [], place: nil)
    let draws = sources.draw(5, for: example, try Self.rewards()) {
      CounterRandom(seed: 5, purpose: .draws, sample: UInt32($0))
    }
    #expect(draws == [Draw](repeating: Draw(.targets, leaf: 3), count: 5))
  }
}
