/// A regular expression as a tree.
indirect enum RegexNode: Equatable, Sendable {
  /// One character of a set.
  case set(ScalarSet)
  case sequence([RegexNode])
  /// The first that leads to a match.
  case alternatives([RegexNode])
  /// `maximum` is `nil` without a bound. The node does not match nothing, unless it is at most one.
  case repeated(RegexNode, minimum: Int, maximum: Int?, Mode)
  /// `(?=…)` and `(?!…)`.
  case lookahead(RegexNode, isNegated: Bool)
  /// `(?>…)`: what it matched first is not tried otherwise.
  case atomic(RegexNode)
  case anchor(Anchor)

  enum Mode: Sendable { case greedy, lazy, possessive }

  enum Anchor: Sendable {
    /// `^`: the beginning, or after a newline that is not the end.
    case lineStart
    /// `$`: the end, or before a newline.
    case lineEnd
    /// `\A` and `\z`.
    case start, end
  }

  /// Whether it may match without taking a character.
  var canBeEmpty: Bool {
    switch self {
    case .set: false
    case .sequence(let nodes): nodes.allSatisfy(\.canBeEmpty)
    case .alternatives(let nodes): nodes.contains(where: \.canBeEmpty)
    case .repeated(let node, let minimum, _, _): minimum == 0 || node.canBeEmpty
    case .lookahead, .anchor: true
    case .atomic(let node): node.canBeEmpty
    }
  }

  /// The bytes that a match begins with, or some more; all if it may be empty.
  var firstBytes: ByteSet {
    guard !canBeEmpty else { return .all }
    switch self {
    case .set(let set): return set.firstBytes
    case .alternatives(let nodes):
      return nodes.reduce(into: ByteSet()) { $0.formUnion($1.firstBytes) }
    case .repeated(let node, _, _, _), .atomic(let node): return node.firstBytes
    case .lookahead, .anchor: return .all
    case .sequence(let nodes):
      // What may be empty adds its own first bytes and leaves the rest to the next.
      var bytes = ByteSet()
      for node in nodes {
        bytes.formUnion(node.optionalFirstBytes)
        if !node.canBeEmpty { break }
      }
      return bytes
    }
  }

  /// The bytes that a match that is not empty begins with, or some more.
  private var optionalFirstBytes: ByteSet {
    switch self {
    case .repeated(let node, _, _, _): node.optionalFirstBytes
    case .lookahead, .anchor: ByteSet()
    default: firstBytes
    }
  }
}
