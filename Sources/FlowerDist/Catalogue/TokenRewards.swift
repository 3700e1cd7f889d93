import Foundation

/// Rewards of the tokens under given leaf weights: r(y|s) = F(sy) / F(s), and r(⊤|s) = w(s) / F(s) where a title ends.
///
/// Their product along a title and its end is the item's reward, w / F(s_0).
public struct TokenRewards: Sendable {
  public let tree: CatalogueTree
  /// Weight by leaf, at least 0.
  public let weights: [Double]
  /// F(s) by node.
  public let flow: [Double]

  public init(_ tree: CatalogueTree, weights: [Double]) {
    self.tree = tree
    self.weights = weights
    flow = tree.flows(of: weights)
  }

  /// The share of each leaf, w / Σ w: the item distribution that the method aims at.
  public var target: [Double] { weights.map { $0 / flow[0] } }

  /// r of every option of a state, in order; they sum to one. All zero below a state of zero flow.
  public func rewards(at node: Int) -> [Double] {
    let total = flow[node]
    if total == 0 { return [Double](repeating: 0, count: Int(tree.optionCount[node])) }
    var result = tree.children(of: node).map { flow[$0] / total }
    if tree.leaf[node] >= 0 { result.append(weights[Int(tree.leaf[node])] / total) }
    return result
  }

  /// log r of each action on the way to a leaf, the terminator's last; they sum to log(w / F(s_0)).
  public func logRewards(toLeaf leaf: Int) -> [Double] {
    let path = tree.path(toLeaf: leaf)
    return path.indices.map { index in
      let next = index + 1 < path.count ? flow[path[index + 1]] : weights[leaf]
      return log(next / flow[path[index]])
    }
  }
}
