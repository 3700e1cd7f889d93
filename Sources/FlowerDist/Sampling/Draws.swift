/// A title that becomes a trajectory of a prompt, and where it came from.
public struct Draw: Equatable, Sendable {
  /// `nil` where a preference loss has chosen the title.
  public var source: Recipe.Trajectories.Source?
  /// `nil` until the policy has written it.
  public var leaf: Int?

  public init(_ source: Recipe.Trajectories.Source?, leaf: Int?) {
    (self.source, self.leaf) = (source, leaf)
  }
}

/// What the trajectories of a step are drawn from.
struct DrawSources: Sendable {
  /// Sources with their shares at this step.
  var shares: [(source: Recipe.Trajectories.Source, share: Double)]
  /// Number of tokens by leaf, for `length`.
  var lengths: [Double]
  /// Leaf of the next item by position in the global batch, for `targets`.
  var targets: [Int]
  var replay: ReplayBuffer
  /// What `policy` gives where samplers wrote it; otherwise it remains to be written.
  var written: WrittenTitles?

  /// Trajectories of an example, drawn independently and with replacement.
  ///
  /// A leaf of zero weight is never drawn. Where the buffer has nothing for the prompt, the other sources share its part.
  ///
  /// - Parameter random: the stream of trajectory k; position 0 draws the leaf, position 1 the source.
  func draw(
    _ count: Int, for example: Example, _ rewards: TokenRewards, random: (Int) -> CounterRandom
  ) -> [Draw] {
    lazy var alive = rewards.weights.indices.filter { rewards.weights[$0] > 0 }
    let replayed = example.trainingRow.flatMap { replay.draws(prompt: $0) }
    let sources = LeafDraws(shares.map { $0.source == .replay && replayed == nil ? 0 : $0.share })
    lazy var byWeight = LeafDraws(rewards.weights)
    lazy var byLength = LeafDraws(zip(lengths, rewards.weights).map { $1 > 0 ? $0 : 0 })
    return (0..<count).map { k in
      let stream = random(k)
      let source = shares[sources.leaf(stream.uniform(1))].source
      switch source {
      case .weight: return Draw(source, leaf: byWeight.leaf(stream.uniform(0)))
      case .uniform: return Draw(source, leaf: alive[stream.integer(0, below: alive.count)])
      case .length: return Draw(source, leaf: byLength.leaf(stream.uniform(0)))
      case .targets: return Draw(source, leaf: target(besides: example.index, stream))
      case .policy: return Draw(source, leaf: written.map { Int($0.leaves[example.index * count + k]) })
      case .replay:
        let (titles, draws) = replayed!
        return Draw(source, leaf: Int(titles[titles.startIndex + draws.leaf(stream.uniform(0))].visit.leaf))
      }
    }
  }

  /// The target of another example; of the only one where there is no other.
  private func target(besides index: Int, _ stream: CounterRandom) -> Int {
    if targets.count == 1 { return targets[0] }
    let other = stream.integer(0, below: targets.count - 1)
    return targets[other < index ? other : other + 1]
  }
}

extension DrawSources {
  /// What a recipe draws from after `step` steps.
  init(
    _ mixture: Recipe.Mixture, tree: CatalogueTree, step: Int, progress: Recipe.Mixture.Progress, targets: [Int],
    replay: ReplayBuffer, written: WrittenTitles? = nil
  ) {
    shares = zip(mixture.parts, mixture.shares(step: step, falls: progress.falls)).map { ($0.source, $1) }
    lengths = mixture.uses(.length) ? tree.leafNode.map { Double(tree.depth[Int($0)]) } : []
    self.targets = targets
    self.replay = replay
    self.written = written
  }
}
