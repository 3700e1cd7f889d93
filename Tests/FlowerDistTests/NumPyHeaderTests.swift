import Testing

@testable import FlowerDist

@Suite struct NumPyHeaderTests {
  /// A file of version 1 with this text for a header.
  static func file(_ text: String, version: UInt8 = 1, data: [UInt8] = []) -> [UInt8] {
    let length = UInt32(text.utf8.count)
    let lengths = (0..<(version == 1 ? 2 : 4)).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) }
    return NumPyHeader.magic + [version, 0] + lengths + Array(text.utf8) + data
  }

  private func read(_ bytes: [UInt8]) throws -> NumPyHeader {
    try bytes.withUnsafeBytes { try NumPyHeader($0, path: "a.npy") }
  }

  /// What `numpy.save` of NumPy 2 writes, and `numpy.lib.format.write_array` with `version=(2, 0)`.
  @Test func asNumPyWritesThem() throws {
    let padding = String(repeating: " ", count: 58)
    let matrix = try read(
      Self.file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" + padding + "\n"))
    #expect(matrix.type == "<f4" && !matrix.isColumnMajor && matrix.shape == [2, 3] && matrix.dataStart == 128)
    let fortran = try read(Self.file("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }\n", version: 2))
    #expect(fortran.type == "<f8" && fortran.isColumnMajor && fortran.dataStart == 12 + 59)
    #expect(try read(Self.file("{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }\n")).shape == [5])
    #expect(try read(Self.file("{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n")).shape == [])
    // Other writers: other quotes, order and spaces, no last commas.
    let other = try read(Self.file(#"{"shape":(7,1),"fortran_order":False,"descr":">i8"}"#, version: 3))
    #expect(other.shape == [7, 1] && other.type == ">i8")
  }

  private func expectRefusal(_ text: String) {
    let error = flowerError { _ = try read(Self.file(text)) }
    #expect(error?.kind == .data && error?.description.hasPrefix("a.npy: ") == true)
  }

  @Test(arguments: [
    "", "{", "}", "{}", "{,}", "[]", "{'descr': '<f4', 'fortran_order': False}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} x",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}\n\n",
    "{'descr': '<f4', 'descr': '<f4', 'shape': (2, 3)}",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
  ])
  func refusesOtherTexts(text: String) { expectRefusal(text) }

  @Test(arguments: [
    "2", "(2)", "(-2,)", "(2.0,)", "(2L,)", "(9223372036854775808,)", "(2,,)", "(,)", "{2}", "__import__('os')",
  ])
  func refusesOtherShapes(shape: String) {
    expectRefusal("{'descr': '<f4', 'fortran_order': False, 'shape': \(shape)}")
  }

  @Test func refusesOtherFiles() {
    let good = Self.file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n")
    for length in 0..<good.count - 1 { #expect(flowerError { _ = try read(Array(good[..<length])) }?.kind == .data) }
    for (place, byte) in [(0, 0x92), (5, 0x79), (6, 0), (6, 4), (7, 1), (9, 0xFF)] as [(Int, UInt8)] {
      var bytes = good
      bytes[place] = byte
      #expect(flowerError { _ = try read(bytes) }?.kind == .data, "byte \(place)")
    }
    // A length that only version 2 can write.
    #expect(flowerError { _ = try read(NumPyHeader.magic + [2, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x7B]) }?.kind == .data)
    let long = Self.file("{" + String(repeating: " ", count: 10_000) + "}")
    #expect(flowerError { _ = try read(long) }?.description.contains("at most 10000") == true)
  }
}
