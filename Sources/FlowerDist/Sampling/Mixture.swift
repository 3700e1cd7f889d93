extension Recipe {
  /// Where trajectories come from: sources with their shares, which may change over a run.
  ///
  /// Shares are relative to their sum. `coin` is the mixture of `weight` and `uniform` in equal parts.
  public struct Mixture: Equatable, Sendable {
    public typealias Source = Trajectories.Source

    /// The share of a source, by the number of steps done.
    public enum Share: Equatable, Sendable {
      case constant(Double)
      /// In a straight line from one share to another while the steps pass the range; constant before and after.
      case linear(from: Double, to: Double, steps: Range<Int>)
      /// Falls by `step` after every `interval` steps in which the mean flow loss of the source's own trajectories was
      /// below `loss`, as far as `to`. The published distribution fitting moves from titles by length to the policy so.
      case falling(from: Double, to: Double, step: Double, interval: Int, loss: Double)
      /// What the others leave of one.
      case rest
    }

    public struct Part: Equatable, Sendable {
      public var source: Source
      public var share: Share

      public init(_ source: Source, _ share: Share) { (self.source, self.share) = (source, share) }
    }

    /// Each source once, at most one share that falls and one that is the rest.
    public let parts: [Part]

    /// `nil` if a source is there twice, or more than one share falls or is the rest, or there is no part.
    public init?(_ parts: [Part]) {
      func count(_ matches: (Share) -> Bool) -> Int { parts.count { matches($0.share) } }
      let falls = count { if case .falling = $0 { true } else { false } }
      guard !parts.isEmpty, Set(parts.map(\.source)).count == parts.count, falls <= 1, count({ $0 == .rest }) <= 1
      else { return nil }
      self.parts = parts
    }

    /// All trajectories from one source.
    public init(_ source: Source) { parts = [Part(source, .constant(1))] }

    public static let coin = Mixture([Part(.weight, .constant(0.5)), Part(.uniform, .constant(0.5))])!

    public func uses(_ source: Source) -> Bool { parts.contains { $0.source == source } }

    /// The part whose share falls.
    var falling: Part? {
      parts.first { if case .falling = $0.share { true } else { false } }
    }

    /// Whether the shares stay as they are.
    var isConstant: Bool {
      parts.allSatisfy { if case .constant = $0.share { true } else { false } }
    }

    /// Shares by part, relative to their sum.
    /// - Parameters:
    ///   - step: steps done.
    ///   - falls: how often the falling share has fallen.
    public func shares(step: Int, falls: Int) -> [Double] {
      let said = parts.map { $0.share.value(step: step, falls: falls) }
      let rest = max(0, 1 - said.reduce(0) { $0 + ($1 ?? 0) })
      return said.map { $0 ?? rest }
    }
  }
}

extension Recipe.Mixture.Share {
  /// `nil` for the rest.
  fileprivate func value(step: Int, falls: Int) -> Double? {
    switch self {
    case .constant(let share): return share
    case .linear(let from, let to, let steps):
      if step <= steps.lowerBound { return from }
      if step >= steps.upperBound { return to }
      return from + (to - from) * Double(step - steps.lowerBound) / Double(steps.count)
    case .falling(let from, let to, let fall, _, _): return max(to, from - Double(falls) * fall)
    case .rest: return nil
    }
  }
}

// MARK: - What a mixture may be

extension Recipe.Mixture {
  /// Whether some source besides the replay buffer, which may be empty, has a share above zero at every step.
  var alwaysDraws: Bool {
    everywhere { shares in
      zip(parts, shares).reduce(0) { $0 + ($1.0.source == .replay ? 0 : $1.1) } > 0
    }
  }

  /// Whether the other shares leave something to the rest, or nothing, but never ask for more than all.
  var leavesARest: Bool {
    guard parts.contains(where: { $0.share == .rest }) else { return true }
    return bends.allSatisfy { step in
      parts.reduce(0) { $0 + ($1.share.value(step: step, falls: 0) ?? 0) } <= 1 + 1e-9
    }
  }

  /// Steps between which all shares run straight.
  private var bends: [Int] {
    var steps = [0]
    for part in parts {
      if case .linear(_, _, let range) = part.share { steps += [range.lowerBound, range.upperBound] }
    }
    return steps
  }

  /// Whether shares that move in straight lines fulfil a linear condition at every step, wherever the falling one is.
  private func everywhere(_ holds: ([Double]) -> Bool) -> Bool {
    bends.allSatisfy { step in [0, Int(Int32.max)].allSatisfy { holds(shares(step: step, falls: $0)) } }
  }
}

// MARK: - How far it is

extension Recipe.Mixture {
  /// How far the falling share is; a run's state besides its step.
  struct Progress: Equatable, Sendable {
    var falls = 0
    /// Flow losses of the source's trajectories since the interval began, and how many.
    var loss = 0.0
    var count = 0

    /// Takes in a step's losses and, where an interval ends with it, decides.
    /// - Parameter step: steps done, this one included.
    mutating func add(loss: Double, count: Int, step: Int, of mixture: Recipe.Mixture) {
      guard case .falling(let from, let to, let fall, let interval, let threshold) = mixture.falling?.share else {
        return
      }
      self.loss += loss
      self.count += count
      guard step.isMultiple(of: interval) else { return }
      // Not beyond the floor: how often it has fallen stays a small number.
      if self.count > 0, self.loss / Double(self.count) < threshold, from - Double(falls) * fall > to { falls += 1 }
      (self.loss, self.count) = (0, 0)
    }
  }
}
