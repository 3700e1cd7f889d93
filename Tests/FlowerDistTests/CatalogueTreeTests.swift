import Testing

@testable import FlowerDist

@Suite struct CatalogueTreeTests {
  static let terminator: Int32 = 3

  /// A random catalogue with its tree.
  static func random(_ seed: Int) throws -> (titles: [[Int32]], tree: CatalogueTree) {
    var random = SeededRandom(seed)
    let titles = random.titles(1 + seed * 7)
    return (titles, try CatalogueTree(titles: titles, terminator: terminator))
  }

  /// The tokens that lead to a node, read from parents alone.
  static func prefix(_ tree: CatalogueTree, _ node: Int) -> [Int32] {
    node == 0 ? [] : prefix(tree, Int(tree.parent[node])) + [tree.token[node]]
  }

  @Test(arguments: 0..<15) func holdsTheTitlesAndNothingElse(seed: Int) throws {
    let (titles, tree) = try Self.random(seed)
    tree.checkInvariants()
    let prefixes = Set(titles.flatMap { title in (0...title.count).map { Array(title.prefix($0)) } })
    #expect(tree.nodeCount == prefixes.count)
    let samePrefixes = Set((0..<tree.nodeCount).map { Self.prefix(tree, $0) }) == prefixes
    #expect(samePrefixes)
    let distinct = Set(titles).sorted { $0.lexicographicallyPrecedes($1) }
    let sameTitles = (0..<tree.leafCount).map { tree.title(ofLeaf: $0) } == distinct
    #expect(sameTitles)
    for (item, title) in titles.enumerated() {
      #expect(distinct[Int(tree.leafOfItem[item])] == title)
    }
    for (leaf, title) in distinct.enumerated() {
      #expect(tree.itemsOfLeaf[leaf] == titles.indices.filter { titles[$0] == title }.map(Int32.init))
      let path = tree.path(toLeaf: leaf)
      #expect(path.map { Int(tree.depth[$0]) } == Array(0...title.count))
      #expect(path.last == Int(tree.leafNode[leaf]))
    }
  }

  @Test(arguments: 0..<15) func optionsLeadToTheirChildren(seed: Int) throws {
    let (titles, tree) = try Self.random(seed)
    for node in 0..<tree.nodeCount {
      let prefix = Self.prefix(tree, node)
      let following = Set(titles.filter { $0.starts(with: prefix) }.map { $0.dropFirst(prefix.count).first })
      var expected = following.compactMap { $0 }.sorted()
      if following.contains(nil) { expected.append(Self.terminator) }
      #expect(tree.optionTokens(of: node) == expected)
      #expect(Int(tree.optionCount[node]) == expected.count && tree.isChoice(node) == (expected.count > 1))
      for option in expected.indices {
        let child = tree.child(of: node, option: option)
        #expect(tree.option(of: node, leadingTo: child) == option)
        #expect(child.map { tree.token[$0] } ?? Self.terminator == expected[option])
        #expect(child.map { Int(tree.parent[$0]) } ?? node == node)
      }
    }
  }

  @Test(arguments: 0..<15) func aFlowIsTheSumOverItsLeaves(seed: Int) throws {
    let (_, tree) = try Self.random(seed)
    var random = SeededRandom(seed + 100)
    let weights = random.doubles(tree.leafCount, in: -2...5).map { max($0, 0) }
    let flow = tree.flows(of: weights)
    let expected = (0..<tree.nodeCount).map { node in
      let prefix = Self.prefix(tree, node)
      return weights.indices.reduce(0) { $0 + (tree.title(ofLeaf: $1).starts(with: prefix) ? weights[$1] : 0) }
    }
    expectAgreement(flow, expected, tolerance: 1e-14)
  }

  /// As many siblings as a vocabulary has: a step that looks at all of them would take minutes here.
  @Test func aWideNodeIsPassedQuickly() throws {
    let count: Int32 = 100_000
    let tree = try CatalogueTree(titles: (4..<count + 4).map { [$0] }, terminator: Self.terminator)
    var titles = TitleForest(tree)
    _ = titles.addPrompt([1])
    let options = (0..<tree.leafCount).map {
      Trajectory(leaf: $0, prompt: 0, in: titles, support: .catalogue).transitions[0].option
    }
    let areInOrder = options == Array(0..<tree.leafCount)
    #expect(areInOrder)
  }

  @Test func oneTitleOfOneToken() throws {
    let tree = try CatalogueTree(titles: [[7]], terminator: 3)
    tree.checkInvariants()
    #expect(tree.nodeCount == 2 && tree.leafCount == 1)
    #expect(tree.optionTokens(of: 0) == [7] && tree.optionTokens(of: 1) == [3])
    #expect(!tree.isChoice(0) && !tree.isChoice(1) && tree.child(of: 1, option: 0) == nil)
  }

  @Test(
    arguments: [
      ([], "the catalogue is empty"), ([[1], []], "item 1: a title without tokens"),
      ([[1], [2], [4, 3, 1]], "item 2: the title contains the terminator token 3"),
      ([[3]], "item 0: the title contains"),
    ] as [([[Int32]], String)])
  func refuses(titles: [[Int32]], message: String) {
    let error = flowerError { _ = try CatalogueTree(titles: titles, terminator: 3) }
    #expect(error?.kind == .data)
    #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "no error")")
  }

  @Test func namesTheTitleAsItIsTold() {
    let error = flowerError {
      _ = try CatalogueTree(titles: [[1], []], terminator: 3) { ["\"Heat\"", "\"Alien\""][$0] }
    }
    #expect(error?.description.hasPrefix("\"Alien\": a title without tokens") == true)
  }
}
