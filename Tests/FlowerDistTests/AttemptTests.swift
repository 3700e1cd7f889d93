import Testing

@testable import FlowerDist

struct AttemptTests {
  let scratch: ScratchDirectory
  let store: CheckpointStore

  init() throws {
    scratch = try ScratchDirectory()
    store = CheckpointStore(runDirectory: scratch("run"))
    for step in 1...2 { try save(step, "weights") }
  }

  private func save(_ step: Int, _ text: String, replacing: Bool = false) throws {
    let directory = try #require(try store.begin(step: step, replacing: replacing))
    try AtomicFile.write("\(text) of \(step)", to: directory + "/model.safetensors")
    try store.commit(step: step)
  }

  /// An attempt that was killed, after a step or before.
  private func attempt(from step: Int, succeeds: Bool) throws {
    let attempt = try Attempt(run: scratch("run"), checkpoint: store.path(step: step))
    attempt.isCounted = true
    if succeeds { attempt.succeed() }
  }

  private func latest() throws -> LatestCheckpoint { try LatestCheckpoint(store, run: scratch("run")) }

  @Test func passesOverWhatFailsTwice() throws {
    try attempt(from: 2, succeeds: false)
    #expect(try latest().path == store.path(step: 2))
    try attempt(from: 2, succeeds: false)
    #expect(try latest().path == store.path(step: 1))
    #expect(try latest().passedOver == [2])
    #expect(try latest().notes.first?.contains("passed over \(store.path(step: 2)): 2 attempts") == true)
    // One that succeeds elsewhere does not make it better,
    try attempt(from: 1, succeeds: true)
    #expect(try latest().path == store.path(step: 1))
    // saving it again does.
    try save(2, "other weights", replacing: true)
    #expect(try latest().path == store.path(step: 2))
  }

  @Test func aStepCounts() throws {
    try attempt(from: 2, succeeds: false)
    try attempt(from: 2, succeeds: true)
    try attempt(from: 2, succeeds: false)
    #expect(try latest().path == store.path(step: 2))
  }

  /// Where nothing comes of any checkpoint, the reason is another.
  @Test func triesTheNewestAgain() throws {
    for step in [2, 2, 1, 1] { try attempt(from: step, succeeds: false) }
    #expect(try latest().path == store.path(step: 2))
    #expect(try latest().passedOver == [])
  }

  @Test func aRefusalIsNoAttempt() throws {
    do { _ = try Attempt(run: scratch("run"), checkpoint: store.path(step: 2)) }
    #expect(try Directory.names(in: scratch("run/logs")) == [])
  }

  @Test func noneIsWhole() throws {
    for step in 1...2 { try AtomicFile.write("", to: store.path(step: step) + "/model.safetensors") }
    let error = flowerError { _ = try latest() }
    #expect(error?.kind == .data)
    for step in 1...2 { #expect(error?.description.contains(store.path(step: step) + "/model.safetensors") == true) }
    try Directory.remove(store.directory)
    #expect(try latest().path == nil)
  }

  @Test func verifiesRunsAndCheckpoints() throws {
    let whole = try Verification(path: scratch("run"))
    #expect(whole.damage == nil && whole.lines.count == 4)
    try AtomicFile.write("weights of 3", to: store.path(step: 2) + "/model.safetensors")
    #expect(try Verification(path: store.path(step: 1)).damage == nil)
    let damaged = try Verification(path: scratch("run"))
    #expect(damaged.damage?.kind == .data)
    #expect(damaged.lines.last?.contains("is damaged") == true)
    #expect(flowerError { _ = try Verification(path: scratch("run/logs")) }?.kind == .data)
  }
}
