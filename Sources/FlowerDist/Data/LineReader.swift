/// A line of a file.
struct LinePlace {
  var path: String
  /// From 1.
  var number: Int

  /// An error at this line.
  func error(_ message: String) -> FlowerError { FlowerError(.data, "\(path):\(number): \(message)") }

  /// What an error at this line says, without the place.
  func reason(of error: FlowerError) -> String {
    let text = error.description
    let place = "\(path):\(number):"
    guard text.hasPrefix(place), let space = text.dropFirst(place.count).firstIndex(of: " ") else { return text }
    return String(text[text.index(after: space)...])
  }
}

/// Reads a file line by line in constant memory.
final class LineReader {
  /// In bytes; a longer line is an error rather than a reason to run out of memory.
  static let longestLine = 1 << 24

  var path: String { stream.path }
  /// Number of the line that `next` returned last, from 1.
  private(set) var number = 0

  private let stream: ByteStream
  private var buffer = [UInt8](repeating: 0, count: 1 << 16)
  private var unread = 0..<0

  /// - Parameter unpacked: whether a gzip file is unpacked on the way.
  init(_ path: String, unpacked: Bool = false) throws {
    stream = try ByteStream(path, unpacked: unpacked)
  }

  /// The next line without its line break (LF or CR LF), or `nil` after the last one.
  func next() throws -> [UInt8]? {
    guard try fill() else { return nil }
    number += 1
    var line: [UInt8] = []
    while try fill() {
      let end = buffer[unread].firstIndex(of: UInt8(ascii: "\n"))
      line += buffer[unread.lowerBound..<(end ?? unread.upperBound)]
      unread = (end.map { $0 + 1 } ?? unread.upperBound)..<unread.upperBound
      guard line.count <= Self.longestLine else { throw error("the line is longer than \(Self.longestLine) bytes") }
      if end != nil { break }
    }
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    return line
  }

  /// The line that `next` returned last.
  var place: LinePlace { LinePlace(path: path, number: number) }

  /// An error at the line that `next` returned last.
  func error(_ message: String) -> FlowerError { place.error(message) }

  /// Reads on when the buffer is used up; `false` at the end of the file.
  private func fill() throws -> Bool {
    guard unread.isEmpty else { return true }
    unread = try 0..<buffer.withUnsafeMutableBytes { try stream.read(into: $0) }
    return !unread.isEmpty
  }
}
