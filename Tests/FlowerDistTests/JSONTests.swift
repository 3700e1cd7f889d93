import Testing

@testable import FlowerDist

@Suite struct JSONTests {
  static let surrogates = #""\ud83d\ude42""#

  @Test(arguments: [
    ("null", "null"), (" true ", "true"), ("\t\r\nfalse\n", "false"), ("0", "0"), ("-0", "-0"),
    ("-12.50e+3", "-12.50e+3"),
    ("[]", "[]"), ("[ ]", "[]"), ("{}", "{}"), ("{ }", "{}"), (#"[1 , "a",null]"#, #"[1,"a",null]"#),
    (#"{"b" : 1, "a":{"b":[ ]}}"#, #"{"b":1,"a":{"b":[]}}"#), (#""\/\b\f\n\r\t\"\\""#, #""/\b\f\n\r\t\"\\""#),
    (#""\u0000\u001f\u00e9""#, #""\u0000\u001fé""#), (surrogates, "\"🙂\""), (#""x\u0041y""#, #""xAy""#),
    ("\"\u{7F}\u{2028}\"", "\"\u{7F}\u{2028}\""),
    // Canonically equal, but not the same bytes.
    ("{\"\u{E9}\":1,\"e\u{301}\":2}", "{\"\u{E9}\":1,\"e\u{301}\":2}"),
  ])
  func accepts(text: String, compact: String) throws {
    let value = try JSON(parsing: Array(text.utf8))
    #expect(value.serialized() == Array(compact.utf8))
    #expect(try JSON(parsing: value.serialized(pretty: true)).serialized() == Array(compact.utf8))
  }

  @Test(arguments: [
    "", " ", "nul", "nullx", "True", "1 2", "[1]]", "[1,]", "[,1]", "[1 2]", "[", "[1", "{", #"{"a"}"#, #"{"a":}"#,
    #"{"a":1,}"#, #"{a:1}"#, #"{"a" 1}"#, #"{"a":1 "b":2}"#, "01", "-", "-a", "+1", "1.", ".5", "1e", "1e+", "0x1",
    "NaN", "Infinity", "'a'", "\"a", "\"\\", #""\x""#, #""\u12""#, #""\u12g4""#, #""\u+123""#, #""\ud800""#,
    #""\udc00""#, #""\ud800x""#, #""\ud800\n""#, #""\ud800\ud800""#, #""\ud800\u0041""#, "\"a\nb\"", "\"a\u{0}\"",
    "\u{FEFF}1", "\u{A0}1", "// c\n1", #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#,
  ])
  func refuses(text: String) {
    #expect(throws: FlowerError.self) { try JSON(parsing: Array(text.utf8)) }
  }

  @Test(
    arguments: [
      [0x80], [0xC0, 0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF],
    ] as [[UInt8]])
  func refusesInvalidUTF8(content: [UInt8]) {
    #expect(throws: FlowerError.self) { try JSON(parsing: [0x22] + content + [0x22]) }
    #expect(throws: FlowerError.self) { try JSON(parsing: Array("\"\\n".utf8) + content + [0x22]) }
    #expect(throws: FlowerError.self) { try JSON(parsing: content) }
  }

  @Test func everyPrefixAndEveryChangedByteIsReadOrRefused() {
    let text = Array(#"{"a":[1,-2.5e3,"\u00e9\ud83d\ude42x"],"b":{"c":null,"d":true}}"#.utf8)
    for count in 0..<text.count {
      #expect(throws: FlowerError.self) { try JSON(parsing: Array(text[..<count])) }
    }
    for index in text.indices {
      for byte in [0x00, 0x22, 0x2C, 0x5C, 0x7B, 0x7D, 0x80, 0xFF] as [UInt8] {
        var changed = text
        changed[index] = byte
        _ = try? JSON(parsing: changed)
      }
    }
  }

  @Test func nestingIsLimited() throws {
    func nested(_ depth: Int) -> [UInt8] {
      Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
    }
    _ = try JSON(parsing: nested(JSON.nestingLimit))
    #expect(throws: FlowerError.self) { try JSON(parsing: nested(JSON.nestingLimit + 1)) }
    #expect(throws: FlowerError.self) { try JSON(parsing: nested(1_000_000)) }
  }

  @Test func valuesAreLimited() throws {
    func list(_ count: Int) -> [UInt8] { Array("[0\(String(repeating: ",0", count: count - 1))]".utf8) }
    // The list is a value too.
    #expect(try JSON(parsing: list(JSON.valueLimit - 1)).array?.count == JSON.valueLimit - 1)
    let error = flowerError { _ = try JSON(parsing: list(JSON.valueLimit)) }
    #expect(error?.description.contains("more than \(JSON.valueLimit) values") == true)
  }

  @Test(
    arguments: [
      [0xFE, 0xFF, 0x00, 0x31], [0xFF, 0xFE, 0x31, 0x00], [0x31, 0x00], [0x00, 0x31], [0x7B, 0x00, 0x7D, 0x00],
      [0x00, 0x7B, 0x00, 0x7D], [0x31, 0x00, 0x00, 0x00], [0xEF, 0xBB, 0xBF, 0x31],
    ] as [[UInt8]])
  func refusesOtherEncodings(content: [UInt8]) {
    #expect(throws: FlowerError.self) { try JSON(parsing: content) }
  }

  @Test func messagesStayOnALine() throws {
    #expect("a\n\u{1B}[2J\u{7F}\u{9B}\u{2028}é".quoted == #""a\n\u001b[2J\u007f\u009b\u2028é""#)
    #expect(String(repeating: "e\u{301}", count: 100).quoted.unicodeScalars.count == 202)
    #expect(String(repeating: "x", count: 201).quoted == "\"\(String(repeating: "x", count: 200))…\"")
    let value: JSON = ["a": ["\u{85}"]]
    #expect(value.excerpt == #"{"a":["\u0085"]}"#)
    #expect(JSON((0..<1000).map { JSON($0) }).excerpt.count == 201)
    let fields = try JSONFields(["a\nb": ["c\u{7F}": 1]], path: "f.json").object("a\nb")
    #expect(fields.error("c\u{7F}", "no").description == #"f.json: "a\nb.c\u007f": no"#)
  }

  @Test func duplicatesAreFoundAmongManyKeys() throws {
    let members = (0..<1000).map { "\"k\($0)\":\($0)" }
    let value = try JSON(parsing: Array("{\(members.joined(separator: ","))}".utf8))
    #expect(value.object?.count == 1000)
    #expect(value["k999"]?.int == 999)
    #expect(throws: FlowerError.self) {
      try JSON(parsing: Array("{\((members + ["\"k3\":0"]).joined(separator: ","))}".utf8))
    }
  }

  @Test func errorsNameThePlace() {
    let text = Array("{\n  \"é\": nope}".utf8)
    let error = #expect(throws: FlowerError.self) { try JSON(parsing: text, file: "a.json", line: 7) }
    #expect(error?.kind == .data)
    #expect(error?.description == "a.json:8:8: expected null (byte 10)")
  }

  @Test func integersAreWrittenInDigits() throws {
    func number(_ text: String) -> JSON { .number(text) }
    #expect(number("42").int == 42)
    #expect(number("-42").int == -42)
    for text in ["4.0", "1e3", "4e0", "9223372036854775808"] { #expect(number(text).int == nil) }
    #expect(number("4.0").double == 4)
    #expect(number("1e999").double == nil)
    #expect(JSON("42").int == nil)
  }

  @Test func keysAreComparedByBytes() throws {
    let value: JSON = ["\u{E9}": 1, "x": [true, nil, 1.5, "s"]]
    #expect(value["e\u{301}"] == nil)
    #expect(value["\u{E9}"]?.int == 1)
    #expect(value["x"]?.array?.count == 4)
    #expect(value["x"]?["y"] == nil)
  }

  @Test(
    arguments: [
      0, -0.0, 1, -1.5, 0.1, 1.0 / 3, 1e16, 1e-7, 123_456_789_012_345_680, .pi, .leastNonzeroMagnitude,
      .greatestFiniteMagnitude,
      .leastNormalMagnitude, 1e22,
    ] as [Double])
  func doublesReadBackExactly(value: Double) throws {
    let read = try JSON(parsing: JSON(value).serialized()).double
    #expect(read?.bitPattern == value.bitPattern)
  }

  @Test func nonFiniteIsNull() {
    for value in [Double.nan, .infinity, -.infinity] { #expect(JSON(value).description == "null") }
  }

  @Test func prettyText() {
    let value: JSON = ["a": [1, []], "b": [:]]
    #expect(
      String(decoding: value.serialized(pretty: true), as: UTF8.self) == """
        {
          "a": [
            1,
            []
          ],
          "b": {}
        }
        """)
  }
}
