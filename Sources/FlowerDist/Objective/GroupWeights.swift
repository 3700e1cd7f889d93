extension Catalogue {
  /// How much each leaf counts as a target of SFT under IFairLRS (Jiang et al. 2024, "Item-side fairness of large language
  /// model-based recommendation system"): the share of its popularity group in the training histories over the group's
  /// share among the training targets. By leaf; their mean over the training targets is one, unless a group has no target.
  var groupWeights: [Double] {
    let groups = groups
    var targets = [Double](repeating: 0, count: tree.leafCount)
    for example in dataset.train { targets[Int(tree.leafOfItem[Int(example.item)])] += 1 }
    let shares = groups.shares(of: targets)
    // A group that is never a target weights nothing.
    let weights = zip(groups.trainingShares, shares).map { $1 > 0 ? $0 / $1 : 0 }
    return groups.groupOfLeaf.map { weights[$0] }
  }
}
