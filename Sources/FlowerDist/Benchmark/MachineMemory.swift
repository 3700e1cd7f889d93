import Foundation

/// The memory that this machine, or the container that the program runs in, has for it.
enum MachineMemory {
  /// In bytes: what is built in, or less where a control group limits it.
  static var total: Int {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"].compactMap { path in
      (try? String(contentsOfFile: path, encoding: .utf8)).flatMap {
        Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
      }
    }
    return limits.reduce(Int(clamping: ProcessInfo.processInfo.physicalMemory), min)
  }

  /// In bytes: what this process could still take if it were alone.
  static var left: Int { max(0, total - (ResidentMemory.now ?? 0)) }
}
