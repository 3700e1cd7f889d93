/// Byte-level BPE. Placeholder signature; see the branch `tokenizer`.
public struct Tokenizer: Sendable {
  public var vocabularySize: Int { 256 }
  public static let bytes = Tokenizer()
  public func encode(_ text: String) -> [Int32] { text.utf8.map { Int32($0) } }
  public func decode(_ tokens: [Int32]) -> [UInt8] { tokens.map { UInt8(truncatingIfNeeded: $0) } }
}
