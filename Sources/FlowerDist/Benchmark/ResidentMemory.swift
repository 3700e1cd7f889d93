import Foundation

/// What this process holds of the machine's memory, in bytes; `nil` where the system does not say.
enum ResidentMemory {
  static var now: Int? { field("VmRSS:") }
  /// The most there ever was.
  static var peak: Int? { field("VmHWM:") }

  private static func field(_ name: String) -> Int? {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix(name) }
    return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
  }
}
