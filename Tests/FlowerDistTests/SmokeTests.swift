import Testing

@testable import FlowerDist

@Test func bytesRoundTrip() {
  #expect(Tokenizer.bytes.decode(Tokenizer.bytes.encode("é")) == Array("é".utf8))
}
