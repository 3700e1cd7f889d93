/// What a `.npy` file says of the array behind it. Source: "The NPY format" of NumPy (numpy.lib.format), versions 1 to 3.
///
/// The header is the text of a Python dictionary. It is read here as NumPy writes it and evaluated nowhere.
struct NumPyHeader: Equatable, Sendable {
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// Longest text that is read, as in NumPy.
  static let maximumLength = 10_000

  /// NumPy's name of the element type, such as `<f4`.
  var type: String
  /// Whether the first index runs fastest.
  var isColumnMajor: Bool
  var shape: [Int]
  /// Where the elements begin in the file.
  var dataStart: Int

  /// - Parameters:
  ///   - file: the whole file.
  ///   - path: its name, for messages.
  /// - Throws: `FlowerError` of kind `data` that says what was expected.
  init(_ file: UnsafeRawBufferPointer, path: String) throws {
    guard file.count >= 10, file.starts(with: Self.magic) else {
      throw FlowerError(.data, "\(path): expected a .npy file, which begins with the byte 0x93 and NUMPY")
    }
    let version = file[6]
    guard 1...3 ~= version, file[7] == 0 else {
      throw FlowerError(.data, "\(path): is a .npy file of version \(version).\(file[7]), expected 1.0, 2.0 or 3.0")
    }
    let textStart = version == 1 ? 10 : 12
    let length = file[8..<min(textStart, file.count)].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard file.count >= textStart, length <= min(Self.maximumLength, file.count - textStart) else {
      throw FlowerError(
        .data, "\(path): its header has \(length) bytes, expected at most \(Self.maximumLength) within the file")
    }
    var parser = Parser(text: file[textStart..<textStart + length], path: path)
    dataStart = textStart + length
    (type, isColumnMajor, shape) = try parser.header()
  }

  private struct Parser {
    var text: Slice<UnsafeRawBufferPointer>
    let path: String

    mutating func header() throws -> (type: String, isColumnMajor: Bool, shape: [Int]) {
      var type: String?
      var isColumnMajor: Bool?
      var shape: [Int]?
      try expect("{")
      while !take("}") {
        let key = try string()
        try expect(":")
        switch key {
        case "descr" where type == nil: type = try string()
        case "fortran_order" where isColumnMajor == nil: isColumnMajor = try truth()
        case "shape" where shape == nil: shape = try extents()
        default: throw expected("the keys descr, fortran_order and shape, each once")
        }
        if !take(",") {
          try expect("}")
          break
        }
      }
      skipSpaces()
      guard text.allSatisfy({ $0 == UInt8(ascii: "\n") }), text.count <= 1 else {
        throw expected("nothing but spaces and a line break after the dictionary")
      }
      guard let type, let isColumnMajor, let shape else {
        throw expected("the keys descr, fortran_order and shape, each once")
      }
      return (type, isColumnMajor, shape)
    }

    private func expected(_ what: String) -> FlowerError {
      FlowerError(.data, "\(path): its header is not as NumPy writes it: expected \(what)")
    }

    private mutating func skipSpaces() { text = text.drop { $0 == UInt8(ascii: " ") } }

    private mutating func take(_ word: String) -> Bool {
      skipSpaces()
      guard text.starts(with: word.utf8) else { return false }
      text = text.dropFirst(word.utf8.count)
      return true
    }

    private mutating func expect(_ word: String) throws {
      guard take(word) else { throw expected(word) }
    }

    /// A text in quotes of either kind, without escapes.
    private mutating func string() throws -> String {
      let quote: UInt8 = take("'") ? UInt8(ascii: "'") : UInt8(ascii: "\"")
      if quote == UInt8(ascii: "\"") { try expect("\"") }
      guard let end = text.firstIndex(of: quote), !text[..<end].contains(UInt8(ascii: "\\")) else {
        throw expected("a text in quotes, such as 'descr' or '<f4' (arrays of records are not read)")
      }
      defer { text = text[(end + 1)...] }
      return String(decoding: text[..<end], as: UTF8.self)
    }

    private mutating func truth() throws -> Bool {
      if take("True") { return true }
      guard take("False") else { throw expected("True or False") }
      return false
    }

    private mutating func extents() throws -> [Int] {
      var extents: [Int] = []
      try expect("(")
      while !take(")") {
        skipSpaces()
        let digits = text.prefix { 0x30...0x39 ~= $0 }
        guard let extent = Int(String(decoding: digits, as: UTF8.self)) else {
          throw expected("extents that are not negative")
        }
        extents.append(extent)
        text = text[digits.endIndex...]
        if !take(",") {
          // Python writes a tuple of one with a comma.
          guard extents.count > 1 else { throw expected(",") }
          try expect(")")
          break
        }
      }
      return extents
    }
  }
}
