extension JSON {
  /// Arrays and objects nested deeper than this are refused; real files stay below ten.
  public static let nestingLimit = 128

  /// Texts of more values than this are refused, so that a file cannot take many times its size: a value takes up to
  /// 100 bytes and its text may have two. The largest files known, tokenizers with half a million merges, stay below
  /// half of it.
  public static let valueLimit = 1 << 22

  /// Reads one JSON text, and nothing but white space around it.
  ///
  /// Refused: anything RFC 8259 does not allow, a byte-order mark, invalid UTF-8, lone surrogates in `\u` escapes,
  /// keys of one object with the same bytes, nesting deeper than `nestingLimit`, and more values than `valueLimit`.
  ///
  /// - Parameters:
  ///   - bytes: UTF-8.
  ///   - file: names the text in errors, which read `file:line:column: what is wrong (byte offset)`; columns count
  ///     characters (Unicode scalars) from 1.
  ///   - line: number of the first line, for a text that is one line of a file.
  public init(parsing bytes: UnsafeRawBufferPointer, file: String = "JSON", line: Int = 1) throws {
    var parser = JSONParser(bytes: bytes, file: file, firstLine: line)
    self = try parser.parse()
  }

  public init(parsing bytes: [UInt8], file: String = "JSON", line: Int = 1) throws {
    self = try bytes.withUnsafeBytes { try JSON(parsing: $0, file: file, line: line) }
  }
}

/// A recursive descent over the bytes of one JSON text.
private struct JSONParser {
  let bytes: UnsafeRawBufferPointer
  let file: String
  let firstLine: Int
  var position = 0
  var depth = 0
  var values = 0
  /// Bytes of the string being read, once it has an escape.
  var unescaped: [UInt8] = []

  init(bytes: UnsafeRawBufferPointer, file: String, firstLine: Int) {
    self.bytes = bytes
    self.file = file
    self.firstLine = firstLine
  }

  mutating func parse() throws -> JSON {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { throw error("a byte-order mark is not allowed") }
    skipWhiteSpace()
    let value = try parseValue()
    skipWhiteSpace()
    if position < bytes.count { throw error("expected the end of the text after the value") }
    return value
  }

