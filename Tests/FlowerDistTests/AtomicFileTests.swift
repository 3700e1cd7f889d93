import Foundation
import Synchronization
import Testing

@testable import FlowerDist

struct AtomicFileTests {
  @Test func replacesAndLeavesNothingBeside() throws {
    let scratch = try ScratchDirectory()
    try AtomicFile.write("old and longer", to: scratch("file"))
    try AtomicFile.write("new", to: scratch("file"))
    #expect(try File.contents(of: scratch("file")) == Array("new".utf8))
    #expect(try Directory.names(in: scratch.path) == ["file"])
  }

  @Test func missingDirectory() throws {
    let scratch = try ScratchDirectory()
    let path = scratch("missing/file")
    let error = flowerError { try AtomicFile.write("text", to: path) }
    #expect(error?.kind == .cannotWrite)
    #expect(error?.description.contains(path) == true)
    #expect(error?.description.contains("No such file or directory") == true)
  }

  @Test func fullDisk() {
    let error = flowerError { try AtomicFile.write("text", to: "/dev/full") }
    #expect(error?.kind == .cannotWrite)
    #expect(error?.description == "cannot write /dev/full: No space left on device")
  }

  @Test(.enabled(if: geteuid() != 0, "root may write everywhere"))
  func readOnlyDirectory() throws {
    let scratch = try ScratchDirectory()
    try AtomicFile.write("old", to: scratch("file"))
    chmod(scratch.path, 0o555)
    defer { chmod(scratch.path, 0o755) }
    #expect(flowerError { try AtomicFile.write("new", to: scratch("file")) }?.kind == .cannotWrite)
    #expect(try File.contents(of: scratch("file")) == Array("old".utf8))
  }

  /// A signal cuts a write to a full pipe short; nothing may be lost or repeated.
  @Test func shortWrites() throws {
    let scratch = try ScratchDirectory()
    let pipe = scratch("pipe")
    mkfifo(pipe, 0o600)
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in }
    sigaction(SIGURG, &action, nil)
    let reader = open(pipe, O_RDONLY | O_NONBLOCK)
    defer { close(reader) }

    let bytes = (0..<1 << 18).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    let writer = Mutex<pthread_t?>(nil)
    Thread.detachNewThread {
      // The threads of the test runner block all signals, and their children inherit that.
      var none = sigset_t()
      sigemptyset(&none)
      pthread_sigmask(SIG_SETMASK, &none, nil)
      writer.withLock { $0 = pthread_self() }
      try? AtomicFile.write(bytes, to: pipe)
      writer.withLock { $0 = nil }
    }
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 10_000)
    let deadline = Date(timeIntervalSinceNow: 20)
    while received.count < bytes.count && Date() < deadline {
      // Interrupts the writer, unless it waits for the lock because it is done.
      writer.withLock { if let thread = $0 { _ = pthread_kill(thread, SIGURG) } }
      let count = read(reader, &buffer, buffer.count)
      if count > 0 { received += buffer[..<count] } else { usleep(100) }
    }
    // Compared beforehand: a failed expectation would look for the difference of two such arrays for minutes.
    let equal = received == bytes
    #expect(equal, "received \(received.count) of \(bytes.count) bytes")
  }

  @Test func aPipeIsNoModelFile() throws {
    let scratch = try ScratchDirectory()
    mkfifo(scratch("pipe"), 0o600)
    #expect(flowerError { _ = try File(reading: scratch("pipe")) }?.kind == .data)
    #expect(flowerError { _ = try File(reading: scratch.path) }?.kind == .data)
  }

  @Test func directoriesAreCreatedWithTheirParents() throws {
    let scratch = try ScratchDirectory()
    try Directory.create(scratch("a/b/c"))
    try Directory.create(scratch("a/b/c"))
    #expect(Directory.isDirectory(scratch("a/b/c")))
    try scratch.write("text", "file")
    for path in [scratch("file"), scratch("file/below"), "/proc/flowerdist/below"] {
      let error = flowerError { try Directory.create(path) }
      #expect(error?.kind == .cannotWrite, "\(path)")
    }
  }

  @Test func removingFollowsNoLinks() throws {
    let scratch = try ScratchDirectory()
    try scratch.write("text", "kept/file")
    try Directory.create(scratch("removed"))
    symlink(scratch("kept"), scratch("removed/link"))
    try Directory.remove(scratch("removed"))
    #expect(try Directory.names(in: scratch.path) == ["kept"])
    #expect(File.exists(scratch("kept/file")))
  }
}
