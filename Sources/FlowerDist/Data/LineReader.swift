/// Reads a file line by line in constant memory.
final class LineReader {
  /// In bytes; a longer line is an error rather than a reason to run out of memory.
  static let longestLine = 1 << 24

  let path: String
  /// Number of the line that `next` returned last, from 1.
  private(set) var number = 0

  private let file: File
  private let size: Int
  private var offset = 0
  private var buffer = [UInt8](repeating: 0, count: 1 << 16)
  private var unread = 0..<0

  init(_ path: String) throws {
    self.path = path
    file = try File(reading: path)
    size = try file.size()
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

  /// An error at the line that `next` returned last.
  func error(_ message: String) -> FlowerError { FlowerError(.data, "\(path):\(number): \(message)") }

  /// Reads on when the buffer is used up; `false` at the end of the file.
  private func fill() throws -> Bool {
    guard unread.isEmpty else { return true }
    unread = 0..<min(buffer.count, size - offset)
    try buffer.withUnsafeMutableBytes { try file.read(into: .init(rebasing: $0[unread]), at: offset) }
    offset += unread.count
    return !unread.isEmpty
  }
}
