/// A key of the recipe and the values that a sweep gives it, one after the other.
public struct SweepAxis: Equatable, Sendable {
  public let key: String
  /// YAML scalars as they were written.
  public let values: [String]

  /// Reads `key=a,b,c`. A comma inside of quotes belongs to its value.
  ///
  /// - Throws: `FlowerError` of kind `usage`.
  public init(parsing text: String) throws {
    guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
      throw FlowerError(.usage, "--over \(text): expected key=value,value,…")
    }
    key = String(text[..<equals])
    var values = [""]
    var quote: Character?
    for character in text[text.index(after: equals)...] {
      if character == ",", quote == nil {
        values.append("")
        continue
      }
      values[values.count - 1].append(character)
      if let open = quote {
        if character == open { quote = nil }
      } else if character == "\"" || character == "'" {
        quote = character
      }
    }
    guard quote == nil else { throw FlowerError(.usage, "--over \(text): a quote is not closed") }
    self.values = values
  }
}
