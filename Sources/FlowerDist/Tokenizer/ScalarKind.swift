/// What the split patterns tell apart: `\p{L}`, `\p{N}`, `\s` and the rest.
enum ScalarKind: UInt8, Sendable {
  case letter, number, space, other

  private static let ascii: [ScalarKind] = (0..<0x80).map { ScalarKind(slow: Unicode.Scalar(UInt8($0))) }

  init(_ scalar: Unicode.Scalar) {
    self = scalar.isASCII ? Self.ascii[Int(scalar.value)] : ScalarKind(slow: scalar)
  }

  private init(slow scalar: Unicode.Scalar) {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
    case .decimalNumber, .letterNumber, .otherNumber: self = .number
    default: self = scalar.properties.isWhitespace ? .space : .other
    }
  }
}

extension [UInt8] {
  /// The character that begins at `start` of valid UTF-8, and where it ends.
  func scalar(at start: Int) -> (scalar: Unicode.Scalar, end: Int) {
    let first = self[start]
    if first < 0x80 { return (Unicode.Scalar(first), start + 1) }
    let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    var value = UInt32(first) & (0x7F >> UInt32(length))
    for byte in self[start + 1..<start + length] { value = value << 6 | UInt32(byte & 0x3F) }
    return (Unicode.Scalar(value)!, start + length)
  }
}
