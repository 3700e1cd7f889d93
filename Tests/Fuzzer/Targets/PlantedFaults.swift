import FlowerDist
import Foundation

extension FuzzTarget {
  /// A reader with a fault of every kind, to see that the fuzzer finds them; not one of `all`.
  static let planted = FuzzTarget(
    name: "planted",
    seeds: [FuzzInput("fault", "none")],
    mutate: { _, _, random in
      // Spinning takes seconds to be noticed.
      let faults = ["none", "refuse", "trap", "memory", "silent", "foreign", "lines"]
      return FuzzInput("fault", random.chance(1, in: 16) ? "spin" : random.pick(faults))
    },
    read: { directory in
      let path = "\(directory)/fault"
      switch String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self) {
      case "refuse": throw FlowerError(.data, "\(path): expected none")
      case "trap": fatalError()
      case "spin": while getpid() > 0 {}
      case "memory": _ = [UInt8](repeating: 1, count: 256 << 20)
      case "silent": throw FlowerError(.data, "expected none")
      case "foreign": throw CocoaError(.fileReadUnknown)
      case "lines": throw FlowerError(.data, "\(path): expected none\nor so")
      default: break
      }
    })
}