  private mutating func parseValue() throws -> JSON {
    values += 1
    if values > JSON.valueLimit { throw error("more than \(JSON.valueLimit) values") }
    guard let first = peek else { throw error("expected a value") }
    switch first {
    case UInt8(ascii: "{"): return try nested { parser throws in try parser.parseObject() }
    case UInt8(ascii: "["): return try nested { parser throws in try parser.parseArray() }
    case UInt8(ascii: "\""): return .string(try parseString())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try parseNumber())
    case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
    case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
    case UInt8(ascii: "n"): return try parseWord("null", .null)
    default: throw error("expected a value")
    }
  }

  private mutating func nested(_ body: (inout JSONParser) throws -> JSON) throws -> JSON {
    if depth == JSON.nestingLimit { throw error("nested deeper than \(JSON.nestingLimit) levels") }
    depth += 1
    position += 1
    skipWhiteSpace()
    let value = try body(&self)
    depth -= 1
    return value
  }

  private mutating func parseArray() throws -> JSON {
    var elements: [JSON] = []
    if skip("]") { return .array(elements) }
    while true {
      elements.append(try parseValue())
      skipWhiteSpace()
      if skip("]") { return .array(elements) }
      guard skip(",") else { throw error("expected , or ] in an array") }
      skipWhiteSpace()
    }
  }

  private mutating func parseObject() throws -> JSON {
    var members: [JSON.Member] = []
    var keys = KeySet()
    if skip("}") { return .object(members) }
    while true {
      let start = position
      guard peek == UInt8(ascii: "\"") else { throw error("expected a key in double quotes") }
      let key = try parseString()
      guard keys.insert(key, after: members) else {
        throw error("the key \(key.quoted) occurs twice in one object", at: start)
      }
      skipWhiteSpace()
      guard skip(":") else { throw error("expected : after a key") }
      skipWhiteSpace()
      members.append(JSON.Member(key, try parseValue()))
      skipWhiteSpace()
      if skip("}") { return .object(members) }
      guard skip(",") else { throw error("expected , or } in an object") }
      skipWhiteSpace()
    }
  }

  private mutating func parseWord(_ word: StaticString, _ value: JSON) throws -> JSON {
    let start = position
    for byte in UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount) {
      guard peek == byte else { throw error("expected \(word)", at: start) }
      position += 1
    }
    return value
  }

  private mutating func parseNumber() throws -> String {
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

  private mutating func parseString() throws -> String {
    let start = position
    position += 1
    unescaped.removeAll(keepingCapacity: true)
    var run = position  // where the bytes begin that are not yet in `unescaped`
    while let byte = peek {
      switch byte {
      case UInt8(ascii: "\""):
        let tail = bytes[run..<position]
        position += 1
        if unescaped.isEmpty { return try validated(UnsafeRawBufferPointer(rebasing: tail), start: start) }
        unescaped.append(contentsOf: tail)
        return try unescaped.withUnsafeBytes { try validated($0, start: start) }
      case UInt8(ascii: "\\"):
        unescaped.append(contentsOf: bytes[run..<position])
        try parseEscape()
        run = position
      case 0..<0x20:
        throw error("a control character in a string must be escaped")
      default:
        position += 1
      }
    }
    throw error("a string is not closed", at: start)
  }

  private func validated(_ content: UnsafeRawBufferPointer, start: Int) throws -> String {
    let units = content.bindMemory(to: UInt8.self)
    guard let text = String(validating: units, as: UTF8.self) else {
      throw error("a string is not valid UTF-8", at: start)
    }
    return text
  }

  /// Reads the escape at `position` into `unescaped`.
  private mutating func parseEscape() throws {
    let start = position
    position += 1
    let letter = peek
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(letter!)
    case UInt8(ascii: "b"): unescaped.append(0x08)
    case UInt8(ascii: "f"): unescaped.append(0x0C)
    case UInt8(ascii: "n"): unescaped.append(0x0A)
    case UInt8(ascii: "r"): unescaped.append(0x0D)
    case UInt8(ascii: "t"): unescaped.append(0x09)
    case UInt8(ascii: "u"):
      var scalar = try parseHexadecimal(escape: start)
      if scalar & 0xFC00 == 0xD800, skip("\\") {
        guard skip("u") else { throw error("a lone surrogate", at: start) }
        let low = try parseHexadecimal(escape: start)
        guard low & 0xFC00 == 0xDC00 else { throw error("a lone surrogate", at: start) }
        scalar = 0x10000 + (scalar & 0x3FF) << 10 + low & 0x3FF
      }
      guard let scalar = Unicode.Scalar(scalar) else { throw error("a lone surrogate", at: start) }
      unescaped.append(contentsOf: UTF8.encode(scalar)!)
    default: throw error("an unknown escape", at: start)
    }
  }

  private mutating func parseHexadecimal(escape start: Int) throws -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error("expected four hexadecimal digits after \\u", at: start)
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  // MARK: Bytes

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func skipWhiteSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private func error(_ message: String, at offset: Int? = nil) -> FlowerError {
    let offset = min(offset ?? position, bytes.count)
    let before = bytes[..<offset]
    let line = firstLine + before.count { $0 == 0x0A }
    let lineStart = (before.lastIndex(of: 0x0A) ?? -1) + 1
    // A continuation byte of UTF-8 begins no character.
    let column = 1 + before[lineStart...].count { $0 & 0xC0 != 0x80 }
    let end = offset == bytes.count ? ", the end" : ""
    return FlowerError(.data, "\(file):\(line):\(column): \(message) (byte \(offset)\(end))")
  }
}

/// The keys of one object, by bytes; a hash table only once there are many.
private struct KeySet {
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
