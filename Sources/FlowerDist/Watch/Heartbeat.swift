import Glibc
import Synchronization

/// What the main thread of a rank does now, in a file of its own: other ranks can read it while this one is stopped.
///
/// The file is mapped, so that a beat costs a few stores; on a network file system others see it some time later.
final class Heartbeat: @unchecked Sendable {
  /// The 64-bit words of the file, in the machine's order.
  private enum Word: Int, CaseIterable {
    /// Grows with everything that the main thread does.
    case beats
    /// Grows as long as the process runs at all.
    case ticks
    /// A place in `Phase.allCases`.
    case phase
    /// The step that is computed, from 1; 0 before the first.
    case step
    /// 1 while the main thread waits for other ranks.
    case isWaiting
  }

  /// What was in the file at one moment.
  struct Reading: Equatable {
    var beats = 0
    var ticks = 0
    var phase = PhaseClock.Phase.start
    var step = 0
    var isWaiting = false
  }

  private let words: UnsafeMutablePointer<Atomic<Int>>
  private static let size = Word.allCases.count * MemoryLayout<Int>.size

  /// - Throws: `FlowerError` of kind `cannotWrite`.
  init(writing path: String) throws {
    // Its bytes are on the disk before they are mapped: where there is no room for a page, the system ends the process.
    try AtomicFile.write([UInt8](repeating: 0, count: Self.size), to: path)
    let descriptor = open(path, O_RDWR | O_CLOEXEC)
    defer { close(descriptor) }
    guard descriptor >= 0, let mapping = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
      mapping != MAP_FAILED
    else { throw FlowerError(.cannotWrite, reason: "cannot write \(path)") }
    words = mapping.bindMemory(to: Atomic<Int>.self, capacity: Word.allCases.count)
  }

  deinit { munmap(words, Self.size) }

  private func store(_ value: Int, _ word: Word) { words[word.rawValue].store(value, ordering: .relaxed) }
  private func load(_ word: Word) -> Int { words[word.rawValue].load(ordering: .relaxed) }

  // MARK: Of the main thread

  /// Something was done.
  func beat() { store(load(.beats) &+ 1, .beats) }

  func enter(_ phase: PhaseClock.Phase) {
    store(PhaseClock.Phase.allCases.firstIndex(of: phase)!, .phase)
    beat()
  }

  func enter(step: Int) {
    store(step, .step)
    beat()
  }

  /// While `body` runs, the main thread waits for other ranks.
  func wait<Value>(_ body: () -> Value) -> Value {
    store(1, .isWaiting)
    defer {
      store(0, .isWaiting)
      beat()
    }
    return body()
  }

  // MARK: Of the watchdog

  /// The process is running.
  func tick() { store(load(.ticks) &+ 1, .ticks) }

  /// Hands what is in memory to the file system.
  func synchronize() { msync(words, Self.size, MS_SYNC) }

  var reading: Reading { Reading(words: Word.allCases.map(load)) }

  /// What another rank's file says; `nil` where it cannot be read.
  static func reading(of path: String) -> Reading? {
    guard let bytes = try? File.contents(of: path, limit: size), bytes.count == size else { return nil }
    return bytes.withUnsafeBytes { Reading(words: Array($0.assumingMemoryBound(to: Int.self))) }
  }
}

extension Heartbeat.Reading {
  /// In the order of the file's words.
  fileprivate init(words: [Int]) {
    beats = words[0]
    ticks = words[1]
    phase = PhaseClock.Phase.allCases.indices.contains(words[2]) ? PhaseClock.Phase.allCases[words[2]] : .start
    step = words[3]
    isWaiting = words[4] != 0
  }
}
