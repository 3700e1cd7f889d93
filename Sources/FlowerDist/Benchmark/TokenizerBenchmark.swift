/// How fast a tokenizer encodes texts, one after the other on one thread.
public struct TokenizerBenchmark: CustomStringConvertible {
  private let texts: Int
  private let bytes: Int
  private let tokens: Int
  /// SHA-256 of the ids, each text's followed by -1, as little-endian 32-bit integers.
  private let digest: String
  /// Seconds to read the tokenizer, which `passes` leave out.
  private let reading: Double
  /// Encoding all texts once.
  private let passes: Samples

  /// Encodes every line of a file, `repeats` times after once.
  ///
  /// - Throws: `FlowerError` (data) if a file cannot be read or a line is not UTF-8.
  public init(tokenizer path: String, texts file: String, repeats: Int) throws {
    let clock = ContinuousClock()
    let start = clock.now
    let tokenizer = try Tokenizer(contentsOf: path)
    reading = (clock.now - start).seconds
    let lines = try LineReader(file)
    var texts: [String] = []
    while let line = try lines.next() {
      guard let text = String(validating: line, as: UTF8.self) else { throw lines.error("is not valid UTF-8") }
      texts.append(text)
    }
    // The first pass is not counted.
    var ids = texts.map { tokenizer.encode($0) }
    var passes = Samples()
    for _ in 0..<repeats { passes.measure { ids = texts.map { tokenizer.encode($0) } } }
    self.passes = passes
    self.texts = texts.count
    bytes = texts.reduce(0) { $0 + $1.utf8.count }
    tokens = ids.reduce(0) { $0 + $1.count }
    var hash = SHA256()
    for text in ids {
      (text + [-1]).map(\.littleEndian).withUnsafeBytes { hash.update($0) }
    }
    digest = hash.finish()
  }

  public var description: String {
    """
    texts      \(texts), \(NumberText.compact(Double(bytes))) bytes, \(NumberText.compact(Double(tokens))) tokens
    reading    \(NumberText.fixed(reading * 1e3, decimals: 0)) ms
    encoding   \(NumberText.fixed(passes.median * 1e3, decimals: 1)) ms (median), \
    \(NumberText.fixed(passes.minimum * 1e3, decimals: 1)) (least), \
    \(NumberText.fixed(passes.processor * 1e3, decimals: 1)) of processor time
    speed      \(NumberText.fixed(Double(bytes) / passes.processor / 1e6, decimals: 1)) MB/s, \
    \(NumberText.grouped(Double(tokens) / passes.processor)) tokens/s
    """
  }

  public var json: JSON {
    [
      "texts": JSON(texts), "bytes": JSON(bytes), "tokens": JSON(tokens), "ids_sha256": JSON(digest),
      "reading_seconds": JSON(reading), "median_seconds": JSON(passes.median), "minimum_seconds": JSON(passes.minimum),
      "processor_seconds": JSON(passes.processor),
    ]
  }
}
