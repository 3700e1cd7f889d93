import Foundation
import Testing

@testable import FlowerDist

@Suite struct WatchTests {
  private typealias Reading = Heartbeat.Reading

  /// What rank by rank is seen in one look after the other.
  private func verdict(_ looks: [[Heartbeat.Reading?]], limit: Int = 2) -> String? {
    var judge = HangJudge(ranks: looks[0].count, limit: limit)
    for look in looks { judge.look(look) }
    return judge.verdict(hosts: (0..<looks[0].count).map { "node\($0 + 1)" })
  }

  private func waiting(_ ticks: Int) -> Heartbeat.Reading {
    Reading(beats: 5, ticks: ticks, phase: .backward, step: 7, isWaiting: true)
  }

  @Test func theStoppedRankIsTheCause() {
    let stopped = Reading(beats: 9, ticks: 4, phase: .sampling, step: 7)
    let found = verdict((0...2).map { [waiting($0), stopped, waiting($0)] })
    #expect(found == "rank 1 on node2 has stopped in sampling of step 7")
  }

  @Test func soIsOneThatComputesForEver() {
    let found = verdict((0...2).map { [waiting($0), Reading(beats: 3, ticks: $0, phase: .validation, step: 8)] })
    #expect(found == "rank 1 on node2 does not come to an end with validation of step 8")
  }

  @Test func aRankThatWorksIsWaitedFor() {
    #expect(verdict((0...9).map { [waiting($0), Reading(beats: $0, ticks: $0, phase: .saving, step: 7)] }) == nil)
    // Two looks without a beat, but not the last two.
    let late = [0, 0, 0, 1, 1].enumerated().map { [waiting($0), Reading(beats: $1, ticks: $0)] }
    #expect(verdict(late) == nil)
  }

  @Test func whereAllWaitTheNetworkIsGone() {
    let found = verdict((0...2).map { [waiting($0), waiting($0)] })
    #expect(found?.contains("all ranks wait for each other after backward of step 7") == true)
  }

  @Test func aRankWithoutHeartbeatIsNamed() {
    let found = verdict((0...2).map { [waiting($0), nil] })
    #expect(found == "rank 1 on node2 was never heard of")
  }

  @Test func heartbeatsAreReadFromTheirFile() throws {
    let scratch = try ScratchDirectory()
    let path = "\(scratch.path)/rank-0"
    let heartbeat = try Heartbeat(writing: path)
    #expect(Heartbeat.reading(of: path) == Reading())
    heartbeat.enter(step: 3)
    heartbeat.enter(.optimizer)
    heartbeat.tick()
    heartbeat.wait {
      #expect(
        Heartbeat.reading(of: path) == Reading(beats: 2, ticks: 1, phase: .optimizer, step: 3, isWaiting: true))
    }
    #expect(heartbeat.reading == Reading(beats: 3, ticks: 1, phase: .optimizer, step: 3))
    #expect(Heartbeat.reading(of: "\(scratch.path)/rank-1") == nil)
    try scratch.write("short", "rank-2")
    #expect(Heartbeat.reading(of: "\(scratch.path)/rank-2") == nil)
  }

  @Test func aSlowRankIsSeen() {
    let usual: [PhaseClock.Phase: Double] = [.forward: 2, .backward: 4, .reduction: 4]
    var slow = usual
    slow[.backward] = 8
    slow[.reduction] = 0
    #expect(RankTimes.outliers([usual, usual, usual], window: 10).isEmpty)
    let found = RankTimes.outliers([usual, slow, usual], window: 10)
    #expect(found.map(\.rank) == [1] && found[0].phase == .backward)
    #expect(abs(found[0].ratio - 10.0 / 6) < 1e-12 && abs(found[0].share - 0.4) < 1e-12)
    #expect(
      found[0].words(["a", "b", "c"])
        == "rank 1 on b computes 1.7 times as long as the others, most of it in backward; they wait for it 40 % of the time")
    #expect(RankTimes.outliers([usual, slow], window: 10).map(\.rank) == [1])
    // A difference that the others hardly wait for.
    #expect(RankTimes.outliers([usual, slow, usual], window: 100).isEmpty)
  }

  @Test func aDirectoryIsOneProcessAtATime() throws {
    let scratch = try ScratchDirectory()
    var first: DirectoryLock? = try DirectoryLock(scratch.path)
    // Another open file of the same process is another holder.
    #expect(flowerError { _ = try DirectoryLock(scratch.path) }?.kind == .usage)
    withExtendedLifetime(first) {}
    first = nil
    #expect(!File.exists("\(scratch.path)/.lock"))
    first = try DirectoryLock(scratch.path)
    let path = scratch.path
    let second = BackgroundWork<DirectoryLock> { try DirectoryLock(path, patience: 60) }
    usleep(200_000)
    #expect(!second.isDone)
    first = nil
    let lock = try second.wait().get()
    #expect(flowerError { _ = try DirectoryLock(scratch.path) }?.kind == .usage)
    withExtendedLifetime(lock) {}
  }

  /// Every bit counts, also in the tail.
  @Test func fingerprintsChangeWithAnyBit() {
    let arena = FloatArena(count: 77)
    for index in 0..<77 { arena.base[index] = Float(index) }
    let original = arena.fingerprint
    #expect(arena.copy().fingerprint == original)
    var seen: Set<String> = [original]
    for index in 0..<77 {
      for bit in [0, 15, 31] {
        let value = arena.base[index]
        arena.base[index] = Float(bitPattern: value.bitPattern ^ 1 << UInt32(bit))
        seen.insert(arena.fingerprint)
        arena.base[index] = value
      }
    }
    // The same bit of two numbers of a lane.
    for index in [0, 5, 31] {
      arena.base[index] = -arena.base[index]
      arena.base[index + 32] = -arena.base[index + 32]
      seen.insert(arena.fingerprint)
    }
    #expect(seen.count == 1 + 77 * 3 + 3)
  }

  @Test func otherWeightsOnOneRankAreFound() throws {
    let found = flowerError {
      _ = try InMemoryRanks.run(3) { ranks in
        let arena = FloatArena(count: 100)
        arena.zero()
        if ranks.rank == 2 { arena.base[99] = -0.0 }
        try ranks.agree([("the weights after step 5", arena.fingerprint)])
      }
    }
    #expect(found?.kind == .communication)
    #expect(found?.description.contains("the weights after step 5: rank 0 on host0") == true)
    #expect(found?.description.contains("rank 2 on host2") == true)
  }
}
