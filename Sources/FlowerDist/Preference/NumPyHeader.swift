/// What a `.npy` file says of the array behind it. Source: "The NPY format" of NumPy (numpy.lib.format), versions 1 to 3.
///
/// The header is the text of a Python dictionary, which is read as a literal and evaluated nowhere.
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
    dataStart = textStart + length
    var text = Array(file[textStart..<dataStart])
    if text.last == UInt8(ascii: "\n") { text.removeLast() }
    let place = LinePlace(path: path, number: 1)
    func expected(_ what: String) -> FlowerError {
      FlowerError(.data, "\(path): its header is not as NumPy writes it: \(what)")
    }
    let json: JSON
    do {
      json = try JSON(parsingPython: text, place: place)
    } catch let error as FlowerError { throw expected(place.reason(of: error)) }
    guard json.object?.count == 3, let type = json["descr"]?.string, let order = json["fortran_order"]?.bool,
      let extents = json["shape"]?.array?.map(\.int)
    else {
      throw expected(
        "expected the keys descr, a text (arrays of records are not read), fortran_order and shape, a tuple")
    }
    shape = extents.compactMap { $0 }
    guard shape.count == extents.count, shape.allSatisfy({ $0 >= 0 }) else {
      throw expected("expected extents that are not negative")
    }
    (self.type, isColumnMajor) = (type, order)
  }
}
