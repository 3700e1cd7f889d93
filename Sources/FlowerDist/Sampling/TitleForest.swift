/// The forest of a micro-batch, grown along the catalogue's tree: which rows titles need, and where their states are read.
///
/// Paths of one prompt share the rows of their common prefixes. Over the catalogue a state is read only where there is a
/// choice, and a title needs rows only up to its last real choice; over the vocabulary every state is read.
public struct TitleForest: Sendable {
  public let tree: CatalogueTree
  public private(set) var forest = Forest()
  public private(set) var readouts = Readouts()

  /// Row by node, and where the log-probabilities of a node's options begin, for one prompt.
  private struct Branches: Sendable {
    var row: [Int: Int]
    var options: [Int: Int] = [:]
    var vocabulary: [Int: Int] = [:]
  }

  private var branches: [Branches] = []
  /// Index of the list of option tokens by node.
  private var setOfNode: [Int: Int] = [:]
  /// The same with the terminator behind the options, for nodes where no title ends.
  private var openSetOfNode: [Int: Int] = [:]

  public init(_ tree: CatalogueTree) { self.tree = tree }

  public mutating func removeAll() {
    forest.removeAll()
    readouts.removeAll()
    branches.removeAll(keepingCapacity: true)
    setOfNode.removeAll(keepingCapacity: true)
    openSetOfNode.removeAll(keepingCapacity: true)
  }

  public var promptCount: Int { branches.count }

  /// Adds a prompt (at least one token) and returns its index.
  public mutating func addPrompt(_ tokens: [Int32]) -> Int {
    branches.append(Branches(row: [0: forest.addTrunk(tokens)]))
    return branches.count - 1
  }

  /// Adds prompts of which each begins like the last one, as far as that saves rows, and returns the index of the first.
  ///
  /// The last prompt is the trunk; where another one leaves it, the rest of it branches off. A prompt that has less than
  /// half of its tokens in common with it has a trunk of its own.
  public mutating func addPrompts(_ prompts: [[Int32]]) -> Int {
    let first = branches.count
    guard let trunk = prompts.last else { return first }
    let end = forest.addTrunk(trunk)
    for prompt in prompts.dropLast() {
      let common = zip(prompt, trunk).prefix { $0 == $1 }.count
      if common < prompt.count - common {
        _ = addPrompt(prompt)
        continue
      }
      var row = end - trunk.count + common
      for token in prompt[common...] { row = forest.addRow(token, after: row) }
      branches.append(Branches(row: [0: row]))
    }
    branches.append(Branches(row: [0: end]))
    return first
  }

  /// Makes the state readable: adds the rows of its prefix that are missing, and the readout unless it is there.
  ///
  /// Over the catalogue a state without a choice is not read (and needs no row). Over the vocabulary the terminator is
  /// read at every state, also where no title ends.
  public mutating func read(prompt: Int, node: Int, support: Recipe.Objective.Support) {
    switch support {
    case .catalogue:
      if !tree.isChoice(node) || branches[prompt].options[node] != nil { return }
    case .vocabulary:
      if branches[prompt].vocabulary[node] != nil { return }
    }
    let query = forest.read(row(prompt: prompt, node: node))
    let set = tokenSet(of: node, support: support)
    switch support {
    case .catalogue:
      branches[prompt].options[node] = readouts.add(query: query, set: set, support: .options)
    case .vocabulary:
      branches[prompt].vocabulary[node] = readouts.add(query: query, set: set, support: .vocabulary)
    }
  }

  /// The list of the tokens that are read at a state.
  private mutating func tokenSet(of node: Int, support: Recipe.Objective.Support) -> Int {
    let isOpen = support == .vocabulary && tree.leaf[node] < 0
    if let known = isOpen ? openSetOfNode[node] : setOfNode[node] { return known }
    let set = readouts.addSet(tree.optionTokens(of: node) + (isOpen ? [tree.terminator] : []))
    if isOpen { openSetOfNode[node] = set } else { setOfNode[node] = set }
    return set
  }

  /// Makes every state of a title readable.
  public mutating func addTitle(prompt: Int, leaf: Int, support: Recipe.Objective.Support) {
    for node in tree.path(toLeaf: leaf) { read(prompt: prompt, node: node, support: support) }
  }

  private mutating func row(prompt: Int, node: Int) -> Int {
    if let row = branches[prompt].row[node] { return row }
    var missing = [node]
    while branches[prompt].row[Int(tree.parent[missing.last!])] == nil {
      missing.append(Int(tree.parent[missing.last!]))
    }
    var row = branches[prompt].row[Int(tree.parent[missing.last!])]!
    for node in missing.reversed() {
      row = forest.addRow(tree.token[node], after: row)
      branches[prompt].row[node] = row
    }
    return row
  }

  /// The output of a state that is read.
  func query(prompt: Int, node: Int) -> Int? { branches[prompt].row[node].flatMap { forest.query(of: $0) } }

  /// Indices of the log-probabilities of a state's options; `nil` where the state is not read.
  public func scores(prompt: Int, node: Int, support: Recipe.Objective.Support) -> Range<Int>? {
    let offset = support == .catalogue ? branches[prompt].options[node] : branches[prompt].vocabulary[node]
    return offset.map { $0..<$0 + Int(tree.optionCount[node]) }
  }

  /// Index of log π(⊤|s); `nil` where the state is not read, and over the catalogue where no title ends.
  public func terminatorScore(prompt: Int, node: Int, support: Recipe.Objective.Support) -> Int? {
    guard let options = scores(prompt: prompt, node: node, support: support) else { return nil }
    if tree.leaf[node] >= 0 { return options.upperBound - 1 }
    return support == .vocabulary ? options.upperBound : nil
  }
}
