import Foundation
import Testing

@testable import FlowerDist

@Suite struct ReplayBufferTests {
  typealias Visit = ReplayBuffer.Visit

  static func recipe(capacity: Int = 100, staleness: Int = 1000, exponent: Double = 1) -> Recipe.Replay {
    var recipe = Recipe.Replay()
    (recipe.capacity, recipe.staleness, recipe.priorityExponent) = (capacity, staleness, exponent)
    return recipe
  }

  /// What a buffer is, kept as a list: the rules of `add` one after the other.
  struct Plain {
    var recipe: Recipe.Replay
    var entries: [(visit: Visit, step: Int)] = []

    mutating func add(_ visits: [Visit], step: Int) {
      for visit in visits {
        entries.removeAll { $0.visit.prompt == visit.prompt && $0.visit.leaf == visit.leaf }
        entries.append((visit, step))
      }
      entries.removeAll { step - $0.step >= recipe.staleness }
      entries.sort { ($0.visit.prompt, $0.visit.leaf) < ($1.visit.prompt, $1.visit.leaf) }
      while entries.count > recipe.capacity {
        let least = entries.indices.min { a, b in
          (entries[a].visit.priority, entries[a].step, a) < (entries[b].visit.priority, entries[b].step, b)
        }
        entries.remove(at: least!)
      }
    }
  }

  @Test(arguments: [(1, 3), (5, 2), (40, 1), (40, 7), (1000, 1000)])
  func followsItsRules(capacity: Int, staleness: Int) {
    let recipe = Self.recipe(capacity: capacity, staleness: staleness)
    var random = SeededRandom(capacity)
    var (buffer, plain) = (ReplayBuffer(recipe), Plain(recipe: recipe))
    for step in 1...60 {
      let visits = (0..<Int.random(in: 0...30, using: &random)).map { _ in
        // Few different priorities, so that there are equals.
        Visit(
          prompt: Int32.random(in: 0..<3, using: &random), leaf: Int32.random(in: 0..<20, using: &random),
          priority: Double(Int.random(in: 0..<4, using: &random)))
      }
      buffer.add(visits, step: step)
      plain.add(visits, step: step)
      #expect(buffer.entries == plain.entries.map { .init($0.visit, step: $0.step) })
      #expect(buffer.entries.count <= capacity && buffer.entries.allSatisfy { step + 1 - $0.step <= staleness })
    }
  }

  @Test(arguments: [0, 0.5, 1, 3]) func drawsByPowersOfThePriority(exponent: Double) throws {
    var buffer = ReplayBuffer(Self.recipe(exponent: exponent))
    let priorities = [4, 0.25, 1, 2.5]
    buffer.add(priorities.enumerated().map { Visit(prompt: 3, leaf: Int32($0 * 2), priority: $1) }, step: 1)
    buffer.add([Visit(prompt: 2, leaf: 1, priority: 100), Visit(prompt: 4, leaf: 1, priority: 100)], step: 2)
    let (titles, draws) = try #require(buffer.draws(prompt: 3))
    #expect(titles.map(\.visit.leaf) == [0, 2, 4, 6])
    var counts = [Int](repeating: 0, count: 4)
    let random = CounterRandom(seed: 3, purpose: .draws)
    for position in 0..<20_000 as Range<UInt64> { counts[draws.leaf(random.uniform(position))] += 1 }
    #expect(chiSquareDeviate(counts, priorities.map { pow($0, exponent) }) < 4)
    #expect(buffer.draws(prompt: 5) == nil && buffer.draws(prompt: -1) == nil)
  }

