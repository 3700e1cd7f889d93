import Testing

@testable import FlowerDist

struct SHA256Tests {
  /// FIPS 180-4 examples.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      String(repeating: "a", count: 1_000_000),
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    ),
  ])
  func knownDigests(text: String, digest: String) throws {
    let scratch = try ScratchDirectory()
    #expect(SHA256.hex(of: Array(text.utf8)) == digest)
    #expect(try SHA256.hex(ofFile: scratch.write(text, "file")) == digest)
  }

  /// Files are hashed in pieces of a mebibyte.
  @Test func filesOfSeveralPieces() throws {
    let scratch = try ScratchDirectory()
    for count in [1 << 20, (1 << 20) + 5] {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
      #expect(try SHA256.hex(ofFile: scratch.write(bytes, "file")) == SHA256.hex(of: bytes))
    }
  }
}
