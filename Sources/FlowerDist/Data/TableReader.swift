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
  /// Whether a quoted field may go over several lines.
  var multiline = false
  var columns: Columns
}

/// Reads the wanted columns of a delimited text file.
///
/// Fields are UTF-8; what is not valid UTF-8 is read as Latin-1, in which the older MovieLens files are written.
final class TableReader {
  private static let quote = UInt8(ascii: "\"")
  /// A row of several lines ends within so many lines and, but for its last line, bytes; else a quote is not closed.
  private static let longestRow = 64
  private static let largestRow = 1 << 20

  private struct Line {
    var place: LinePlace
    var bytes: [UInt8]
  }

  private let lines: LineReader
  /// Lines that were read in search of the end of a quote and then given back.
  private var returned: ArraySlice<Line> = []
  /// The first line of the row that `next` returned last.
  private(set) var place: LinePlace
  private let layout: TableLayout
  private let separator: [UInt8]
  private let positions: [Int]

  init(_ path: String, _ layout: TableLayout) throws {
    lines = try LineReader(path)
    place = lines.place
    self.layout = layout
    separator = Array(layout.separator.utf8)
    switch layout.columns {
    case .at(let positions): self.positions = positions
    case .named(let columns):
      let header = try Self.header(of: lines, layout)
      positions = try columns.map { names in
        guard let position = header.firstIndex(where: { names.contains($0) }) else {
          throw FlowerError(
            .data,
            "\(path):1: no column \(names.joined(separator: " or ")); found \(header.joined(separator: ", ").excerpt)")
        }
        return position
      }
    }
  }

  /// The wanted columns of the next row, or `nil` after the last one. Empty lines are passed over; rows with too few
  /// columns or an open quote are skipped as damaged.
  func next(_ log: inout ProblemLog) throws -> [String]? {
    while let row = try nextRow() {
      let fields = row.fields
      if let fields, positions.allSatisfy(fields.indices.contains) { return positions.map { Self.text(fields[$0]) } }
      try log.skip(place, fields == nil ? "a quote is not closed" : "too few columns")
    }
    return nil
  }

  private struct Row {
    /// `nil` where a quote is not closed.
    var fields: [[UInt8]]?
  }

  /// The fields of the next row that is not empty, if its quotes are closed; `nil` after the last row.
  private func nextRow() throws -> Row? {
    while let first = try nextLine() {
      guard !first.bytes.isEmpty else { continue }
      place = first.place
      if let fields = Self.fields(of: first.bytes, separator, quoted: layout.quoted) { return Row(fields: fields) }
      return Row(fields: layout.multiline ? try longRow(from: first) : nil)
    }
    return nil
  }

  /// The fields of a row whose first line ends within a quote. Where the quote is not closed soon it is taken for
  /// damage, and the lines after the first for rows of their own.
  private func longRow(from first: Line) throws -> [[UInt8]]? {
    var row = first.bytes
    var more: [Line] = []
    // A row is whole where the number of its quotes is even: a quote within a quote is doubled.
    while row.count(where: { $0 == Self.quote }) % 2 == 1 {
      guard more.count < Self.longestRow - 1, row.count <= Self.largestRow, let line = try nextLine() else { break }
      more.append(line)
      row += [UInt8(ascii: "\n")] + line.bytes
    }
    if let fields = Self.fields(of: row, separator, quoted: true) { return fields }
    returned = more + returned
    return nil
  }

  private func nextLine() throws -> Line? {
    if let line = returned.popFirst() { return line }
    return try lines.next().map { Line(place: lines.place, bytes: $0) }
  }

  /// The names in the header of a table with named columns.
  static func columnNames(of path: String, separator: String, quoted: Bool) throws -> [String] {
    try header(of: LineReader(path), TableLayout(separator: separator, quoted: quoted, columns: .named([])))
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
    var fields: [[UInt8]] = []
    var rest = line[...]
    while true {
      var field: [UInt8] = []
      if quoted, rest.first == Self.quote {
        repeat {
          rest.removeFirst()
          guard let end = rest.firstIndex(of: Self.quote) else { return nil }
          field += rest[..<end]
          rest = rest[(end + 1)...]
          if rest.first == Self.quote { field.append(Self.quote) }
        } while rest.first == Self.quote
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
