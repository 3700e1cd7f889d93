/// What is at a path, in words: a dataset, a model, a checkpoint or a run. Lines have at most 80 characters.
public struct Inspection: CustomStringConvertible, Sendable {
  public private(set) var description = ""
  /// The first thing that is damaged, if any.
  public private(set) var damage: FlowerError?

  /// - Parameters:
  ///   - tokenizer: of a dataset, a `tokenizer.json` whose tree is shown.
  ///   - data: of a model or checkpoint, a dataset directory whose tree is shown; of a run, its own unless given.
  /// - Throws: `FlowerError` if nothing is there, or naming the file that cannot be read.
  public init(path: String, tokenizer: String? = nil, data: String? = nil) throws {
    guard File.exists(path) else {
      throw FlowerError(
        .data, "\(path): nothing is there; expected a dataset, a model directory, a checkpoint or a run")
    }
    let isRun = File.exists("\(path)/config.yaml")
    let isCheckpoint = File.exists("\(path)/\(CheckpointManifest.fileName)")
    let isDataset = !isRun && !isCheckpoint && !File.exists("\(path)/config.json") && !Adapter.isHeld(by: path)
    if tokenizer != nil && !isDataset {
      throw FlowerError(.usage, "--tokenizer: goes with a dataset, but \(path) has a tokenizer of its own")
    }
    if data != nil && isDataset {
      throw FlowerError(.usage, "--data: goes with a model, but \(path) has none")
    }
    if isRun {
      try addRun(path, data: data)
    } else if isCheckpoint {
      try addCheckpoint(path, data: data)
    } else if isDataset {
      try addDataset(path, tokenizer: tokenizer)
    } else {
      try addModel(path, dataset: data.map { try Dataset(directory: $0) })
    }
  }

  private mutating func add(_ text: String) { description += (description.isEmpty ? "" : "\n\n") + text }

  private mutating func add(_ heading: String, _ rows: [(key: String, value: String)]) {
    let table = ProgressLine.startTable(rows.map { (key: "  " + $0.key, value: $0.value) })
    add(TextTable.cut(TextTable.printable(heading), to: 80) + "\n" + table)
  }

  // MARK: Dataset

  private mutating func addDataset(_ path: String, tokenizer: String?) throws {
    let dataset = try Dataset(directory: path)
    let problems = try DatasetManifest(directory: path)?.problems ?? dataset.problems()
    add(DatasetSummary(dataset, problems: problems).description)
    if let tokenizer { try addTree(dataset, Tokenizer(contentsOf: tokenizer), trainedWith: nil) }
  }

  /// The tree that training makes of the titles.
  private mutating func addTree(
    _ dataset: Dataset, _ tokenizer: Tokenizer, trainedWith metadata: FlowerMetadata?
  ) throws {
    let catalogue = try Catalogue(
      dataset: dataset, tokenizer: tokenizer, prompt: metadata?.prompt ?? Recipe.Prompt(),
      terminator: metadata?.terminator ?? Recipe.Tokenizer().terminator, reward: metadata?.reward ?? Recipe.Reward(),
      titleWeights: metadata?.titleWeights, loadsScore: false)
    let (tree, titles) = (catalogue.tree, catalogue.leafTitles)
    let lengths = tree.leafNode.map { Int(tree.depth[Int($0)]) }
    let mean = Double(lengths.reduce(0, +)) / Double(lengths.count)
    let longest = lengths.indices.max { lengths[$0] < lengths[$1] }!
    let choices = (0..<tree.nodeCount).count { tree.isChoice($0) }
    // Where a title ends and there is a choice, another goes on.
    let beginnings = tree.leafNode.indices.filter { tree.isChoice(Int(tree.leafNode[$0])) }
    let example = beginnings.first.map { ", such as \(titles[$0].quoted)" } ?? ""
    add(
      "tree of \(dataset.name)",
      [
        (key: "titles", value: "\(tree.leafCount), \(NumberText.fixed(mean, decimals: 1)) tokens on average"),
        (key: "longest", value: "\(lengths[longest]) tokens: \(titles[longest].quoted)"),
        (key: "nodes", value: "\(tree.nodeCount), \(choices) with a choice"),
        (key: "beginnings", value: "\(beginnings.count) titles begin another\(example)"),
      ])
    if let metadata, dataset.digest != metadata.catalogueDigest {
      add("note: \(dataset.name) is not the data that the model was trained on")
    }
  }

