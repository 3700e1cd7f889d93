import FlowerDist
import Foundation

/// A reader under attack: what it reads when all is well, how that is damaged, and the reading itself.
///
/// A new reader is one more value, listed in `FuzzTarget.all`.
struct FuzzTarget: Sendable {
  var name: String
  /// Inputs that the reader accepts as they are. Every mutation starts from one of them.
  var seeds: [FuzzInput]
  /// Turns the first input into a hostile relative of itself; it may take parts of the second.
  var mutate: @Sendable (_ seed: FuzzInput, _ donor: FuzzInput, _ random: inout FuzzRandom) -> FuzzInput
  /// Reads what was written into the directory. It returns, or throws a `FlowerError` that names the file.
  var read: @Sendable (_ directory: String) throws -> Void
  /// Whether a message has a line for each of several problems.
  var listsProblems = false
  /// Whether an input is a whole run, which takes ten times as long as a file.
  var isSlow = false

  /// The input of a case, a function of target, seed and number alone. The first ones are the seeds as they are.
  func input(seed: UInt64, number: Int) -> FuzzInput {
    if number < seeds.count { return seeds[number] }
    var random = FuzzRandom(seed: seed, target: name, number: number)
    let start = random.pick(seeds)
    return mutate(start, random.pick(seeds), &random)
  }
}

extension FuzzTarget {
  static let all: [FuzzTarget] = [
    .safeTensors, .configuration, .weights, .tokenizer, .tiktoken, .metadata, .model, .adapter, .score, .dataset,
    .scores, .amazon, .flowerCSV, .movieLens, .interactions, .predictions, .recipe, .checkpoint, .run, .sweep,
  ]
}

/// The files that a reader finds in its directory.
struct FuzzInput: Sendable {
  struct File: Sendable {
    /// Within the directory, perhaps in a folder.
    var name: String
    var bytes: [UInt8]
  }

  var files: [File]

  init(_ files: [File]) { self.files = files }

  init(_ name: String, _ bytes: [UInt8]) { files = [File(name: name, bytes: bytes)] }

  init(_ name: String, _ text: String) { self.init(name, Array(text.utf8)) }

  var byteCount: Int { files.reduce(0) { $0 + $1.bytes.count } }

  func write(to directory: String) throws {
    for folder in Set(files.map { URL(filePath: "\(directory)/\($0.name)").deletingLastPathComponent() }) {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }
    for file in files { try Data(file.bytes).write(to: URL(filePath: "\(directory)/\(file.name)")) }
  }

  /// The same with a file changed, or several one after the other; now and then one is taken away.
  /// - Parameter more: after one in so many changes another follows.
  func changingFiles(
    _ random: inout FuzzRandom, more: Int, _ change: (inout FuzzInput, _ index: Int, inout FuzzRandom) -> Void
  ) -> FuzzInput {
    var input = self
    repeat {
      guard !input.files.isEmpty else { break }
      let index = random.below(input.files.count)
      if random.chance(1, in: 16) { input.files.remove(at: index) } else { change(&input, index, &random) }
    } while random.chance(1, in: more)
    return input
  }

  /// A fingerprint (FNV-1a).
  var digest: UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for file in files {
      for byte in file.name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
      for byte in file.bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }
    return hash
  }

  /// The content of a file; empty without it.
  subscript(name: String) -> [UInt8] {
    get { files.first { $0.name == name }?.bytes ?? [] }
    set {
      if let index = files.firstIndex(where: { $0.name == name }) {
        files[index].bytes = newValue
      } else {
        files.append(File(name: name, bytes: newValue))
      }
    }
  }
}
