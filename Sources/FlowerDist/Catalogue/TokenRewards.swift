import Foundation

/// Rewards of the tokens under given leaf weights: r(y|s) = F(sy) / F(s), and r(⊤|s) = w(s) / F(s) where a title ends.
///
/// Their product along a title and its end is the item's reward, w / F(s_0).
///
/// Under the published flow rule every log r of a trajectory is changed by the score of the leaf that it ends in
/// (``LeafRewards/Terms``): the reward belongs to the trajectory, not to the state, and two trajectories disagree about
/// the beginning that they share. The product along a title is then R and does not add up to one over the leaves, so
/// that F(s_0) = Σ R.
public struct TokenRewards: Sendable {
  public let tree: CatalogueTree
  /// By leaf, at least 0: in proportion to these are items to be generated. Under flow rule `published` these are the R,
  /// in units of the largest.
  public let weights: [Double]
  /// F(s) by node, of the weights that are summed up the tree.
  public let flow: [Double]
  /// log F(s_0): 0 under flow rule `tree`, whose rewards are normalised.
  public let logTotal: Double
  private let leaves: LeafRewards

  public init(_ tree: CatalogueTree, weights: [Double]) { self.init(tree, LeafRewards(weights: weights)) }

  public init(_ tree: CatalogueTree, _ leaves: LeafRewards) {
    self.tree = tree
    self.leaves = leaves
    let flow = tree.flows(of: leaves.weights)
    self.flow = flow
    guard let terms = leaves.terms else {
      weights = leaves.weights
      logTotal = 0
      return
    }
    // The log-rewards of the actions on the way to a leaf add up to log(w / F) before they are changed.
    let logRewards = leaves.weights.indices.map { leaf -> Double in
      let (weight, actions) = (leaves.weights[leaf], Double(tree.depth[Int(tree.leafNode[leaf])] + 1))
      return weight > 0 ? terms.factors[leaf] * log(weight / flow[0]) + terms.offsets[leaf] * actions : -.infinity
    }
    let largest = logRewards.max()!
    weights = Self.weights(logRewards)
    logTotal = largest + log(logRewards.reduce(0) { $0 + exp($1 - largest) })
  }

  /// Weights in units of the largest: no exponents make all of them zero, or one infinite. A weight that underflows would
  /// make a title unreachable, which a logarithm above -∞ promises that it is not.
  static func weights(_ logWeights: [Double]) -> [Double] {
    let largest = logWeights.max()!
    return logWeights.map { $0 == -.infinity ? 0 : max(exp($0 - largest), 1e-300) }
  }

  /// The share of each leaf, w / Σ w: the item distribution that the method aims at.
  public var target: [Double] {
    let total = leaves.terms == nil ? flow[0] : weights.reduce(0, +)
    return weights.map { $0 / total }
  }

  /// r of every option of a state, in order; they sum to one. All zero below a state of zero flow. These are rewards of
  /// states: what the published rule makes of them depends on where a trajectory ends.
  public func rewards(at node: Int) -> [Double] {
    let total = flow[node]
    if total == 0 { return [Double](repeating: 0, count: Int(tree.optionCount[node])) }
    var result = tree.children(of: node).map { flow[$0] / total }
    if tree.leaf[node] >= 0 { result.append(leaves.weights[Int(tree.leaf[node])] / total) }
    return result
  }

  /// log r of each action on the way to a leaf, the terminator's last; they sum to log(w / F(s_0)), or to log R.
  public func logRewards(toLeaf leaf: Int) -> [Double] {
    let path = tree.path(toLeaf: leaf)
    return path.indices.map { index in
      let next = index + 1 < path.count ? flow[path[index + 1]] : leaves.weights[leaf]
      return change(log(next / flow[path[index]]), leaf)
    }
  }

  /// log r(⊤|s) of every state s_0…s_n on the way to a leaf; -∞ where no title ends.
  public func logEnds(toLeaf leaf: Int) -> [Double] {
    tree.path(toLeaf: leaf).map { node in
      let weight = tree.leaf[node] >= 0 ? leaves.weights[Int(tree.leaf[node])] : 0
      return weight > 0 ? change(log(weight / flow[node]), leaf) : -.infinity
    }
  }

  /// Σ_{j≤t} log r(y_j|s_{j-1}) of every state s_0…s_n on the way to a leaf.
  public func logReach(toLeaf leaf: Int) -> [Double] {
    if leaves.terms == nil { return tree.path(toLeaf: leaf).map { log(flow[$0] / flow[0]) } }
    return logRewards(toLeaf: leaf).dropLast().reduce(into: [0]) { $0.append($0.last! + $1) }
  }

  /// log F(s)/F(s_0) of every state s_0…s_n on the way to a leaf.
  public func logFlows(toLeaf leaf: Int) -> [Double] {
    logReach(toLeaf: leaf).enumerated().map { $0 == 0 ? 0 : $1 - logTotal }
  }

  private func change(_ logReward: Double, _ leaf: Int) -> Double {
    leaves.terms.map { $0.factors[leaf] * logReward + $0.offsets[leaf] } ?? logReward
  }
}
