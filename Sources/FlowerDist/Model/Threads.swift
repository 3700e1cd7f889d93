import Foundation

/// The threads of one rank.
///
/// Work is cut so that every number of threads gives the same bits: each result has one part that computes all of it.
public enum Threads {
  /// How many a rank uses; set once, before there is work.
  nonisolated(unsafe) public static var count = 1

  /// Runs `body` for 0 ..< `parts` on at most ``count`` threads; returns when all are done.
  static func perform(_ parts: Int, _ body: (Int) -> Void) {
    let threads = min(parts, count)
    if threads <= 1 {
      for part in 0..<parts { body(part) }
      return
    }
    withoutActuallyEscaping(body) { body in
      // That parts write to different places is theirs to see to.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: threads) { thread in
        for part in stride(from: thread, to: parts, by: threads) { body(part) }
      }
    }
  }

  /// Runs `body` on all of `rows` of `width` floats, cut into ranges where that is worth waking threads for.
  static func perform(rows: Int, width: Int, _ body: (Range<Int>) -> Void) {
    let parts = rows * width < smallestShared ? 1 : count
    perform(parts) { body(rows * $0 / parts..<rows * ($0 + 1) / parts) }
  }

  /// Waking takes 20 to 30 µs, in which a core goes over some 100,000 floats.
  private static let smallestShared = 200_000
}
