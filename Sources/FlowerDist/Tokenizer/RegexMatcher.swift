/// Finds the matches of a regular expression in one text, in time that grows with the text and not faster.
///
/// It backtracks, as the expression's meaning demands (the first alternative that leads to a match). What would be
/// exponential on a hostile expression is not: once the work is out of proportion to the text, the matcher notes for each
/// split and place that nothing came of it (there is no state beside these two), and never goes there twice. That a
/// lookahead was right, or where an atomic group ended, is noted likewise, of every split on the way. So the worst case is
/// O(instructions² · bytes) time, and `RegexProgram.noteLimit` bits of memory for each byte of the text, which are 128 bytes.
struct RegexMatcher {
  private let regex: BoundedRegex
  /// Without notes, for each byte of the text.
  private let stepsPerByte: Int
  private var choices: [Choice] = []
  private var steps = 0
  private var memo: Memo?
  /// What `memo` says is visited, on the way to here.
  private var trail: [Int] = []

  /// Where to go on if the way taken fails.
  private struct Choice {
    var instruction: Int
    var position: Int
    /// Then there are the places before `position`, character by character, down to this one.
    var lowest: Int
    /// How much of `trail` leads here.
    var trail: Int
  }

  init(_ regex: BoundedRegex, stepsPerByte: Int) {
    self.regex = regex
    self.stepsPerByte = stepsPerByte
  }

  /// The leftmost match that begins at `start` or later. The text is valid UTF-8, and the same in every call.
  mutating func firstMatch(in text: Span<UInt8>, from start: Int) -> Range<Int>? {
    var start = start
    while start <= text.count {
      if regex.canBeEmpty || start < text.count && regex.firstBytes.contains(text[start]),
        let end = matchEnd(in: text, from: start)
      {
        return start..<end
      }
      guard start < text.count else { return nil }
      start = text.scalar(at: start).end
    }
    return nil
  }

  private mutating func matchEnd(in text: Span<UInt8>, from start: Int) -> Int? {
    if memo == nil {
      let end = run(regex.program, from: 0, at: start, in: text)
      if !isExhausted(text) { return end }
      memo = Memo(regex.expanded, positions: text.count + 1)
    }
    return run(regex.expanded, from: 0, at: start, in: text)
  }

  /// Whether the work is out of proportion.
  private func isExhausted(_ text: Span<UInt8>) -> Bool { memo == nil && steps > stepsPerByte * (text.count + 64) }

  /// Where the first match of the instructions from `first` ends.
  private mutating func run(
    _ program: borrowing RegexProgram, from first: Int, at start: Int, in text: Span<UInt8>
  ) -> Int? {
    let base = choices.count
    let trailBase = trail.count
    var instruction = first
    var position = start
    var end: Int?
    while end == nil {
      steps += 1
      if isExhausted(text) { break }
      var hasFailed = false
      switch program.instructions[instruction] {
      case .set(let set):
        if position < text.count, case let next = text.scalar(at: position), program.sets[set].contains(next.value) {
          position = next.end
          instruction += 1
        } else {
          hasFailed = true
        }
      case .run(let set, let minimum, let maximum, let isPossessive):
        var count = 0
        var lowest = position
        while count < maximum, position < text.count, case let next = text.scalar(at: position),
          program.sets[set].contains(next.value)
        {
          position = next.end
          count += 1
          if count == minimum { lowest = position }
        }
        steps += count
        hasFailed = count < minimum
        instruction += 1
        if !isPossessive, count > minimum {
          let position = text.scalarStart(before: position)
          choices.append(Choice(instruction: instruction, position: position, lowest: lowest, trail: trail.count))
        }
      case .split(let split):
        if let filter = split.filter, position == text.count || !program.filters[filter].contains(text[position]) {
          instruction = split.filtersSecond ? split.first : split.second
          break
        }
        if memo != nil {
          if let known = memo!.end(split: split.index, position: position) {
            end = known
            break
          }
          let key = memo!.key(split: split.index, position: position)
          guard memo!.visit(key) else {
            hasFailed = true
            break
          }
          trail.append(key)
        }
        choices.append(
          Choice(instruction: split.second, position: position, lowest: position, trail: trail.count))
        instruction = split.first
      case .jump(let target):
        instruction = target
      case .lookahead(let isNegated, let next):
        let found = run(program, from: instruction + 1, at: position, in: text) != nil
        instruction = next
        hasFailed = found == isNegated
      case .atomic(let next):
        let found = run(program, from: instruction + 1, at: position, in: text)
        instruction = next
        position = found ?? position
        hasFailed = found == nil
      case .anchor(let anchor):
        instruction += 1
        hasFailed = !anchor.holds(at: position, in: text)
      case .accept:
        end = position
      }
      if hasFailed {
        guard choices.count > base else { break }
        let last = choices.count - 1
        instruction = choices[last].instruction
        position = choices[last].position
        trail.removeSubrange(choices[last].trail...)
        if position > choices[last].lowest {
          choices[last].position = text.scalarStart(before: position)
        } else {
          choices.removeLast()
        }
      }
    }
    choices.removeSubrange(base...)
    if let end {
      // The way here did not fail. What is a part of the expression ends there whenever it comes here again.
      for key in trail[trailBase...] {
        memo!.leave(key)
        memo!.note(key, end: end)
      }
    }
    trail.removeSubrange(trailBase...)
    return end
  }
}

