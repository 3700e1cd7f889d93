/// A published regular expression that cuts text into pieces, as a scanner written by hand.
///
/// Every pattern matches everywhere, so the pieces are the whole text. Letters (`\p{L}`) and numbers (`\p{N}`) are
/// those of the Swift runtime's Unicode version; characters assigned later than another library's tables may differ.
enum SplitPattern: String, CaseIterable, Sendable {
  case gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
  case qwen2 =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  case llama3 =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  /// The regular expression.
  var regex: String { rawValue }

  /// Where the piece ends that begins at `piece.lowerBound`; `piece` is not empty, valid UTF-8, and ends where the
  /// text ends.
  func end(ofFirst piece: Range<Int>, in text: [UInt8]) -> Int {
    let scanner = Scanner(text: text, limit: piece.upperBound)
    let start = piece.lowerBound
    if let end = scanner.contraction(at: start, ignoringCase: self != .gpt2) { return end }
    let first = scanner.scalar(at: start)
    let second = first.end < piece.upperBound ? scanner.scalar(at: first.end) : nil

    if self == .gpt2 {
      // ` ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+`
      if text[start] == UInt8(ascii: " "), let second, second.kind != .space {
        return scanner.run(of: second.kind, from: second.end)
      }
      if first.kind != .space { return scanner.run(of: first.kind, from: first.end) }
      return scanner.space(at: start, endingAtNewline: false)
    }

    // `[^\r\n\p{L}\p{N}]?\p{L}+`
    if first.kind == .letter { return scanner.run(of: .letter, from: first.end) }
    if first.kind != .number, !isNewline(text[start]), let second, second.kind == .letter {
      return scanner.run(of: .letter, from: second.end)
    }
    if first.kind == .number {
      return scanner.run(of: .number, from: first.end, atMost: self == .llama3 ? 2 : 0)
    }
    // ` ?[^\s\p{L}\p{N}]+[\r\n]*`
    if first.kind == .other { return scanner.newlines(from: scanner.run(of: .other, from: first.end)) }
    if text[start] == UInt8(ascii: " "), let second, second.kind == .other {
      return scanner.newlines(from: scanner.run(of: .other, from: second.end))
    }
    return scanner.space(at: start, endingAtNewline: true)
  }
}

private func isNewline(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

/// The parts that the patterns are made of. Functions take and return byte offsets.
private struct Scanner {
  let text: [UInt8]
  let limit: Int

  func scalar(at start: Int) -> (kind: ScalarKind, end: Int) {
    let (scalar, end) = text.scalar(at: start)
    return (ScalarKind(scalar), end)
  }

  /// The end of the run of `kind` from `start`, over at most so many characters.
  func run(of kind: ScalarKind, from start: Int, atMost count: Int = .max) -> Int {
    var end = start
    var left = count
    while end < limit, left > 0, case let next = scalar(at: end), next.kind == kind {
      end = next.end
      left -= 1
    }
    return end
  }

  /// `[\r\n]*`
  func newlines(from start: Int) -> Int {
    var end = start
    while end < limit, isNewline(text[end]) { end += 1 }
    return end
  }

  /// `'s|'t|'re|'ve|'m|'ll|'d`. Ignoring case, `ſ` (U+017F) is an `s`.
  func contraction(at start: Int, ignoringCase: Bool) -> Int? {
    guard text[start] == UInt8(ascii: "'") else { return nil }
    func letter(_ offset: Int) -> UInt8? {
      guard start + offset < limit else { return nil }
      let byte = text[start + offset]
      return ignoringCase && (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }
    switch (letter(1), letter(2)) {
    case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _), (UInt8(ascii: "d"), _):
      return start + 2
    case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
      (UInt8(ascii: "l"), UInt8(ascii: "l")):
      return start + 3
    case (0xC5, 0xBF) where ignoringCase:
      return start + 3
    default:
      return nil
    }
  }

  /// `\s+(?!\S)|\s+` at a white space, after `\s*[\r\n]+` if `endingAtNewline`.
  func space(at start: Int, endingAtNewline: Bool) -> Int {
    var end = start
    var last = start
    var afterNewline: Int?
    while end < limit, case let next = scalar(at: end), next.kind == .space {
      if isNewline(text[end]) { afterNewline = next.end }
      last = end
      end = next.end
    }
    if endingAtNewline, let afterNewline { return afterNewline }
    // A run before something visible leaves its last character to it, unless that is all there is.
    return end == limit || last == start ? end : last
  }
}
