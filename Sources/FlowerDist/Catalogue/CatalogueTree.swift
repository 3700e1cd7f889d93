/// The prefix tree of all titles, as arrays in depth-first order.
///
/// Node 0 is the root, the empty prefix. A node's first child is the next node; a child's next sibling is the end of its
/// subtree; children are sorted by token. A *leaf* is a distinct token sequence of the catalogue: it belongs to a node,
/// which may have children too (a title may end inside another). Leaves are numbered in depth-first order, so the
/// leaves that begin with a prefix are contiguous. An *option* of a node is a child, in order, and last the terminator
/// where a title ends.
public struct CatalogueTree: Sendable {
  /// The token that ends a title.
  public let terminator: Int32
  /// Last token of the prefix by node; -1 for the root.
  public private(set) var token: [Int32] = [-1]
  public private(set) var parent: [Int32] = [-1]
  /// One past the last node of the subtree.
  public private(set) var end: [Int32] = []
  /// Number of tokens of the prefix.
  public private(set) var depth: [Int32] = [0]
  /// The leaf that ends at the node, or -1.
  public private(set) var leaf: [Int32] = [-1]
  /// Number of options by node.
  public private(set) var optionCount: [Int32] = []
  /// Position among the siblings by node; 0 for the root.
  private var position: [Int32] = [0]
  /// Node by leaf.
  public private(set) var leafNode: [Int32] = []
  /// Leaf by item id; -1 for an item that is left out.
  public private(set) var leafOfItem: [Int32] = []
  /// Item ids by leaf, ascending.
  public private(set) var itemsOfLeaf: [[Int32]] = []

  /// SHA-256 of the tree, to compare ranks.
  var digest: String {
    var hash = SHA256()
    for numbers in [[terminator], token, parent, leaf, leafOfItem] {
      numbers.withUnsafeBytes { hash.update($0) }
    }
    return hash.finish()
  }

  public var nodeCount: Int { token.count }
  public var leafCount: Int { leafNode.count }

  /// Builds the tree of `titles` (tokens by item id). O(n log n) comparisons of titles, then linear in their tokens.
  ///
  /// Throws when a title has no tokens or contains the terminator; `name(item)` names it in the message.
  ///
  /// - Parameter isIncluded: whether the title of an item is in the tree; the others are not looked at.
  public init(
    titles: [[Int32]], terminator: Int32, name: (Int) -> String = { "item \($0)" },
    isIncluded: (Int) -> Bool = { _ in true }
  ) throws {
    self.terminator = terminator
    let included = titles.indices.filter(isIncluded)
    if included.isEmpty { throw FlowerError(.data, "the catalogue is empty: expected at least one title") }
    for item in included {
      let title = titles[item]
      if title.isEmpty {
        throw FlowerError(.data, "\(name(item)): a title without tokens; every title needs at least one")
      }
      if title.contains(terminator) {
        throw FlowerError(
          .data, "\(name(item)): the title contains the terminator token \(terminator), which only ends titles")
      }
    }
    let order = included.sorted { a, b in
      titles[a] == titles[b] ? a < b : titles[a].lexicographicallyPrecedes(titles[b])
    }
    leafOfItem = [Int32](repeating: -1, count: titles.count)
    var path: [Int32] = [0]
    // Children so far, by node of the path.
    var children: [Int32] = [0]
    var previous: [Int32]? = nil
    for item in order {
      let title = titles[item]
      if title != previous {
        // Keep the nodes of the prefix shared with the previous title, close the others, and open the rest.
        let shared = previous.map { zip($0, title).prefix { $0 == $1 }.count } ?? 0
        path.removeSubrange((shared + 1)...)
        children.removeSubrange((shared + 1)...)
        for index in shared..<title.count {
          token.append(title[index])
          parent.append(path.last!)
          position.append(children[index])
          depth.append(Int32(index + 1))
          leaf.append(-1)
          children[index] += 1
          path.append(Int32(token.count - 1))
          children.append(0)
        }
        leaf[Int(path.last!)] = Int32(leafNode.count)
        leafNode.append(path.last!)
        itemsOfLeaf.append([])
        previous = title
      }
      leafOfItem[item] = Int32(leafNode.count - 1)
      itemsOfLeaf[leafNode.count - 1].append(Int32(item))
    }
    end = (1...Int32(nodeCount)).map { $0 }
    optionCount = leaf.map { $0 >= 0 ? 1 : 0 }
    for node in stride(from: nodeCount - 1, to: 0, by: -1) {
      let p = Int(parent[node])
      end[p] = max(end[p], end[node])
      optionCount[p] += 1
    }
  }