extension RegexMatcher {
  /// What is known of splits at places of the text.
  private struct Memo {
    private let positions: Int
    private let parts: [RegexProgram.Part]
    private var visited: BitSet
    /// Whether a lookahead came to an end from here.
    private var isFound: BitSet
    /// One more than where an atomic group ended from here; 0 where that is not known.
    private var ends: [UInt32]

    init(_ program: borrowing RegexProgram, positions: Int) {
      self.positions = positions
      parts = program.parts
      visited = BitSet(count: program.parts.count * positions)
      isFound = BitSet(count: program.lookaheadSplits * positions)
      ends = Array(repeating: 0, count: program.atomicSplits * positions)
    }

    func key(split: Int, position: Int) -> Int { split * positions + position }

    /// `false` if it was visited: it has failed.
    mutating func visit(_ key: Int) -> Bool { visited.insert(key) }
    mutating func leave(_ key: Int) { visited.remove(key) }

    /// Where the group around a split is known to end, of a lookahead any place.
    func end(split: Int, position: Int) -> Int? {
      switch parts[split] {
      case .whole: return nil
      case .lookahead(let number): return isFound.contains(number * positions + position) ? position : nil
      case .atomic(let number):
        let end = ends[number * positions + position]
        return end > 0 ? Int(end) - 1 : nil
      }
    }

    mutating func note(_ key: Int, end: Int) {
      let (split, position) = key.quotientAndRemainder(dividingBy: positions)
      switch parts[split] {
      case .whole: break
      case .lookahead(let number): _ = isFound.insert(number * positions + position)
      case .atomic(let number): ends[number * positions + position] = UInt32(end + 1)
      }
    }
  }

  private struct BitSet {
    private var words: [UInt64]

    init(count: Int) { words = Array(repeating: 0, count: count / 64 + 1) }

    func contains(_ index: Int) -> Bool { words[index >> 6] & Self.bit(index) != 0 }

    /// `false` if it was there.
    mutating func insert(_ index: Int) -> Bool {
      guard !contains(index) else { return false }
      words[index >> 6] |= Self.bit(index)
      return true
    }

    mutating func remove(_ index: Int) { words[index >> 6] &= ~Self.bit(index) }

    private static func bit(_ index: Int) -> UInt64 { 1 << UInt64(index & 63) }
  }
}

extension RegexNode.Anchor {
  fileprivate func holds(at position: Int, in text: Span<UInt8>) -> Bool {
    let newline = UInt8(ascii: "\n")
    switch self {
    case .start: return position == 0
    case .end: return position == text.count
    case .lineStart: return position == 0 || position < text.count && text[position - 1] == newline
    case .lineEnd: return position == text.count || text[position] == newline
    }
  }
}