  @Test func extremePriorities() throws {
    for priorities in [[0, 0, 0], [1e308, 1e308, 1], [1e-320, 0, 1e-320]] {
      var buffer = ReplayBuffer(Self.recipe(exponent: 10))
      buffer.add(priorities.enumerated().map { Visit(prompt: 0, leaf: Int32($0), priority: $1) }, step: 1)
      let (titles, draws) = try #require(buffer.draws(prompt: 0))
      for uniform in [0, 0.5, 1.0.nextDown] { #expect(titles.indices.contains(draws.leaf(uniform))) }
    }
  }

  @Test func visitsCrossRanks() {
    let visits = [Visit(prompt: 7, leaf: 1 << 30, priority: 0.1), Visit(prompt: 0, leaf: 0, priority: .pi)]
    #expect(Visit.visits(Visit.bytes(visits)) == visits)
    #expect(Visit.visits(Visit.bytes([])) == [])
  }
}

@Suite struct ReplayFileTests {
  static let recipe = ReplayBufferTests.recipe(capacity: 3000)

  private func read(_ scratch: ScratchDirectory, capacity: Int = 3000) throws -> ReplayBuffer {
    try ReplayFile.read(
      ReplayBufferTests.recipe(capacity: capacity), directory: scratch.path, prompts: 50, leaves: 100, step: 9)
  }

  @Test(arguments: [0, 1, 2500]) func roundTrip(count: Int) throws {
    var random = SeededRandom(count)
    var buffer = ReplayBuffer(Self.recipe)
    for step in 1...9 {
      buffer.add(
        (0..<count / 9 + min(count, 1)).map {
          .init(
            prompt: Int32($0 % 50), leaf: Int32.random(in: 0..<100, using: &random),
            priority: Double.random(in: 0...1e-3, using: &random))
        }, step: step)
    }
    let scratch = try ScratchDirectory()
    try Directory.create(scratch("trainer"))
    try ReplayFile.write(buffer, directory: scratch.path)
    #expect(try read(scratch) == buffer)
  }

  @Test(arguments: [
    (#"{"prompt":0,"leaf":0,"step":1}"#, ":2: expected \"prompt\" below 50"),
    (#"{"prompt":50,"leaf":0,"step":1,"priority":1}"#, ":2: expected"),
    (#"{"prompt":-1,"leaf":0,"step":1,"priority":1}"#, ":2: expected"),
    (#"{"prompt":1,"leaf":100,"step":1,"priority":1}"#, ":2: expected"),
    (#"{"prompt":1,"leaf":99999999999999999999,"step":1,"priority":1}"#, ":2: expected"),
    (#"{"prompt":1,"leaf":3,"step":10,"priority":1}"#, ":2: expected"),
    (#"{"prompt":1,"leaf":3,"step":1,"priority":-1}"#, ":2: expected"),
    (#"{"prompt":1,"leaf":3,"step":1,"priority":1e999}"#, ":2: expected"),
    (#"{"prompt":1,"leaf":3,"step":1,"priority":null}"#, ":2: expected"), ("[1]", ":2: expected"), ("{", ":2:"),
    (#"{"prompt":0,"leaf":5,"step":1,"priority":1}"#, ": expected lines ascending"),
    (#"{"prompt":0,"leaf":4,"step":1,"priority":1}"#, ": expected lines ascending"),
    (
      #"{"prompt":0,"leaf":6,"step":1,"priority":1}"# + "\n" + #"{"prompt":0,"leaf":7,"step":1,"priority":1}"#,
      ":3: has more than 2 lines"
    ),
  ])
  func refuses(line: String, message: String) throws {
    let scratch = try ScratchDirectory()
    try scratch.write(#"{"prompt":0,"leaf":5,"step":1,"priority":0.5}"# + "\n\(line)\n", ReplayFile.name)
    let error = flowerError { _ = try read(scratch, capacity: 2) }
    #expect(error?.kind == .data)
    #expect(error?.description.contains(ReplayFile.name + message) == true, "\(error?.description ?? "accepted")")
  }

  @Test func missing() throws {
    let scratch = try ScratchDirectory()
    #expect(flowerError { _ = try read(scratch) }?.kind == .data)
  }
}
