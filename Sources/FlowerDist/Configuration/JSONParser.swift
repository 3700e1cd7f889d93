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
private struct JSONParser: LiteralScanner {
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
    skipSpace()
    let value = try parseValue()
    skipSpace()
    if position < bytes.count { throw error("expected the end of the text after the value") }
    return value
  }

  private mutating func parseValue() throws -> JSON {
    try countValue()
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

  private mutating func parseArray() throws -> JSON {
    var elements: [JSON] = []
    if skip("]") { return .array(elements) }
    while true {
      elements.append(try parseValue())
      skipSpace()
      if skip("]") { return .array(elements) }
      guard skip(",") else { throw error("expected , or ] in an array") }
      skipSpace()
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
      skipSpace()
      guard skip(":") else { throw error("expected : after a key") }
      skipSpace()
      members.append(JSON.Member(key, try parseValue()))
      skipSpace()
      if skip("}") { return .object(members) }
      guard skip(",") else { throw error("expected , or } in an object") }
      skipSpace()
    }
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
      var scalar = try parseHexadecimal(digits: 4, escape: start)
      if scalar & 0xFC00 == 0xD800, skip("\\") {
        guard skip("u") else { throw error("a lone surrogate", at: start) }
        let low = try parseHexadecimal(digits: 4, escape: start)
        guard low & 0xFC00 == 0xDC00 else { throw error("a lone surrogate", at: start) }
        scalar = 0x10000 + (scalar & 0x3FF) << 10 + low & 0x3FF
      }
      guard let scalar = Unicode.Scalar(scalar) else { throw error("a lone surrogate", at: start) }
      unescaped.append(contentsOf: UTF8.encode(scalar)!)
    default: throw error("an unknown escape", at: start)
    }
  }

  mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  func error(_ message: String, at offset: Int?) -> FlowerError {
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
