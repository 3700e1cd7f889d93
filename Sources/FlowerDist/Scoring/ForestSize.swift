/// How large a forest will be, counted before it is grown.
struct ForestSize: Equatable {
  /// Tokens that are computed.
  var rows = 0
  /// Outputs that are read.
  var queries = 0
  /// Ancestors that the rows of branches keep, each of its own branch and itself.
  var pathRows = 0

  init() {}

  /// Of a sequence whose every token is predicted from those before it.
  init(sequence count: Int) {
    rows = count - 1
    queries = count - 1
  }

  /// Of a prompt and titles that branch off it, as ``TitleForest`` grows them. O(tokens of the titles).
  init(prompt count: Int, _ tree: CatalogueTree, _ titles: [(leaf: Int, support: Recipe.Objective.Support)]) {
    var grown: Set<Int> = [0]
    var read: Set<Int> = []
    for (leaf, support) in titles {
      let path = tree.path(toLeaf: leaf)
      let states = support == .vocabulary ? path : path.filter { tree.isChoice($0) }
      read.formUnion(states)
      guard let last = states.last else { continue }
      for node in path.prefix(through: Int(tree.depth[last])) where grown.insert(node).inserted {
        pathRows += Int(tree.depth[node])
      }
    }
    rows = count + grown.count - 1
    queries = read.count
  }

  static func + (a: ForestSize, b: ForestSize) -> ForestSize {
    var sum = a
    sum.rows += b.rows
    sum.queries += b.queries
    sum.pathRows += b.pathRows
    return sum
  }

  /// Bytes that scoring it takes, besides the weights and their gradient.
  func bytes(_ c: ModelConfiguration, training: Bool, _ arithmetic: Arithmetic) -> Int {
    Activations.bytes(c, rows: rows, queries: queries, keeping: training ? .everything : .nothing)
      + (training ? Transformer.backwardBytes(c, rows: rows) + 4 * queries * c.hiddenSize : 0)
      + Transformer.packedLayerBytes(c, rows: rows, arithmetic)
      + Head.vocabularyBytes(c, readouts: queries) + MemoryLayout<Int32>.stride * pathRows
  }
}
