import Testing

@testable import FlowerDist

/// A thousand random damages of a checkpoint, each named and never loaded.
struct CheckpointDamageTests {
  @Test func everyDamageIsFound() throws {
    let scratch = try ScratchDirectory()
    let store = CheckpointStore(runDirectory: scratch("run"))
    var random = SystemRandomNumberGenerator()
    let names = ["model.safetensors", "trainer/shard-0", "trainer/shard-1"]
    let contents = names.map { _ in (0..<300).map { _ in UInt8.random(in: 0...255, using: &random) } }
    for step in 1...2 {
      let directory = try #require(try store.begin(step: step))
      for (name, bytes) in zip(names, contents) { try AtomicFile.write(bytes, to: "\(directory)/\(name)") }
      try store.commit(step: step)
    }
    let directory = store.path(step: 2)
    for number in 0..<1000 {
      let place = number % names.count
      let path = "\(directory)/\(names[place])"
      var bytes = contents[place]
      switch number / names.count % 4 {
      case 0: bytes[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes.removeLast(Int.random(in: 1...bytes.count, using: &random))
      case 2: bytes = contents[(place + 1) % names.count]
      default: bytes = []
      }
      try Directory.remove(path)
      // An empty list stands for a missing file.
      if !bytes.isEmpty { try File(writing: path).write(bytes) }
      let (latest, problems) = try store.latest()
      #expect(latest?.step == 1)
      #expect(problems.first?.description.contains(path) == true)
      try File(writing: path).write(contents[place])
    }
    #expect(try store.latest().checkpoint?.step == 2)
  }
}
