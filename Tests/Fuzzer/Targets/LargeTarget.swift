import FlowerDist

extension FuzzTarget {
  /// Headers of up to 100 MB that could take many times as much memory; too slow to be one of `all`.
  static let large = FuzzTarget(
    name: "large",
    seeds: [FuzzInput("model.safetensors", SafeTensorsImage(tensors: []).bytes)],
    mutate: { _, _, random in
      let count = random.pick([1 << 20, 1 << 24, 100_000_000])
      let header = repeated(random.pick(patterns), bytes: count)
      return FuzzInput("model.safetensors", SafeTensorsImage.littleEndian(UInt64(header.count)) + header)
    },
    read: safeTensors.read)

  private struct Pattern: Sendable {
    var start: String
    /// Repeated; `#` becomes the number of the repetition.
    var part: String
    var end: String
  }

  private static let patterns: [Pattern] = [
    Pattern(start: "{\"a\":", part: "[", end: ""), Pattern(start: "{\"a\":", part: "{\"\":", end: ""),
    Pattern(start: "{\"a\":[0", part: ",0", end: "]}"), Pattern(start: "{\"a\":[0", part: ",[]", end: "]}"),
    Pattern(start: "{\"a\":[0", part: ",[0]", end: "]}"), Pattern(start: "{\"a\":[0", part: ",{}", end: "]}"),
    Pattern(start: "{\"a\":[0", part: ",{\"\":0}", end: "]}"),
    Pattern(start: "{\"a\":[0", part: ",[[[[0]]]]", end: "]}"),
    Pattern(start: "{\"a\":[0", part: ",\"0123456789abcdef\"", end: "]}"),
    Pattern(start: "{\"a\":0", part: ",\"#\":0", end: "}"), Pattern(start: "{\"a", part: "\\u0041", end: "\":0}"),
    Pattern(start: "{\"a", part: "b", end: "\":0}"), Pattern(start: "{", part: " ", end: "}"),
    Pattern(start: "{\"a\":", part: "1", end: "}"),
    Pattern(start: "{\"__metadata__\":{\"\":\"\"", part: ",\"#\":\"\"", end: "}}"),
    Pattern(
      start: "{\"__metadata__\":{}", part: ",\"#\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", end: "}"),
    Pattern(
      start: "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0],\"shape\":[0", part: ",1", end: "]}}"),
  ]

  private static func repeated(_ pattern: Pattern, bytes count: Int) -> [UInt8] {
    var bytes = Array(pattern.start.utf8)
    let parts = pattern.part.utf8.split(separator: UInt8(ascii: "#"), omittingEmptySubsequences: false).map(Array.init)
    let end = Array(pattern.end.utf8)
    var number = 0
    while bytes.count + pattern.part.utf8.count + 8 + end.count <= count {
      bytes += parts[0]
      if parts.count == 2 { bytes += Array(String(number).utf8) + parts[1] }
      number += 1
    }
    return bytes + end
  }
}
