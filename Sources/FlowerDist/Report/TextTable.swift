/// A table for the terminal: columns aligned, the first one at the left and the others at the right.
struct TextTable {
  var header: [String]
  var rows: [[String]]
  /// Columns a line may take; the first column is cut to make it so.
  var width = 80

  /// Lines without trailing spaces, a rule under the header.
  var lines: [String] {
    let cells = ([header] + rows).map { row in
      header.indices.map { $0 < row.count ? Self.printable(row[$0]) : "" }
    }
    var widths = header.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    guard !widths.isEmpty else { return [] }
    let others = widths.dropFirst().reduce(0) { $0 + $1 + 2 }
    widths[0] = min(widths[0], max(width - others, 8))
    let names = Self.cut(cells.map { $0[0] }, to: widths[0])
    let body = zip(cells, names).map { row, first in
      let rest = zip(row, widths).dropFirst().map { "  " + Self.padding($0, to: $1) + $0 }
      return Self.trimmed(first + Self.padding(first, to: widths[0]) + rest.joined())
    }
    let rule = widths.map { String(repeating: "─", count: $0) }.joined(separator: "  ")
    return [body[0], rule] + body.dropFirst()
  }

  /// Cut to so many characters, the last one an ellipsis where something is missing.
  static func cut(_ text: String, to width: Int) -> String {
    text.count <= width ? text : width <= 0 ? "" : text.prefix(width - 1) + "…"
  }

  /// All cut alike: at their ends, or in their middles where different texts would look the same.
  private static func cut(_ texts: [String], to width: Int) -> [String] {
    let atEnds = texts.map { cut($0, to: width) }
    if Set(atEnds).count == Set(texts).count || width < 3 { return atEnds }
    return texts.map { cutInside($0, to: width) }
  }

  /// Cut to so many characters, at least 3, of which most are the text's end.
  static func cutInside(_ text: String, to width: Int) -> String {
    text.count <= width ? text : text.prefix(width / 3) + "…" + text.suffix(width - width / 3 - 1)
  }

  /// Without characters that could steer a terminal.
  static func printable(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.isHarmless ? $0 : "\u{FFFD}" }))
  }

  private static func padding(_ text: String, to width: Int) -> String {
    String(repeating: " ", count: max(width - text.count, 0))
  }

  private static func trimmed(_ line: String) -> String {
    guard let end = line.lastIndex(where: { $0 != " " }) else { return "" }
    return String(line[...end])
  }
}
