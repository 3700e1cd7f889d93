import Foundation
import Testing

@testable import FlowerDist

/// A gzip file of one member whose data are stored as they are (RFC 1951, 3.2.4).
func gzipped(_ bytes: [UInt8]) -> [UInt8] {
  func littleEndian(_ value: UInt32, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
  }
  var crc = ~UInt32(0)
  for byte in bytes {
    crc ^= UInt32(byte)
    for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
  }
  let length = UInt32(bytes.count)
  return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255, 1] + littleEndian(length, 2) + littleEndian(~length, 2) + bytes
    + littleEndian(~crc, 4) + littleEndian(length, 4)
}

@Suite struct ByteStreamTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func lines(_ bytes: [UInt8], unpacked: Bool = true) throws -> [String] {
    let reader = try LineReader(try directory.write("x", bytes), unpacked: unpacked)
    var lines: [String] = []
    while let line = try reader.next() { lines.append(String(decoding: line, as: UTF8.self)) }
    return lines
  }

  /// Python's `base64.b64encode(gzip.compress(b"0123456789abcde\n" * 10000, 9, mtime=0))`
  private static let manyLines = Array(
    Data(
      base64Encoded:
        "H4sIAAAAAAACA+3HSQGAIAAAsL9pEOSKg0D/CiSgwfZbeGP6cqmtj3+u/QR3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3"
        + "d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3"
        + "d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3"
        + "d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3"
        + "d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3f3yw/c5kZLAHECAA==")!)

  @Test func unpacksWhatPythonPacked() throws {
    let lines = try lines(Self.manyLines)
    #expect(lines.count == 10_000 && Set(lines) == ["0123456789abcde"])
  }

  @Test func membersFollowEachOther() throws {
    let text = gzipped(Array("a\nb".utf8)) + gzipped([]) + gzipped(Array("c\r\nd\n".utf8))
    #expect(try lines(text) == ["a", "bc", "d"])
    #expect(try lines(Array("a\nb".utf8)) == ["a", "b"])
    #expect(try lines([]).isEmpty)
    #expect(try lines([0x1F]).count == 1)
  }

  @Test func packedDataAreLeftAloneUnlessAskedFor() throws {
    #expect(try lines(gzipped([65]), unpacked: false)[0].utf8.count > 1)
  }

  @Test func anyEndIsFoundOut() throws {
    for count in 2..<Self.manyLines.count {
      let error = flowerError { _ = try lines(Array(Self.manyLines[..<count])) }
      #expect(error?.kind == .data && error?.description.contains("ends in the middle of packed data") == true)
    }
  }

  @Test func damageIsFoundOut() throws {
    var damaged = gzipped(Array("abc\n".utf8))
    damaged[17] ^= 1
    #expect(flowerError { _ = try lines(damaged) }?.description.contains("damaged gzip data") == true)
    let trailing = flowerError { _ = try lines(gzipped([65]) + [1, 2, 3]) }
    #expect(trailing?.kind == .data)
  }
}
