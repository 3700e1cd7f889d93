import Testing

@testable import FlowerDist

/// A run as training leaves it, of a catalogue that its recipe makes up.
struct InspectionTests {
  let scratch: ScratchDirectory
  let run: String
  let setup: RunSetup

  init() throws {
    scratch = try ScratchDirectory()
    run = scratch("runs/tiny")
    var recipe = Recipe()
    recipe.name = "tiny"
    recipe.model.hiddenSize = 16
    recipe.model.heads = 2
    recipe.model.kvHeads = 1
    recipe.model.layers = 1
    recipe.model.intermediateSize = 24
    recipe.data.generated = 30
    recipe.tokenizer.kind = .bytes
    recipe.prompt.template = "A title:"
    recipe.training.steps = 8
    recipe.training.seed = 5
    setup = try RunSetup(recipe)
    let store = CheckpointStore(runDirectory: run)
    for step in [4, 8] {
      let directory = try #require(try store.begin(step: step))
      try setup.modelDirectory.write(to: directory, maximumPositions: 64)
      try store.commit(step: step)
    }
    try AtomicFile.write(recipe.yaml, to: "\(run)/config.yaml")
  }

  private func inspect(_ path: String, tokenizer: String? = nil, data: String? = nil) throws -> Inspection {
    let inspection = try Inspection(path: path, tokenizer: tokenizer, data: data)
    for line in inspection.description.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    return inspection
  }

  /// The words after a key.
  private func value(_ key: String, _ inspection: Inspection) -> String? {
    let lines = inspection.description.split(separator: "\n").map { $0.drop { $0 == " " } }
    return lines.first { $0.hasPrefix(key + " ") }.map { String($0.dropFirst(key.count).drop { $0 == " " }) }
  }

  /// Its data are nowhere but in its recipe.
  @Test func servesTheDataThatTheRecipeMakesUp() throws {
    let served = try ServedModel(path: run, data: nil)
    #expect(served.notes.isEmpty)
    #expect(served.catalogue.dataset.digest == setup.catalogue.dataset.digest)
    let checkpoint = CheckpointStore(runDirectory: run).path(step: 8)
    let error = flowerError { _ = try ServedModel(path: checkpoint, data: nil) }
    #expect(error?.kind == .usage && error?.description.hasPrefix("--data: ") == true)
    try Preparation(generated: "other", titles: 30, examples: 0, seed: 6).write(to: scratch("other"))
    #expect(try ServedModel(path: checkpoint, data: scratch("other")).notes.count == 1)
  }

  @Test func aRun() throws {
    try CheckpointStore(runDirectory: run).markBest(step: 4)
    let inspection = try inspect(run)
    #expect(inspection.damage == nil)
    #expect(value("steps", inspection) == "0 of 8")
    #expect(value("checkpoints", inspection) == "4, 8")
    #expect(value("best", inspection) == "step 4")
    #expect(value("data.generated", inspection) == "30")
    #expect(value("optimizer.beta1", inspection) == nil, "a default")
    #expect(inspection.description.contains("tree of generated"))
  }

  @Test func aDamagedCheckpoint() throws {
    let store = CheckpointStore(runDirectory: run)
    try store.markBest(step: 8)
    let file = "\(store.path(step: 8))/model.safetensors"
    let bytes = try File.contents(of: file)
    try File(writing: file).write(bytes.dropLast() + [bytes.last! ^ 1])
    for path in [run, store.path(step: 8)] {
      let inspection = try inspect(path)
      #expect(inspection.damage?.kind == .data)
      #expect(inspection.damage?.description.hasPrefix("\(file): is damaged") == true)
      #expect(inspection.description.contains("damaged"))
    }
    #expect(value("checkpoints", try inspect(run)) == "4, 8 (damaged)")
    #expect(try inspect(store.path(step: 4)).damage == nil)
  }

  @Test func aRunWhoseDataAreGone() throws {
    try Preparation(generated: "data", titles: 30, examples: 0, seed: 5).write(to: scratch("data"))
    var recipe = setup.recipe
    recipe.data.generated = 0
    recipe.data.path = scratch("data")
    try AtomicFile.write(recipe.yaml, to: "\(run)/config.yaml")
    #expect(try inspect(run).description.contains("tree of data"))
    try Directory.remove(scratch("data"))
    let inspection = try Inspection(path: run)
    #expect(inspection.damage == nil)
    #expect(inspection.description.contains("note: no tree of the titles: \(scratch("data"))/"))
  }

  /// Counted by hand; "A" begins another title, "AB" and "C" do not.
  @Test func theTreeOfADataset() throws {
    let titles = ["A", "AB", "C"].map { #"{"title":"\#($0)","count":1}"# }.joined(separator: "\n")
    try scratch.write(titles, "titles/title_counts.jsonl")
    try Tokenizer.bytes.write(to: scratch("tokenizer.json"))
    let inspection = try inspect(scratch("titles"), tokenizer: scratch("tokenizer.json"))
    #expect(value("titles", inspection) == "3, 1.3 tokens on average")
    #expect(value("longest", inspection) == #"2 tokens: "AB""#)
    // The root, A, AB and C; a choice at the root and after A.
    #expect(value("nodes", inspection) == "4, 2 with a choice")
    #expect(value("beginnings", inspection) == #"1 titles begin another, such as "A""#)
    #expect(try !inspect(scratch("titles")).description.contains("tree of"))

    let model = CheckpointStore(runDirectory: run).path(step: 4)
    let other = try inspect(model, data: scratch("titles"))
    #expect(value("nodes", other) == "4, 2 with a choice")
    #expect(other.description.contains("is not the data that the model was trained on"))
  }

  @Test func whatDoesNotGoTogether() throws {
    let nowhere = flowerError { _ = try Inspection(path: scratch("none")) }
    #expect(nowhere?.description.hasPrefix("\(scratch("none")): nothing is there") == true)
    #expect(flowerError { _ = try Inspection(path: run, tokenizer: "t.json") }?.kind == .usage)
    #expect(flowerError { _ = try Inspection(path: scratch.path, data: "d") }?.kind == .usage)
  }
}
