/// A regular expression as instructions of a backtracking matcher.
struct RegexProgram: Sendable {
  /// A compiled expression of more instructions is refused.
  static let sizeLimit = 1024
  /// Bits that the matcher may note for each place of a text.
  static let noteLimit = 1024

  enum Instruction: Sendable {
    /// One character of a set.
    case set(Int)
    /// As many characters of a set as there are, at most `maximum`; then, unless `isPossessive`, fewer, down to
    /// `minimum`.
    case run(set: Int, minimum: Int, maximum: Int, isPossessive: Bool)
    case split(Split)
    case jump(Int)
    /// The instructions up to `next`, which end with `accept`, must match here, or must not.
    case lookahead(isNegated: Bool, next: Int)
    /// The instructions up to `next`, which end with `accept`, match in their first way only.
    case atomic(next: Int)
    case anchor(RegexNode.Anchor)
    case accept
  }

  /// Goes on at `first`, and where that fails at `second`.
  struct Split: Sendable {
    var first: Int
    var second: Int
    /// One of the branches needs a first byte of `filters[filter]`.
    var filter: Int?
    /// Whether that is `second`, as it is in a lazy repetition.
    var filtersSecond = false
    /// Number among the splits.
    var index: Int
  }

  /// What the matcher has to know of a split where the way from it has led to an end.
  enum Part: Sendable {
    /// Nothing: that is a match, and the search is over.
    case whole
    /// That there is one; its number among these.
    case lookahead(Int)
    /// Which one; its number among these.
    case atomic(Int)
  }

  private(set) var instructions: [Instruction] = []
  private(set) var sets: [ScalarSet] = []
  private(set) var filters: [ByteSet] = []
  /// What each split is a part of: the innermost lookahead or atomic group.
  private(set) var parts: [Part] = []
  private(set) var lookaheadSplits = 0
  private(set) var atomicSplits = 0
  /// What is being emitted.
  private var group = Group.whole

  private enum Group { case whole, lookahead, atomic }

  /// - Parameter usesRuns: whether a greedy repetition of one set is one `run` instead of splits.
  /// - Throws: if it has more than `sizeLimit` instructions, or more than `noteLimit` bits are to be noted of a place.
  init(_ node: RegexNode, usesRuns: Bool) throws(RegexError) {
    try emit(node, usesRuns)
    try append(.accept)
    // Whether it has failed, whether it has led to an end, and to which.
    guard parts.count + lookaheadSplits + 32 * atomicSplits <= Self.noteLimit else {
      throw RegexError(
        feature: "more than \(Self.noteLimit / 33) choices in atomic groups when their repetitions are written out",
        character: 1)
    }
  }

  private mutating func appendPart() {
    switch group {
    case .whole: parts.append(.whole)
    case .lookahead:
      parts.append(.lookahead(lookaheadSplits))
      lookaheadSplits += 1
    case .atomic:
      parts.append(.atomic(atomicSplits))
      atomicSplits += 1
    }
  }

  /// Emits what is within a group.
  private mutating func emit(
    in inner: Group, _ body: (inout RegexProgram) throws(RegexError) -> Void
  ) throws(RegexError) {
    let outer = group
    group = inner
    try body(&self)
    group = outer
  }

  private mutating func append(_ instruction: Instruction) throws(RegexError) {
    guard instructions.count < Self.sizeLimit else {
      throw RegexError(
        feature: "more than \(Self.sizeLimit) instructions when its repetitions are written out", character: 1)
    }
    instructions.append(instruction)
  }

  private mutating func index(of set: ScalarSet) -> Int {
    if let index = sets.firstIndex(of: set) { return index }
    sets.append(set)
    return sets.count - 1
  }

  /// Appends a split whose branches are set later, and gives its place.
  private mutating func appendSplit(filter node: RegexNode?, filtersSecond: Bool = false) throws(RegexError) -> Int {
    var filter: Int?
    if let node, !node.canBeEmpty {
      filter = filters.count
      filters.append(node.firstBytes)
    }
    try append(
      .split(Split(first: 0, second: 0, filter: filter, filtersSecond: filtersSecond, index: parts.count)))
    appendPart()
    return instructions.count - 1
  }

