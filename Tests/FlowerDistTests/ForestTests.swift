import Testing

@testable import FlowerDist

@Suite struct ForestTests {
  /// What each row sees, in order, must be its whole sequence.
  @Test func rowsSeeTheirSequences() {
    var forest = Forest()
    var sequences: [[Int32]] = []
    var random = SeededRandom(2)
    for _ in 0..<6 {
      let prompt = (0..<Int.random(in: 1...8, using: &random)).map { _ in Int32.random(in: 0..<99, using: &random) }
      let last = forest.addTrunk(prompt)
      for length in 1...prompt.count { sequences.append(Array(prompt.prefix(length))) }
      #expect(last == sequences.count - 1)
      for _ in 0..<20 {
        // Anywhere in any tree so far, in trunks too.
        let parent = Int.random(in: 0..<forest.rowCount, using: &random)
        let token = Int32.random(in: 0..<99, using: &random)
        #expect(forest.addRow(token, after: parent) == sequences.count)
        sequences.append(sequences[parent] + [token])
      }
    }
    for row in 0..<forest.rowCount {
      let start = Int(forest.trunkStart[row])
      let trunk = (start..<start + Int(forest.trunkCount[row])).map { forest.tokens[$0] }
      let branch = forest.pathRows[forest.pathStart[row]..<forest.pathStart[row + 1]].map { forest.tokens[Int($0)] }
      #expect(trunk + branch == sequences[row])
      #expect(Int(forest.positions[row]) == sequences[row].count - 1)
    }
  }

  @Test func aRowIsReadOnce() {
    var forest = Forest()
    let last = forest.addTrunk([1, 2, 3])
    #expect(forest.read(last) == 0 && forest.read(0) == 1 && forest.read(last) == 0)
    #expect(forest.queryRows == [2, 0])
    forest.removeAll()
    #expect(forest.rowCount == 0 && forest.queryCount == 0)
    #expect(forest.addTrunk([1]) == 0 && forest.addRow(2, after: 0) == 1)
  }

  /// Over the catalogue no row is spent on what is certain; over the vocabulary every state is read.
  @Test(arguments: 0..<10) func titlesShareRows(seed: Int) throws {
    let (_, tree) = try CatalogueTreeTests.random(seed)
    let leaves = (0..<tree.leafCount).map { tree.title(ofLeaf: $0) }
    var choices = TitleForest(tree)
    var everything = TitleForest(tree)
    for titles in 0..<2 {
      _ = choices.addPrompt([9, Int32(titles)])
      _ = everything.addPrompt([9, Int32(titles)])
      for leaf in leaves.indices.shuffled() {
        choices.addTitle(prompt: titles, leaf: leaf, support: .catalogue)
        everything.addTitle(prompt: titles, leaf: leaf, support: .vocabulary)
      }
    }
    // A prefix needs a row if something is left to choose after it.
    let open = (1..<tree.nodeCount).count { node in
      leaves.count { $0.starts(with: CatalogueTreeTests.prefix(tree, node)) } > 1
    }
    let choiceCount = (0..<tree.nodeCount).count { tree.isChoice($0) }
    #expect(choices.forest.rowCount == 2 * (2 + open) && choices.forest.queryCount == 2 * choiceCount)
    #expect(everything.forest.rowCount == 2 * (2 + tree.nodeCount - 1))
    #expect(everything.forest.queryCount == 2 * tree.nodeCount)
    for node in 0..<tree.nodeCount {
      let scores = choices.scores(prompt: 1, node: node, support: .catalogue)
      #expect((scores != nil) == tree.isChoice(node))
      #expect(scores.map { $0.count == tree.optionCount[node] } ?? true)
    }
  }
}
