/// How Amazon's titles become those of a catalogue, as published with D3 and Flower: a title with the beginning of a web
/// page's element is none; `&quot;` and `&amp;` are resolved, and no other entities; spaces and then double quotes at
/// both ends go; what is left has at least two characters.
enum ProductTitle {
  /// The title, or `nil` where there is no usable one.
  static func cleaned(_ text: String) -> String? {
    guard !text.contains("<span id") else { return nil }
    let resolved = text.replacing("&quot;", with: "\"").replacing("&amp;", with: "&")
    let title = trimmed(trimmed(resolved, " "), "\"")
    return title.unicodeScalars.count > 1 && !title.allSatisfy(\.isWhitespace) ? title : nil
  }

  /// Number of parts between single spaces, also empty ones.
  static func wordCount(_ title: String) -> Int { 1 + title.utf8.count { $0 == UInt8(ascii: " ") } }

  private static func trimmed(_ text: String, _ scalar: Unicode.Scalar) -> String {
    let scalars = text.unicodeScalars.drop { $0 == scalar }
    guard let last = scalars.lastIndex(where: { $0 != scalar }) else { return "" }
    return String(scalars[...last])
  }
}