  private mutating func connect(_ place: Int, first: Int? = nil, second: Int? = nil) {
    guard case .split(var split) = instructions[place] else { preconditionFailure("not a split") }
    if let first { split.first = first }
    if let second { split.second = second }
    instructions[place] = .split(split)
  }

  private mutating func emit(_ node: RegexNode, _ usesRuns: Bool) throws(RegexError) {
    switch node {
    case .set(let set): try append(.set(index(of: set)))
    case .sequence(let nodes): for node in nodes { try emit(node, usesRuns) }
    case .anchor(let anchor): try append(.anchor(anchor))
    case .alternatives(let nodes):
      var jumps: [Int] = []
      for node in nodes.dropLast() {
        let split = try appendSplit(filter: node)
        connect(split, first: split + 1)
        try emit(node, usesRuns)
        jumps.append(instructions.count)
        try append(.jump(0))
        connect(split, second: instructions.count)
      }
      try emit(nodes[nodes.count - 1], usesRuns)
      for jump in jumps { instructions[jump] = .jump(instructions.count) }
    case .lookahead(let node, let isNegated):
      let start = instructions.count
      try append(.accept)
      try emit(in: .lookahead) { (program) throws(RegexError) in try program.emit(node, usesRuns) }
      try append(.accept)
      instructions[start] = .lookahead(isNegated: isNegated, next: instructions.count)
    case .atomic(let node): try emitAtomic { (program) throws(RegexError) in try program.emit(node, usesRuns) }
    case .repeated(.set(let set), let minimum, let maximum, let mode) where usesRuns && mode != .lazy:
      try append(
        .run(
          set: index(of: set), minimum: minimum, maximum: maximum ?? .max, isPossessive: mode == .possessive))
    case .repeated(let node, let minimum, let maximum, .possessive):
      try emitAtomic { (program) throws(RegexError) in
        try program.emit(.repeated(node, minimum: minimum, maximum: maximum, .greedy), usesRuns)
      }
    case .repeated(let node, let minimum, let maximum, let mode):
      try emitRepeated(node, minimum: minimum, maximum: maximum, isLazy: mode == .lazy, usesRuns)
    }
  }

  private mutating func emitAtomic(
    _ body: (inout RegexProgram) throws(RegexError) -> Void
  ) throws(RegexError) {
    let start = instructions.count
    try append(.accept)
    try emit(in: .atomic, body)
    try append(.accept)
    instructions[start] = .atomic(next: instructions.count)
  }

  private mutating func emitRepeated(
    _ node: RegexNode, minimum: Int, maximum: Int?, isLazy: Bool, _ usesRuns: Bool
  ) throws(RegexError) {
    func connect(_ split: Int, body: Int? = nil, exit: Int? = nil, in program: inout RegexProgram) {
      program.connect(split, first: isLazy ? exit : body, second: isLazy ? body : exit)
    }
    guard let maximum else {
      // `X{m,}`: m - 1 times, then a loop with its test at the end, or at the start where m is 0.
      for _ in 0..<max(0, minimum - 1) { try emit(node, usesRuns) }
      if minimum == 0 {
        let split = try appendSplit(filter: node, filtersSecond: isLazy)
        try emit(node, usesRuns)
        try append(.jump(split))
        connect(split, body: split + 1, exit: instructions.count, in: &self)
      } else {
        let body = instructions.count
        try emit(node, usesRuns)
        let split = try appendSplit(filter: node, filtersSecond: isLazy)
        connect(split, body: body, exit: split + 1, in: &self)
      }
      return
    }
    for _ in 0..<minimum { try emit(node, usesRuns) }
    var splits: [Int] = []
    for _ in minimum..<maximum {
      let split = try appendSplit(filter: node, filtersSecond: isLazy)
      splits.append(split)
      try emit(node, usesRuns)
      connect(split, body: split + 1, in: &self)
    }
    for split in splits { connect(split, exit: instructions.count, in: &self) }
  }
}
