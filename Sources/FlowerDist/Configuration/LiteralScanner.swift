/// What reading a JSON text and a Python literal have in common: a place in bytes, counted values and levels, numbers,
/// words and hexadecimal digits.
protocol LiteralScanner {
  associatedtype Bytes: RandomAccessCollection where Bytes.Element == UInt8, Bytes.Index == Int

  /// From index 0.
  var bytes: Bytes { get }
  /// Of the byte that is read next.
  var position: Int { get set }
  var depth: Int { get set }
  var values: Int { get set }

  mutating func skipSpace()
  /// - Parameter offset: the byte at which it is wrong; `nil` for `position`.
  func error(_ message: String, at offset: Int?) -> FlowerError
}

extension LiteralScanner {
  var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  func error(_ message: String) -> FlowerError { error(message, at: nil) }

  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  mutating func countValue() throws {
    values += 1
    if values > JSON.valueLimit { throw error("more than \(JSON.valueLimit) values") }
  }

  /// Reads what is behind an opening bracket, one level deeper.
  mutating func nested(_ body: (inout Self) throws -> JSON) throws -> JSON {
    if depth == JSON.nestingLimit { throw error("nested deeper than \(JSON.nestingLimit) levels") }
    depth += 1
    position += 1
    skipSpace()
    let value = try body(&self)
    depth -= 1
    return value
  }

  mutating func parseWord(_ word: StaticString, _ value: JSON) throws -> JSON {
    let start = position
    for byte in UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount) {
      guard peek == byte else { throw error("expected \(word)", at: start) }
      position += 1
    }
    return value
  }

  /// A number as JSON writes it.
  mutating func parseNumber() throws -> String {
    let start = position
    _ = skip("-")
    if !skip("0") { try skipDigits() }
    if skip(".") { try skipDigits() }
    if skip("e") || skip("E") {
      _ = skip("-") || skip("+")
      try skipDigits()
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func skipDigits() throws {
    let start = position
    while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
    if position == start { throw error("expected a digit") }
  }

  /// The number that so many hexadecimal digits write, at most 8; `escape` is where they begin to mean something.
  mutating func parseHexadecimal(digits: Int, escape: Int) throws -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<digits {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error("expected \(digits) hexadecimal digits", at: escape)
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}

/// The keys of one object, by bytes; a hash table only once there are many.
struct KeySet {
  private struct Key: Hashable {
    let text: String
    static func == (a: Key, b: Key) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
    func hash(into hasher: inout Hasher) {
      var text = text
      text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
  }

  private var table: Set<Key> = []

  /// Adds the key of the next member; `false` if one of `members` has it.
  mutating func insert(_ key: String, after members: [JSON.Member]) -> Bool {
    guard members.count >= 16 else {
      return !members.contains { $0.key.utf8.elementsEqual(key.utf8) }
    }
    if table.isEmpty { table = Set(members.map { Key(text: $0.key) }) }
    return table.insert(Key(text: key)).inserted
  }
}
