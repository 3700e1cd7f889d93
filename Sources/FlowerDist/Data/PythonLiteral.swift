extension JSON {
  /// Reads one Python literal as `repr` writes it, and nothing but spaces around it; nothing is evaluated.
  ///
  /// Understood are strings in single or double quotes (with Python 2's `u` before them), numbers as in JSON, `True`,
  /// `False`, `None`, lists, tuples as arrays, and dictionaries whose keys are strings. Of escapes those that `repr`
  /// writes: `\\ \' \" \n \r \t`, `\xhh`, `\uhhhh`, `\Uhhhhhhhh`. Refused: everything else, control characters, keys that
  /// occur twice, and what `init(parsing:)` refuses for its size.
  ///
  /// - Throws: `FlowerError` of kind `data` with the byte at which it is wrong.
  init(parsingPython text: [UInt8], place: LinePlace) throws {
    var parser = PythonLiteral(bytes: text, place: place)
    self = try parser.parse()
  }
}

/// A recursive descent over the bytes of one Python literal.
private struct PythonLiteral {
  let bytes: [UInt8]
  let place: LinePlace
  private var position = 0
  private var depth = 0
  private var values = 0

  init(bytes: [UInt8], place: LinePlace) {
    self.bytes = bytes
    self.place = place
  }

  mutating func parse() throws -> JSON {
    skipSpaces()
    let value = try parseValue()
    skipSpaces()
    if position < bytes.count { throw error("expected the end after the value") }
    return value
  }

  private mutating func parseValue() throws -> JSON {
    values += 1
    if values > JSON.valueLimit { throw error("more than \(JSON.valueLimit) values") }
    switch peek {
    case UInt8(ascii: "["): return try nested { parser throws in .array(try parser.parseElements(until: "]")) }
    case UInt8(ascii: "("): return try nested { parser throws in .array(try parser.parseElements(until: ")")) }
    case UInt8(ascii: "{"): return try nested { parser throws in try parser.parseDictionary() }
    case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "u"): return .string(try parseString())
    case UInt8(ascii: "T"): return try parseWord("True", .bool(true))
    case UInt8(ascii: "F"): return try parseWord("False", .bool(false))
    case UInt8(ascii: "N"): return try parseWord("None", .null)
    default: return try parseNumber()
    }
  }

  private mutating func nested(_ body: (inout PythonLiteral) throws -> JSON) throws -> JSON {
    if depth == JSON.nestingLimit { throw error("nested deeper than \(JSON.nestingLimit) levels") }
    depth += 1
    position += 1
    skipSpaces()
    let value = try body(&self)
    depth -= 1
    return value
  }

  /// The elements of a list or tuple; a comma may follow the last.
  private mutating func parseElements(until end: Unicode.Scalar) throws -> [JSON] {
    var elements: [JSON] = []
    while !skip(end) {
      elements.append(try parseValue())
      skipSpaces()
      if skip(end) { break }
      guard skip(",") else { throw error("expected , or \(end)") }
      skipSpaces()
    }
    return elements
  }

  private mutating func parseDictionary() throws -> JSON {
    var members: [JSON.Member] = []
    var keys = Set<[UInt8]>()
    while !skip("}") {
      let start = position
      let key = try parseString()
      guard keys.insert(Array(key.utf8)).inserted else { throw error("a key occurs twice", at: start) }
      skipSpaces()
      guard skip(":") else { throw error("expected : after a key") }
      skipSpaces()
      members.append(JSON.Member(key, try parseValue()))
      skipSpaces()
      if skip("}") { break }
      guard skip(",") else { throw error("expected , or }") }
      skipSpaces()
    }
    return .object(members)
  }

  private mutating func parseWord(_ word: StaticString, _ value: JSON) throws -> JSON {
    let end = position + word.utf8CodeUnitCount
    let characters = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
    guard end <= bytes.count, bytes[position..<end].elementsEqual(characters) else { throw error("expected a value") }
    position = end
    return value
  }

  private mutating func parseNumber() throws -> JSON {
    let start = position
    _ = skip("-")
    if !skip("0") { try skipDigits() }
    if skip(".") { try skipDigits() }
    if skip("e") || skip("E") {
      _ = skip("-") || skip("+")
      try skipDigits()
    }
    return .number(String(decoding: bytes[start..<position], as: UTF8.self))
  }

  private mutating func skipDigits() throws {
    let start = position
    while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
    if position == start { throw error("expected a value", at: start) }
  }

  private mutating func parseString() throws -> String {
    let start = position
    _ = skip("u")
    guard let quote = peek, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
      throw error("expected a string in quotes", at: start)
    }
    position += 1
    var text: [UInt8] = []
    while let byte = peek {
      position += 1
      switch byte {
      case quote:
        guard let string = String(validating: text, as: UTF8.self) else {
          throw error("a string is not valid UTF-8", at: start)
        }
        return string
      case UInt8(ascii: "\\"): text += try parseEscape()
      case 0..<0x20: throw error("a control character in a string", at: position - 1)
      default: text.append(byte)
      }
    }
    throw error("a string is not closed", at: start)
  }

  /// The UTF-8 of an escape whose backslash has been read.
  private mutating func parseEscape() throws -> [UInt8] {
    let start = position - 1
    guard let letter = peek else { throw error("a string is not closed", at: start) }
    position += 1
    switch letter {
    case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): return [letter]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "x"): return try parseScalar(digits: 2, escape: start)
    case UInt8(ascii: "u"): return try parseScalar(digits: 4, escape: start)
    case UInt8(ascii: "U"): return try parseScalar(digits: 8, escape: start)
    default: throw error("an unknown escape", at: start)
    }
  }

  private mutating func parseScalar(digits: Int, escape start: Int) throws -> [UInt8] {
    var value: UInt32 = 0
    for _ in 0..<digits {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error("expected \(digits) hexadecimal digits", at: start)
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    guard let scalar = Unicode.Scalar(value) else { throw error("no Unicode character has this number", at: start) }
    return Array(UTF8.encode(scalar)!)
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func skipSpaces() { while skip(" ") {} }

  private func error(_ message: String, at offset: Int? = nil) -> FlowerError {
    place.error("\(message) (byte \(offset ?? position) of the Python literal)")
  }
}
