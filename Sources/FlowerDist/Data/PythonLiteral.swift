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
private struct PythonLiteral: LiteralScanner {
  let bytes: [UInt8]
  let place: LinePlace
  var position = 0
  var depth = 0
  var values = 0

  init(bytes: [UInt8], place: LinePlace) {
    self.bytes = bytes
    self.place = place
  }

  mutating func parse() throws -> JSON {
    skipSpace()
    let value = try parseValue()
    skipSpace()
    if position < bytes.count { throw error("expected the end after the value") }
    return value
  }

  private mutating func parseValue() throws -> JSON {
    try countValue()
    guard let first = peek else { throw error("expected a value") }
    switch first {
    case UInt8(ascii: "["): return try nested { parser throws in .array(try parser.parseElements(until: "]").elements) }
    case UInt8(ascii: "("):
      return try nested { parser throws in
        let (elements, hasComma) = try parser.parseElements(until: ")")
        // Without a comma they are brackets around a value.
        return elements.count == 1 && !hasComma ? elements[0] : .array(elements)
      }
    case UInt8(ascii: "{"): return try nested { parser throws in try parser.parseDictionary() }
    case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "u"): return .string(try parseString())
    case UInt8(ascii: "T"): return try parseWord("True", .bool(true))
    case UInt8(ascii: "F"): return try parseWord("False", .bool(false))
    case UInt8(ascii: "N"): return try parseWord("None", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try parseNumber())
    default: throw error("expected a value")
    }
  }

  /// The elements of a list or tuple; a comma may follow the last.
  private mutating func parseElements(until end: Unicode.Scalar) throws -> (elements: [JSON], hasComma: Bool) {
    var elements: [JSON] = []
    var hasComma = false
    while !skip(end) {
      elements.append(try parseValue())
      skipSpace()
      if skip(end) { break }
      guard skip(",") else { throw error("expected , or \(end)") }
      hasComma = true
      skipSpace()
    }
    return (elements, hasComma)
  }

  private mutating func parseDictionary() throws -> JSON {
    var members: [JSON.Member] = []
    var keys = KeySet()
    while !skip("}") {
      let start = position
      let key = try parseString()
      guard keys.insert(key, after: members) else { throw error("a key occurs twice", at: start) }
      skipSpace()
      guard skip(":") else { throw error("expected : after a key") }
      skipSpace()
      members.append(JSON.Member(key, try parseValue()))
      skipSpace()
      if skip("}") { break }
      guard skip(",") else { throw error("expected , or }") }
      skipSpace()
    }
    return .object(members)
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
    guard let scalar = Unicode.Scalar(try parseHexadecimal(digits: digits, escape: start)) else {
      throw error("no Unicode character has this number", at: start)
    }
    return Array(UTF8.encode(scalar)!)
  }

  mutating func skipSpace() { while skip(" ") {} }

  func error(_ message: String, at offset: Int?) -> FlowerError {
    place.error("\(message) (byte \(offset ?? position) of the Python literal)")
  }
}
