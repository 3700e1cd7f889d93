import Foundation

@testable import FlowerDist

/// A directory of its own for one test, deleted afterwards.
final class ScratchDirectory {
  let path = NSTemporaryDirectory() + "flowerdist-" + UUID().uuidString

  init() throws { try Directory.create(path) }
  deinit { try? Directory.remove(path) }

  /// The path of a name in the directory.
  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  @discardableResult
  func write(_ bytes: [UInt8], _ name: String) throws -> String {
    let path = self(name)
    try Directory.create(Directory.parent(of: path))
    let file = try File(writing: path)
    try file.write(bytes)
    return path
  }

  @discardableResult
  func write(_ text: String, _ name: String) throws -> String { try write(Array(text.utf8), name) }
}

/// The error that the body throws, if it is a `FlowerError`.
func flowerError(_ body: () throws -> Void) -> FlowerError? {
  do {
    try body()
    return nil
  } catch { return error as? FlowerError }
}
