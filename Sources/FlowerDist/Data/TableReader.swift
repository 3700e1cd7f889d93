/// How the rows of a delimited text file are cut and which columns are wanted.
struct TableLayout: Sendable {
  enum Columns: Sendable {
    /// Columns by position, in a file without a header.
    case at([Int])
    /// Columns by the name in the header (before a `:`, as RecBole adds types there); any of the names fits.
    case named([[String]])
  }

  var separator: String
  /// Whether a field may stand in double quotes, a quote inside being doubled (RFC 4180).
  var quoted = false
  var columns: Columns
}

/// Reads the wanted columns of a delimited text file.
///
/// Fields are UTF-8; what is not valid UTF-8 is read as Latin-1, in which the older MovieLens files are written.
struct TableReader {
  let lines: LineReader
  private let layout: TableLayout
  private let separator: [UInt8]
  private let positions: [Int]

  init(_ path: String, _ layout: TableLayout) throws {
    lines = try LineReader(path)
    self.layout = layout
    separator = Array(layout.separator.utf8)
    switch layout.columns {
    case .at(let positions): self.positions = positions
    case .named(let columns):
      let header = try Self.header(of: lines, layout)
      positions = try columns.map { names in
        guard let position = header.firstIndex(where: { names.contains($0) }) else {
          throw FlowerError(
            .data, "\(path):1: no column \(names.joined(separator: " or ")); found \(header.joined(separator: ", "))")
        }
        return position
      }
    }
  }

  /// The wanted columns of the next row, or `nil` after the last one. Empty lines are passed over; rows with too few
  /// columns or an open quote are skipped as damaged.
  func next(_ log: inout ProblemLog) throws -> [String]? {
    while let line = try lines.next() {
      guard !line.isEmpty else { continue }
      let fields = Self.fields(of: line, separator, quoted: layout.quoted)
      if let fields, positions.allSatisfy(fields.indices.contains) { return positions.map { Self.text(fields[$0]) } }
      try log.skip(lines, fields == nil ? "a quote is not closed" : "too few columns")
    }
    return nil
  }

  private static func header(of lines: LineReader, _ layout: TableLayout) throws -> [String] {
    var line = try lines.next() ?? []
    let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
    if line.starts(with: byteOrderMark) { line.removeFirst(byteOrderMark.count) }
    let fields = fields(of: line, Array(layout.separator.utf8), quoted: layout.quoted) ?? []
    return fields.map { text($0.prefix { $0 != UInt8(ascii: ":") }) }
  }

  private static func text(_ bytes: some Collection<UInt8>) -> String {
    String(validating: bytes, as: UTF8.self) ?? String(String.UnicodeScalarView(bytes.lazy.map { Unicode.Scalar($0) }))
  }

  /// The fields of a line, or `nil` where a quote is not closed or is followed by anything but a separator.
  static func fields(of line: [UInt8], _ separator: [UInt8], quoted: Bool) -> [[UInt8]]? {
    let quote = UInt8(ascii: "\"")
    var fields: [[UInt8]] = []
    var rest = line[...]
    while true {
      var field: [UInt8] = []
      if quoted, rest.first == quote {
        repeat {
          rest.removeFirst()
          guard let end = rest.firstIndex(of: quote) else { return nil }
          field += rest[..<end]
          rest = rest[(end + 1)...]
          if rest.first == quote { field.append(quote) }
        } while rest.first == quote
        guard rest.isEmpty || rest.starts(with: separator) else { return nil }
      } else {
        while !rest.isEmpty, !rest.starts(with: separator) { field.append(rest.removeFirst()) }
      }
      fields.append(field)
      guard !rest.isEmpty else { return fields }
      rest.removeFirst(separator.count)
    }
  }
}
