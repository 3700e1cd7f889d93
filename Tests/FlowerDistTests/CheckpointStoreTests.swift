import Foundation
import Testing

@testable import FlowerDist

struct CheckpointStoreTests {
  let scratch: ScratchDirectory
  let store: CheckpointStore

  init() throws {
    scratch = try ScratchDirectory()
    store = CheckpointStore(runDirectory: scratch("run"))
  }

  /// Saves a step with two files of one size in `trainer/`, as two ranks write them.
  @discardableResult
  private func save(_ step: Int, _ text: String = "weights") throws -> CheckpointStore.Checkpoint? {
    guard let directory = try store.begin(step: step) else { return nil }
    try AtomicFile.write("\(text) of \(step)", to: directory + "/model.safetensors")
    for rank in 0..<2 { try AtomicFile.write("shard \(rank) of \(step)", to: directory + "/trainer/shard-\(rank)") }
    return try store.commit(step: step)
  }

  private func names() throws -> [String] { try Directory.names(in: store.directory) }

  private func write(_ text: String, step: Int, _ file: String) throws {
    let file = try File(writing: store.path(step: step) + "/" + file)
    try file.write(Array(text.utf8))
  }

  @Test func savesAndFinds() throws {
    #expect(try store.latest().checkpoint == nil)
    #expect(try store.steps() == [])
    let saved = try save(200)
    #expect(saved == .init(step: 200, path: scratch("run/checkpoints/step-00000200")))
    try save(1000)
    try save(123_456_789)
    #expect(try store.steps() == [200, 1000, 123_456_789])
    #expect(try names() == ["step-00000200", "step-00001000", "step-123456789"])
    #expect(try store.begin(step: 1000) == nil)
    let (latest, problems) = try store.latest()
    #expect(latest?.step == 123_456_789)
    #expect(problems.isEmpty)
  }

  @Test func manifestDescribesEveryFile() throws {
    try save(5)
    let manifest = try CheckpointManifest(directory: store.path(step: 5))
    #expect(manifest.step == 5)
    #expect(manifest.files.map(\.path) == ["model.safetensors", "trainer/shard-0", "trainer/shard-1"])
    #expect(manifest.files.map(\.size) == [12, 12, 12])
    #expect(manifest.files[0].sha256 == SHA256.hex(of: Array("weights of 5".utf8)))
    let text = String(decoding: try File.contents(of: store.path(step: 5) + "/manifest.json"), as: UTF8.self)
    #expect(text.contains(#""format_version": 1"#))
  }

  enum Damage: CaseIterable {
    case flippedBit, truncated, longer, missing, directoryInstead, swapped, manifestTruncated, manifestMissing
    case otherStep
  }

  @Test(arguments: Damage.allCases)
  func passesOverDamage(_ damage: Damage) throws {
    try save(1)
    try save(2)
    let directory = store.path(step: 2)
    var name = "trainer/shard-1"
    switch damage {
    case .flippedBit: try write("shard 1 of 3", step: 2, name)
    case .truncated: truncate("\(directory)/\(name)", 11)
    case .longer: try write("shard 1 of 2 ", step: 2, name)
    case .missing: unlink("\(directory)/\(name)")
    case .directoryInstead:
      unlink("\(directory)/\(name)")
      try Directory.create("\(directory)/\(name)")
    case .swapped:
      rename("\(directory)/trainer/shard-0", "\(directory)/spare")
      rename("\(directory)/\(name)", "\(directory)/trainer/shard-0")
      rename("\(directory)/spare", "\(directory)/\(name)")
      name = "trainer/shard-0"
    case .manifestTruncated:
      name = "manifest.json"
      truncate("\(directory)/\(name)", 100)
    case .manifestMissing:
      name = "manifest.json"
      unlink("\(directory)/\(name)")
    case .otherStep:
      name = "manifest.json"
      try Directory.remove(directory)
      try FileManager.default.copyItem(atPath: store.path(step: 1), toPath: directory)
    }
    let error = flowerError { try store.verify(step: 2) }
    #expect(error?.kind == .data)
    #expect(error?.description.contains("\(directory)/\(name)") == true, "\(error?.description ?? "accepted")")
    let (latest, problems) = try store.latest()
    #expect(latest?.step == 1)
    #expect(problems.map(\.description) == [error?.description])

    // Saving the step again replaces the damaged one.
    #expect(try save(2, "other weights") != nil)
    try store.verify(step: 2)
    #expect(try names() == ["step-00000001", "step-00000002"])
  }

