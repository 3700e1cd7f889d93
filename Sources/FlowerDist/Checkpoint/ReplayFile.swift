/// The replay buffer of a run in its checkpoint, `trainer/replay.jsonl`: a line per title, by prompt and leaf.
enum ReplayFile {
  static let name = "trainer/replay.jsonl"

  static func write(_ buffer: ReplayBuffer, directory: String) throws {
    try AtomicFile.write(to: "\(directory)/\(name)") { file in
      for entries in buffer.entries.chunks(of: 1024) {
        try file.write(
          entries.flatMap { entry in
            let json: JSON = [
              "prompt": JSON(entry.visit.prompt), "leaf": JSON(entry.visit.leaf), "step": JSON(entry.step),
              "priority": JSON(entry.visit.priority),
            ]
            return json.serialized() + [0x0A]
          })
      }
    }
  }

  /// - Parameters:
  ///   - prompts: of the training split; 1 without histories.
  ///   - step: of the checkpoint.
  /// - Throws: `FlowerError` of kind `data` with file and line.
  static func read(
    _ recipe: Recipe.Replay, directory: String, prompts: Int, leaves: Int, step: Int
  ) throws -> ReplayBuffer {
    let lines = try LineReader("\(directory)/\(name)")
    var entries: [ReplayBuffer.Entry] = []
    while let line = try lines.next() {
      let json = try JSON(parsing: line, file: lines.path, line: lines.number)
      guard let prompt = json["prompt"]?.int, 0..<prompts ~= prompt, let leaf = json["leaf"]?.int, 0..<leaves ~= leaf,
        let visited = json["step"]?.int, 0...step ~= visited, let priority = json["priority"]?.double, priority >= 0
      else {
        throw lines.error(
          "expected \"prompt\" below \(prompts), \"leaf\" below \(leaves), \"step\" up to \(step) and \"priority\", 0 or"
            + " more")
      }
      let visit = ReplayBuffer.Visit(prompt: Int32(prompt), leaf: Int32(leaf), priority: priority)
      entries.append(.init(visit, step: visited))
      guard entries.count <= recipe.capacity else {
        throw lines.error("has more than \(recipe.capacity) lines, replay.capacity")
      }
    }
    guard let buffer = ReplayBuffer(recipe, entries: entries) else {
      throw FlowerError(.data, "\(lines.path): expected lines ascending by \"prompt\" and \"leaf\", each pair once")
    }
    return buffer
  }
}
