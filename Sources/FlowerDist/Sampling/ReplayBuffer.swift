import Foundation

/// Titles that were trained on lately, by prompt, with how far from balance they were: what is worth training on again.
///
/// A prompt's title is there once, with its last residual. It is drawn in proportion to a power of its priority, the
/// residual's size (Schaul et al. 2016, "Prioritized experience replay", without their weights: balance objectives are
/// valid off-policy). All ranks hold the same buffer.
public struct ReplayBuffer: Equatable, Sendable {
  /// A title under a prompt that was trained on.
  public struct Visit: Equatable, Sendable {
    /// Which prompt: its place in the training split, 0 without histories.
    public var prompt: Int32
    public var leaf: Int32
    /// |log π − log r| of the whole trajectory, finite.
    public var priority: Double

    public init(prompt: Int32, leaf: Int32, priority: Double) {
      (self.prompt, self.leaf, self.priority) = (prompt, leaf, priority)
    }
  }

  public struct Entry: Equatable, Sendable {
    public var visit: Visit
    /// Steps done when it was visited last.
    public var step: Int

    public init(_ visit: Visit, step: Int) { (self.visit, self.step) = (visit, step) }

    /// Entries are ordered by prompt and leaf.
    fileprivate var key: (Int32, Int32) { (visit.prompt, visit.leaf) }
  }

  private let recipe: Recipe.Replay
  /// Ascending by prompt, then leaf, each pair once.
  public private(set) var entries: [Entry]

  public init(_ recipe: Recipe.Replay) {
    self.recipe = recipe
    entries = []
  }

  /// A buffer with these entries, as ``entries`` has them; `nil` if they are not in order, or too many.
  init?(_ recipe: Recipe.Replay, entries: [Entry]) {
    guard entries.count <= recipe.capacity, zip(entries, entries.dropFirst()).allSatisfy({ $0.key < $1.key }) else {
      return nil
    }
    self.recipe = recipe
    self.entries = entries
  }

  /// Takes in the visits of a step and lets go of what is too old or too much: a title that the next step could draw
  /// has been visited in the last `staleness` steps, and where there is no room those of the lowest priority go first,
  /// among equals the oldest. O(n log n) in the buffer's size.
  ///
  /// - Parameters:
  ///   - visits: in an order that does not depend on the ranks; of several of one title the last counts.
  ///   - step: steps done, this one included.
  public mutating func add(_ visits: [Visit], step: Int) {
    let new = visits.enumerated().sorted { a, b in
      (a.element.prompt, a.element.leaf, a.offset) < (b.element.prompt, b.element.leaf, b.offset)
    }
    let old = entries.filter { step - $0.step < recipe.staleness }
    var merged: [Entry] = []
    merged.reserveCapacity(old.count + new.count)
    var next = 0
    for (index, visit) in new.map(\.element).enumerated() {
      let entry = Entry(visit, step: step)
      if index + 1 < new.count, Entry(new[index + 1].element, step: step).key == entry.key { continue }
      while next < old.count, old[next].key < entry.key {
        merged.append(old[next])
        next += 1
      }
      if next < old.count, old[next].key == entry.key { next += 1 }
      merged.append(entry)
    }
    merged += old[next...]
    if merged.count > recipe.capacity {
      let least = merged.indices.sorted { a, b in
        (merged[a].visit.priority, merged[a].step, a) < (merged[b].visit.priority, merged[b].step, b)
      }
      let leaving = Set(least.prefix(merged.count - recipe.capacity))
      merged = merged.indices.filter { !leaving.contains($0) }.map { merged[$0] }
    }
    entries = merged
  }

  /// The titles of a prompt, and what draws one of them; `nil` if there are none.
  func draws(prompt: Int32) -> (titles: ArraySlice<Entry>, draws: LeafDraws)? {
    let titles = entries[place { $0.visit.prompt < prompt }..<place { $0.visit.prompt <= prompt }]
    guard let largest = titles.map(\.visit.priority).max() else { return nil }
    // Relative to the largest, so that no power of it is too large. Where all are in balance, evenly.
    let weights = titles.map { largest > 0 ? pow($0.visit.priority / largest, recipe.priorityExponent) : 1 }
    return (titles, LeafDraws(weights))
  }

  /// How many entries come first of which `isBefore` holds.
  private func place(_ isBefore: (Entry) -> Bool) -> Int {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if isBefore(entries[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

// MARK: - Between ranks

extension ReplayBuffer.Visit {
  private static let width = 16

  /// 16 bytes per visit, as the processor has them: all ranks of a run are alike.
  static func bytes(_ visits: [ReplayBuffer.Visit]) -> [UInt8] {
    visits.flatMap { visit in
      withUnsafeBytes(of: (visit.prompt, visit.leaf, visit.priority.bitPattern)) { Array($0) }
    }
  }

  static func visits(_ bytes: [UInt8]) -> [ReplayBuffer.Visit] {
    bytes.withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: width).map { place in
        ReplayBuffer.Visit(
          prompt: bytes.loadUnaligned(fromByteOffset: place, as: Int32.self),
          leaf: bytes.loadUnaligned(fromByteOffset: place + 4, as: Int32.self),
          priority: Double(bitPattern: bytes.loadUnaligned(fromByteOffset: place + 8, as: UInt64.self)))
      }
    }
  }
}