  // MARK: Model and checkpoint

  private mutating func addModel(_ path: String, dataset: Dataset?) throws {
    let model = try ModelDirectory(contentsOf: path)
    let c = model.transformer.configuration
    let shape = "\(c.layers) layers, hidden \(c.hiddenSize), MLP \(c.intermediateSize), \(c.heads)/\(c.kvHeads) heads"
    var rows = [
      (key: "architecture", value: "\(c.architecture.name), \(shape)"),
      (key: "parameters", value: NumberText.compact(Double(model.transformer.layout.count))),
      (key: "vocabulary", value: "\(c.vocabularySize), of which the tokenizer has \(model.tokenizer.vocabularySize)"),
      (key: "weights", value: "digest \(model.transformer.digest.prefix(16))"),
    ]
    if let adapter = model.transformer.adapter, let base = model.base {
      rows.append((key: "adapter", value: "\(adapter.configuration), of \(base.quoted)"))
    }
    if let metadata = model.metadata {
      rows += [
        (key: "prompt", value: metadata.prompt.template.quoted),
        (key: "titles end", value: "with \(metadata.terminator.quoted)"),
        (key: "reward", value: "\(metadata.reward.weight.rawValue), policy over the \(metadata.support.rawValue)"),
        (key: "data", value: "digest \(metadata.catalogueDigest.prefix(16))"),
      ]
    } else {
      rows.append((key: "training", value: "not by FlowerDist: no \(FlowerMetadata.fileName)"))
    }
    add("model \(path)", rows)
    if let dataset { try addTree(dataset, model.tokenizer, trainedWith: model.metadata) }
  }

  private mutating func addCheckpoint(_ path: String, data: String?) throws {
    let manifest = try CheckpointManifest(directory: path)
    damage = try Self.damage { try CheckpointManifest.verify(directory: path) }
    let bytes = NumberText.compact(manifest.files.reduce(0.0) { $0 + Double($1.size) })
    add(
      "checkpoint \(path)",
      [
        (key: "step", value: "\(manifest.step)"),
        (key: "files", value: "\(manifest.files.count), \(bytes) bytes, \(damage == nil ? "whole" : "damaged")"),
      ])
    if damage == nil { try addModel(path, dataset: data.map { try Dataset(directory: $0) }) }
  }

  private static func damage(_ verify: () throws -> Void) throws -> FlowerError? {
    do {
      try verify()
      return nil
    } catch let error as FlowerError {
      return error
    }
  }

  // MARK: Run

  private mutating func addRun(_ path: String, data: String?) throws {
    let recipe = try Recipe.read(path: "\(path)/config.yaml")
    let record = try RunRecord(path: path)
    let store = CheckpointStore(runDirectory: path)
    let saved = try store.steps().map { step in (step: step, damage: try Self.damage { try store.verify(step: step) }) }
    damage = saved.lazy.compactMap(\.damage).first
    let best = try store.best()?.step
    var done = "\(record.steps.last?.step ?? 0)" + (recipe.training.steps.map { " of \($0)" } ?? "")
    if let last = record.steps.last {
      done += ", loss \(NumberText.short(last.loss)), \(NumberText.duration(last.seconds))"
    }
    let checkpoints = saved.map { "\($0.step)" + ($0.damage == nil ? "" : " (damaged)") }
    add(
      "run \(path)",
      [
        (key: "steps", value: done),
        (key: "checkpoints", value: checkpoints.isEmpty ? "none" : checkpoints.joined(separator: ", ")),
        (key: "best", value: best.map { "step \($0)" } ?? "none"),
      ])
    let defaults = Recipe()
    add(
      "recipe, where it is not the default",
      RecipeField.all.filter { $0.yaml(recipe) != $0.yaml(defaults) }.map { (key: $0.key, value: $0.yaml(recipe)) })
    let whole = saved.filter { $0.damage == nil }.map(\.step)
    guard let step = whole.first(where: { $0 == best }) ?? whole.last else { return }
    var dataset = try data.map { try Dataset(directory: $0) }
    var note: String?
    if dataset == nil {
      do {
        dataset = try RunSetup.dataset(recipe.data, seed: recipe.training.seed)
      } catch let error as FlowerError {
        // The run is none the worse for data that are no longer there.
        note = "note: no tree of the titles: \(error.description)"
      }
    }
    try addModel(store.path(step: step), dataset: dataset)
    if let note { add(note) }
  }
}
