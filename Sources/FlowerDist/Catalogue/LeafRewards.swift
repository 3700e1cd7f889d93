/// What leaves are worth: weights that are summed up the tree and, under the published flow rule, what becomes of a
/// trajectory's token rewards by the leaf that it ends in.
public struct LeafRewards: Equatable, Sendable {
  /// log r' = factor · log r + offset for every action of a trajectory, ⊤ included.
  public struct Terms: Equatable, Sendable {
    /// By leaf.
    public var factors: [Double]
    public var offsets: [Double]
  }

  /// By leaf, at least 0.
  public var weights: [Double]
  /// `nil` under flow rule `tree`: r' = r.
  public var terms: Terms?

  public init(weights: [Double], terms: Terms? = nil) { (self.weights, self.terms) = (weights, terms) }
}
