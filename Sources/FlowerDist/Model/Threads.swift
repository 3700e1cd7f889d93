import Foundation

/// The threads of one rank.
///
/// Work is cut so that every number of threads gives the same bits: each result has one part that computes all of it.
public enum Threads {
  /// How many a rank uses; set once, before there is work.
  nonisolated(unsafe) public static var count = 1

  /// Runs `body` for 0 ..< `parts`, at the same time where there are several; returns when all are done.
  static func perform(_ parts: Int, _ body: @Sendable (Int) -> Void) {
    if parts == 1 || count == 1 {
      for part in 0..<parts { body(part) }
    } else {
      DispatchQueue.concurrentPerform(iterations: parts, execute: body)
    }
  }
}