  /// Whether the state has more than one option.
  public func isChoice(_ node: Int) -> Bool { optionCount[node] > 1 }

  /// The children of a node, in token order.
  public func children(of node: Int) -> Children { Children(end: end, upcoming: node + 1, last: Int(end[node])) }

  /// Siblings, each found at the end of the one before.
  public struct Children: Sequence, IteratorProtocol {
    fileprivate let end: [Int32]
    fileprivate var upcoming: Int
    fileprivate let last: Int

    public mutating func next() -> Int? {
      if upcoming >= last { return nil }
      defer { upcoming = Int(end[upcoming]) }
      return upcoming
    }
  }

  /// Tokens of a node's options: its children's, then the terminator where a title ends.
  public func optionTokens(of node: Int) -> [Int32] {
    var tokens = children(of: node).map { token[$0] }
    if leaf[node] >= 0 { tokens.append(terminator) }
    return tokens
  }

  /// Position of a child (or of the terminator, `child` nil) among the options of `node`.
  public func option(of node: Int, leadingTo child: Int?) -> Int {
    guard let child else { return Int(optionCount[node]) - 1 }
    precondition(Int(parent[child]) == node, "node \(child) is no child of node \(node)")
    return Int(position[child])
  }

  /// The node that an option leads to; `nil` for the terminator.
  public func child(of node: Int, option: Int) -> Int? {
    var index = 0
    for child in children(of: node) {
      if index == option { return child }
      index += 1
    }
    return nil
  }

  /// Nodes from the root to the leaf's node.
  public func path(toLeaf index: Int) -> [Int] {
    var nodes: [Int] = []
    var node = Int(leafNode[index])
    while node >= 0 {
      nodes.append(node)
      node = Int(parent[node])
    }
    return nodes.reversed()
  }

  /// The title's tokens, without the terminator.
  public func title(ofLeaf index: Int) -> [Int32] { path(toLeaf: index).dropFirst().map { token[$0] } }

  /// Sums over the items of each leaf. The last items may be missing and count as zero.
  public func leafSums(_ byItem: [Double]) -> [Double] {
    var sums = [Double](repeating: 0, count: leafCount)
    for (leaf, value) in zip(leafOfItem, byItem) where leaf >= 0 { sums[Int(leaf)] += value }
    return sums
  }

  /// The leaves of the items that are in the tree.
  public func leaves(of items: [Int32]) -> Set<Int32> { Set(items.lazy.map { leafOfItem[Int($0)] }.filter { $0 >= 0 }) }

  /// The flow of every prefix, F(s) = Σ w over the leaves that begin with s. O(nodes).
  public func flows(of weights: [Double]) -> [Double] {
    precondition(weights.count == leafCount)
    var flow = leaf.map { $0 >= 0 ? weights[Int($0)] : 0 }
    for node in stride(from: nodeCount - 1, to: 0, by: -1) { flow[Int(parent[node])] += flow[node] }
    return flow
  }

  /// Checks what the arrays promise: order, nesting, that items and leaves belong together and every childless node ends a title.
  public func checkInvariants() {
    precondition(
      [parent.count, end.count, depth.count, leaf.count, position.count].allSatisfy { $0 == nodeCount })
    var leaves: Int32 = 0
    for node in 0..<nodeCount {
      precondition(end[node] > node && end[node] <= nodeCount)
      var previous: Int32 = -1
      var options: Int32 = leaf[node] >= 0 ? 1 : 0
      for child in children(of: node) {
        precondition(Int(parent[child]) == node && depth[child] == depth[node] + 1 && end[child] <= end[node])
        precondition(token[child] > previous, "children are sorted by token")
        precondition(position[child] == options - (leaf[node] >= 0 ? 1 : 0), "children are numbered in their order")
        previous = token[child]
        options += 1
      }
      precondition(options == optionCount[node] && options > 0, "a state without options")
      if leaf[node] >= 0 {
        precondition(leaf[node] == leaves && Int(leafNode[Int(leaves)]) == node, "leaves are in depth-first order")
        leaves += 1
      }
    }
    precondition(Int(leaves) == leafCount)
    for (item, leaf) in leafOfItem.enumerated() where leaf >= 0 {
      precondition(itemsOfLeaf[Int(leaf)].contains(Int32(item)))
    }
  }
}
