/// A file of lines that outlives a full disk: what cannot be written is kept and written with a later line.
final class MetricsFile {
  private let file: File
  /// Of the whole lines in the file.
  private var size: Int
  private var waiting: [UInt8] = []
  /// Whether the last try failed; the file may then end inside a line.
  private(set) var isBehind = false

  init(path: String) throws {
    file = try File(appending: path)
    size = try file.size()
  }

  /// - Throws: `FlowerError` of kind `cannotWrite`; the lines then wait for the next call.
  func append(_ line: [UInt8] = []) throws {
    waiting += line
    if isBehind { try file.truncate(to: size) }
    isBehind = true
    try file.write(waiting)
    isBehind = false
    size += waiting.count
    waiting = []
  }
}
