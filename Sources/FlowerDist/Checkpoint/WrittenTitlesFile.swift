/// The titles of the coming step in a checkpoint, `trainer/titles.json`: the weights that wrote them are gone.
enum WrittenTitlesFile {
  static let name = "trainer/titles.json"

  static func write(_ titles: WrittenTitles, directory: String) throws {
    let json: JSON = [
      "step": JSON(titles.step), "weights_step": JSON(titles.weightsStep),
      "leaves": .array(titles.leaves.map { JSON(Int($0)) }),
    ]
    try AtomicFile.write(json.serialized() + [0x0A], to: "\(directory)/\(name)")
  }

  /// - Parameters:
  ///   - count: of the titles of a batch.
  ///   - leaves: of the catalogue.
  ///   - step: of the checkpoint.
  /// - Returns: `nil` where the checkpoint has none, as that of a run's last step.
  /// - Throws: `FlowerError` of kind `data`.
  static func read(directory: String, count: Int, leaves: Int, step: Int) throws -> WrittenTitles? {
    let path = "\(directory)/\(name)"
    guard File.exists(path) else { return nil }
    let fields = try JSONFields(try JSON(contentsOf: path), path: path)
    let written = WrittenTitles(
      step: try fields.int("step"), weightsStep: try fields.int("weights_step"),
      leaves: (fields["leaves"]?.array ?? []).compactMap { $0.int.flatMap { Int32(exactly: $0) } })
    guard written.step == step, 0...step ~= written.weightsStep else {
      throw fields.error("step", "expected \(step), and weights_step not above it")
    }
    guard written.leaves.count == count, written.leaves.allSatisfy({ 0..<Int32(leaves) ~= $0 }) else {
      throw fields.error("leaves", "expected \(count) leaves below \(leaves)")
    }
    return written
  }
}
