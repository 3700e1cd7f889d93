/// GPT-2's way to write bytes as text: every byte has a printable character that stands for it.
///
/// Printable Latin-1 bytes stand for themselves; the other 68 become U+0100, U+0101, … in byte order (`bytes_to_unicode`
/// of the published code). A space is never in the text, so it can separate the two halves of a merge.
enum ByteAlphabet {
  private static let scalars: [Unicode.Scalar] = {
    var unprintable: UInt32 = 0
    return (0...UInt8.max).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(byte)
      default:
        defer { unprintable += 1 }
        return Unicode.Scalar(0x100 + unprintable)!
      }
    }
  }()

  private static let bytes: [UInt8?] = {
    var bytes = [UInt8?](repeating: nil, count: 0x100 + 68)
    for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = UInt8(byte) }
    return bytes
  }()

  /// The text that stands for `bytes`.
  static func text(_ bytes: some Sequence<UInt8>) -> String {
    var text = String.UnicodeScalarView()
    for byte in bytes { text.append(scalars[Int(byte)]) }
    return String(text)
  }

  /// The bytes that `text` stands for; `nil` if it has a character outside the alphabet.
  static func bytes(_ text: some StringProtocol) -> [UInt8]? {
    var result: [UInt8] = []
    for scalar in text.unicodeScalars {
      guard scalar.value < bytes.count, let byte = bytes[Int(scalar.value)] else { return nil }
      result.append(byte)
    }
    return result
  }
}
