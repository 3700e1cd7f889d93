/// What a recipe makes of a dataset and a tokenizer, the same on every rank: prompts, tree and rewards.
public struct Catalogue: Sendable {
  public let dataset: Dataset
  public let tokenizer: Tokenizer
  /// The titles by item: those of the dataset, then those that were added since the training.
  public let titles: [String]
  public let template: PromptTemplate
  public let tree: CatalogueTree
  public let rewards: RewardModel
  /// The preference score that the rewards name; `nil` without histories, or where it is not loaded.
  public let score: (any PreferenceScore)?
  /// The text of the terminator.
  public let terminator: String

  /// - Parameters:
  ///   - loadsScore: whether the preference score is needed; without it no rewards are personal.
  ///   - offered: what can be recommended, if it is not what the dataset has.
  public init(
    dataset: Dataset, tokenizer: Tokenizer, prompt: Recipe.Prompt, terminator: String, reward: Recipe.Reward,
    titleWeights: TitleWeights? = nil, loadsScore: Bool = true, offered: OfferedTitles? = nil
  ) throws {
    self.dataset = dataset
    self.tokenizer = tokenizer
    self.terminator = terminator
    template = PromptTemplate(prompt)
    try template.check(for: dataset)
    guard let end = tokenizer.token(for: terminator) else {
      throw FlowerError(
        .usage, "tokenizer.terminator: \(terminator.quoted) is not one token of the tokenizer; expected one that is")
    }
    let titles = dataset.titles + (offered?.added(to: dataset.titles) ?? [])
    self.titles = titles
    let name = { (item: Int) in "item \(item) (\(titles[item].quoted))" }
    if tokenizer.isOfItems, let item = titles.firstIndex(where: { tokenizer.token(for: $0) == nil }) {
      throw FlowerError(
        .data, "\(name(item)): the model's tokens are the titles that it was trained with, and this is none of them")
    }
    tree = try CatalogueTree(
      titles: titles.map { tokenizer.encode($0) }, terminator: end, name: name,
      isIncluded: { offered?.contains(titles[$0]) ?? true })
    score = try dataset.isDistribution || !loadsScore ? nil : reward.preferenceScore(dataset)
    rewards = try RewardModel(
      reward, tree: tree, counts: dataset.counts, fileWeights: titleWeights?.byItem(titles), score: score)
  }

  /// Tokens of the prompt for a history of item ids, oldest first, and the number of items dropped for lack of room.
  public func prompt(history: [Int32]) throws -> PromptTemplate.Encoded {
    let encoded = try template.encoded(history: history.map { titles[Int($0)] }) { tokenizer.encode($0) }
    // A forest needs a row to branch from.
    return encoded.tokens.isEmpty ? .init(tokens: [tree.terminator], dropped: encoded.dropped) : encoded
  }

  /// The title by leaf.
  public var leafTitles: [String] { tree.itemsOfLeaf.map { titles[Int($0[0])] } }

  /// Leaves in the order in which they first occur in training histories.
  public var leavesByFirstAppearance: [Int32] {
    var seen = [Bool](repeating: false, count: tree.leafCount)
    return dataset.firstAppearance.compactMap { item in
      let leaf = tree.leafOfItem[Int(item)]
      if leaf < 0 || seen[Int(leaf)] { return nil }
      seen[Int(leaf)] = true
      return leaf
    }
  }

  public var groups: PopularityGroups {
    PopularityGroups(counts: rewards.counts, firstAppearance: leavesByFirstAppearance)
  }

  /// SFT's constant of the run: the mean over training targets of tokens and terminator (over the vocabulary), or of real
  /// choices (over the catalogue); without histories, the mean over what is drawn.
  public func supervisedScale(_ support: Recipe.Objective.Support) -> Double {
    let terms = (0..<tree.leafCount).map { leaf in
      let path = tree.path(toLeaf: leaf)
      return Double(support == .vocabulary ? path.count : path.count { tree.isChoice($0) })
    }
    if dataset.isDistribution {
      let target = rewards.rewards(history: [], leavingOut: nil).target
      return max(zip(terms, target).reduce(0) { $0 + $1.0 * $1.1 }, 1)
    }
    let total = dataset.train.reduce(0.0) { $0 + terms[Int(tree.leafOfItem[Int($1.item)])] }
    return max(total / Double(dataset.train.count), 1)
  }
}
