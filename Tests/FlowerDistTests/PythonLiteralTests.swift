import Testing

@testable import FlowerDist

@Suite struct PythonLiteralTests {
  private func parse(_ text: String) throws -> JSON {
    try JSON(parsingPython: Array(text.utf8), place: LinePlace(path: "x.csv", number: 3))
  }

  /// What `print(repr(…))` and `print(ascii(…))` of Python 3.11 write for these strings.
  @Test(arguments: [
    ##"['A', "It's", 'say "hi"', 'both \' and "', 'tab\t nl\n cr\r back\\ ', 'café 🙂', '\x00\x7f\xa0\u200b\ufeff']"##,
    ##"['A', "It's", 'say "hi"', 'both \' and "', 'tab\t nl\n cr\r back\\ ', 'caf\xe9 \U0001f642', '\x00\x7f\xa0\u200b\ufeff']"##,
  ])
  func stringsAsPythonWritesThem(text: String) throws {
    #expect(
      try parse(text).array?.map(\.string) == [
        "A", "It's", #"say "hi""#, #"both ' and ""#, "tab\t nl\n cr\r back\\ ", "caf\u{E9} \u{1F642}",
        "\0\u{7F}\u{A0}\u{200B}\u{FEFF}",
      ])
  }

  @Test func otherValues() throws {
    let value = try parse(
      #"[1, -2, 3.5, 1e-05, 1e+16, True, False, None, [], (), (1,), {'a': [{'b': u'c'}], "d'": 2}]"#)
    #expect(
      value.description
        == #"[1,-2,3.5,1e-05,1e+16,true,false,null,[],[],[1],{"a":[{"b":"c"}],"d'":2}]"#)
    #expect(try parse("(('a'))").string == "a", "brackets around a value are no tuple")
    #expect(try parse("  [ 0 ,1,]  ").array?.map(\.int) == [0, 1])
  }

  @Test(arguments: [
    "", "[", "['a'", "['a' 'b']", "[1 2]", "[,]", "'a", #"'\q'"#, #"'\x4'"#, #"'\ud800'"#, #"'\U00110000'"#, "'a\nb'",
    #"'\"#, "[1] 2", "01", "-", "1_0", "0x1", "1+1", "nan", "inf", "Truth", "b'a'", "f'a'", "r'a'", "'''a'''",
    "{'a': 1, 'a': 2}", "{1: 2}", "{'a', 'b'}", "{'a'}", "__import__('os').system('x')", "list()", "[x for x in y]",
    "\t1", "1.", ".5", "u", "#", "[1]#",
  ])
  func refuses(text: String) {
    let error = flowerError { _ = try parse(text) }
    #expect(error?.kind == .data && error?.description.hasPrefix("x.csv:3: ") == true)
  }

  @Test func deepNestingIsRefused() {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(flowerError { _ = try parse(nested(128)) } == nil)
    #expect(flowerError { _ = try parse(nested(100_000)) }?.description.contains("nested deeper") == true)
  }
}
