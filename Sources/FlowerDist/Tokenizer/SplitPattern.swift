/// A published regular expression that cuts text into pieces, as a scanner written by hand; `BoundedRegex` is slower.
///
/// Every pattern matches everywhere, so the pieces are the whole text.
enum SplitPattern: String, CaseIterable, Sendable {
  case gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
  case qwen2 =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  case llama3 =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  /// The regular expression.
  var regex: String { rawValue }

  /// Where the piece ends that begins at `start`, which is not the end of the text; the text is valid UTF-8.
  func end(ofPieceAt start: Int, in text: Span<UInt8>) -> Int {
    if let end = text.contraction(at: start, ignoringCase: self != .gpt2) { return end }
    let first = text.kind(at: start)
    let second = first.end < text.count ? text.kind(at: first.end) : nil

    if self == .gpt2 {
      // ` ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+`
      if text[start] == UInt8(ascii: " "), let second, second.kind != .space {
        return text.run(of: second.kind, from: second.end)
      }
      if first.kind != .space { return text.run(of: first.kind, from: first.end) }
      return text.space(at: start, endingAtNewline: false)
    }

    // `[^\r\n\p{L}\p{N}]?\p{L}+`
    if first.kind == .letter { return text.run(of: .letter, from: first.end) }
    if first.kind != .number, !isNewline(text[start]), let second, second.kind == .letter {
      return text.run(of: .letter, from: second.end)
    }
    if first.kind == .number {
      return text.run(of: .number, from: first.end, atMost: self == .llama3 ? 2 : 0)
    }
    // ` ?[^\s\p{L}\p{N}]+[\r\n]*`
    if first.kind == .other { return text.newlines(from: text.run(of: .other, from: first.end)) }
    if text[start] == UInt8(ascii: " "), let second, second.kind == .other {
      return text.newlines(from: text.run(of: .other, from: second.end))
    }
    return text.space(at: start, endingAtNewline: true)
  }
}

private func isNewline(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

/// The parts that the patterns are made of. Functions take and return byte offsets.
extension Span<UInt8> {
  fileprivate func kind(at start: Int) -> (kind: ScalarKind, end: Int) {
    let (scalar, end) = self.scalar(at: start)
    return (ScalarKind(scalar), end)
  }

  /// The end of the run of `kind` from `start`, over at most so many characters.
  fileprivate func run(of kind: ScalarKind, from start: Int, atMost length: Int = .max) -> Int {
    var end = start
    var left = length
    while end < count, left > 0, case let next = self.kind(at: end), next.kind == kind {
      end = next.end
      left -= 1
    }
    return end
  }

  /// `[\r\n]*`
  fileprivate func newlines(from start: Int) -> Int {
    var end = start
    while end < count, isNewline(self[end]) { end += 1 }
    return end
  }

  /// `'s|'t|'re|'ve|'m|'ll|'d`. Ignoring case, `ſ` (U+017F) is an `s`.
  fileprivate func contraction(at start: Int, ignoringCase: Bool) -> Int? {
    guard self[start] == UInt8(ascii: "'") else { return nil }
    func letter(_ offset: Int) -> UInt8? {
      guard start + offset < count else { return nil }
      let byte = self[start + offset]
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
  fileprivate func space(at start: Int, endingAtNewline: Bool) -> Int {
    var end = start
    var last = start
    var afterNewline: Int?
    while end < count, case let next = self.kind(at: end), next.kind == .space {
      if isNewline(self[end]) { afterNewline = next.end }
      last = end
      end = next.end
    }
    if endingAtNewline, let afterNewline { return afterNewline }
    // A run before something visible leaves its last character to it, unless that is all there is.
    return end == count || last == start ? end : last
  }
}