  @Test(arguments: [
    (#""trainer/shard-0""#, #""../step-00000001/trainer/shard-0""#, "no path inside"),
    (#""trainer/shard-0""#, #""/etc/passwd""#, "no path inside"),
    (#""trainer/shard-0""#, #""trainer/../trainer/shard-0""#, "no path inside"),
    (#""trainer/shard-0""#, #""trainer//shard-0""#, "no path inside"),
    (#""trainer/shard-0""#, #""trainer/shard-0\u0000""#, "no path inside"),
    (#""trainer/shard-0""#, #""""#, "no path inside"),
    (#""trainer/shard-0""#, #""..""#, #"".." is no path inside"#),
    (#""trainer/shard-0""#, #""trainer/\n""#, #""trainer/\n" is no path inside"#),
    (#""trainer/shard-0""#, "\"\(String(repeating: "a/", count: 1000))a\"", "…\" is no path inside"),
    (#""trainer/shard-0""#, #""trainer/shard-1""#, #""trainer/shard-1" is listed twice"#),
    (#""trainer/shard-0""#, "7", #""path": expected a string"#),
    (#""size": 12"#, #""size": 9223372036854775808"#, #""size": expected an integer"#),
    (#""format_version": 1"#, #""format_version": 2"#, "this program reads 1"),
    (#""step": 1"#, #""step": -1"#, #""step": is -1"#),
    (#""files""#, #""file""#, #""files": is missing"#),
  ])
  func hostileManifest(part: String, replacement: String, message: String) throws {
    try save(1)
    let text = String(decoding: try File.contents(of: store.path(step: 1) + "/manifest.json"), as: UTF8.self)
    #expect(text.contains(part))
    try write(text.replacing(part, with: replacement), step: 1, "manifest.json")
    let error = flowerError { try store.verify(step: 1) }
    #expect(error?.kind == .data)
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "accepted")")
  }

  /// Nothing is written or deleted through a link that lies among the checkpoints.
  @Test func linksLeadNowhere() throws {
    try scratch.write("kept", "outside/model.safetensors")
    for step in 1...3 { try save(step) }
    for name in ["step-00000000", "step-00000004.partial", "step-00000005.deleting"] {
      symlink(scratch("outside"), "\(store.directory)/\(name)")
    }
    try save(4)
    try store.prune(keep: 2)
    #expect(try names() == ["step-00000003", "step-00000004"])
    #expect(try Directory.names(in: scratch("outside")) == ["model.safetensors"])
    #expect(try File.contents(of: scratch("outside/model.safetensors")) == Array("kept".utf8))
  }

  @Test func savingAgainDoesNothing() throws {
    try save(3)
    let manifest = try CheckpointManifest(directory: store.path(step: 3))
    #expect(try save(3, "other weights") == nil)
    #expect(try CheckpointManifest(directory: store.path(step: 3)) == manifest)
  }

  /// Killed at any moment of a save, there is no checkpoint of that step, and the next save starts afresh.
  @Test func interruptedSave() throws {
    try save(1)
    let begun = try #require(try store.begin(step: 2))
    try AtomicFile.write("half", to: begun + "/model.safetensors")
    try AtomicFile.write("stale", to: begun + "/trainer/shard-9")
    #expect(try store.steps() == [1])
    #expect(try store.latest().checkpoint?.step == 1)

    try save(2)
    let manifest = try CheckpointManifest(directory: store.path(step: 2))
    #expect(!manifest.files.contains { $0.path == "trainer/shard-9" })
    #expect(try names() == ["step-00000001", "step-00000002"])
  }

  @Test func interruptedDeletion() throws {
    try save(1)
    try save(2)
    rename(store.path(step: 1), store.path(step: 1) + ".deleting")
    unlink(store.path(step: 1) + ".deleting/model.safetensors")
    #expect(try store.steps() == [2])
    try store.removeLeftovers()
    #expect(try names() == ["step-00000002"])
  }

  @Test func commitWithoutARequiredFile() throws {
    let begun = try #require(try store.begin(step: 2))
    try AtomicFile.write("text", to: begun + "/trainer/shard-0")
    let error = flowerError { try store.commit(step: 2, required: ["trainer/shard-0", "trainer/shard-1"]) }
    #expect(error?.description.contains("trainer/shard-1: No such file or directory") == true)
    #expect(try store.steps() == [])
  }

  @Test func pruneKeepsNewestAndBest() throws {
    for step in 1...6 { try save(step) }
    try store.markBest(step: 2)
    try store.prune(keep: 2, protecting: [3])
    #expect(try store.steps() == [2, 3, 5, 6])
    try store.markBest(step: 5)
    try store.prune(keep: 1)
    #expect(try store.steps() == [5, 6])
    try store.prune(keep: 0)
    #expect(try store.steps() == [5, 6])
    #expect(try names() == ["best", "step-00000005", "step-00000006"])
  }

  /// A damaged checkpoint is not one of those that are kept in case the newest fails.
  @Test func pruneDoesNotCountDamaged() throws {
    for step in 1...4 { try save(step) }
    truncate(store.path(step: 4) + "/model.safetensors", 0)
    try store.prune(keep: 2)
    #expect(try store.steps() == [2, 3, 4])
  }

  @Test func best() throws {
    #expect(try store.best() == nil)
    try save(1)
    try save(2)
    try store.markBest(step: 2)
    try store.markBest(step: 1)
    #expect(try store.best() == .init(step: 1, path: store.path(step: 1)))
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: store.directory + "/best") == "step-00000001")
    try CheckpointManifest.verify(directory: store.directory + "/best")

    rename(scratch("run"), scratch("moved"))
    try CheckpointManifest.verify(directory: scratch("moved/checkpoints/best"))
  }

  @Test(arguments: ["/etc", "../step-00000001", "step-1", "step--0000001", "step-00000001.partial"])
  func foreignBest(target: String) throws {
    try save(1)
    symlink(target, store.directory + "/best")
    #expect(flowerError { _ = try store.best() }?.description.contains("points to \"\(target)\"") == true)
  }

  @Test func otherNamesAreNoCheckpoints() throws {
    try save(1)
    for name in ["step-2", "step-00000003.partial", "step-+0000004", "step-99999999999999999999", "notes"] {
      try Directory.create(store.directory + "/" + name)
    }
    #expect(try store.steps() == [1])
  }

  @Test func cannotWrite() throws {
    try scratch.write("a file", "run")
    let error = flowerError { _ = try store.begin(step: 1) }
    #expect(error?.kind == .cannotWrite)
    #expect(error?.description.contains("\(scratch("run")): ") == true)
    // Not to be taken for a run without checkpoints.
    #expect(flowerError { _ = try store.latest() }?.kind == .data)
  }
}
