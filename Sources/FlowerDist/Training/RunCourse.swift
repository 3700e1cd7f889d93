/// What decides the numbers of a run: the recipe without names, places, and how often things are shown or saved, and the
/// data. Runs of equal courses have equal weights after equal steps, so only such a run can be resumed.
struct RunCourse: Equatable {
  /// Values as YAML by key.
  let recipe: [String: String]
  /// SHA-256 of the dataset.
  let data: String
  /// SHA-256 of the reference model; `nil` without one.
  let reference: String?
  /// ``PreferenceScore/digest``.
  let score: String?

  /// Sections and keys without influence; data and reference model count by their digests, wherever they are.
  private static let outside = [
    "name", "runs", "data", "training.log_every", "training.nonfinite_limit", "training.deadline",
    "training.check_weights_every", "communication.overlap", "checkpoint",
    "evaluation.examples", "evaluation.score", "evaluation.length_penalty", "evaluation.guidance", "evaluation.temperature",
    "objective.reference",
  ]

  /// Whether a key of the recipe decides the numbers of a run.
  static func depends(on key: String) -> Bool {
    !outside.contains { $0 == key || key.hasPrefix($0 + ".") }
  }

  init(_ recipe: Recipe, data: String, reference: String? = nil, score: String? = nil) {
    let fields = RecipeField.all.filter { Self.depends(on: $0.key) }
    var values = Dictionary(uniqueKeysWithValues: fields.map { ($0.key, $0.yaml(recipe)) })
    // Wherever the model is that a run began from; what it was is in the checkpoint, or its digest is.
    if recipe.model.path != nil { values["model.path"] = "a model" }
    // Likewise.
    if recipe.reward.scorePath != nil { values["reward.score_path"] = "a score" }
    // How many there are decides no bit, only that the titles are those of older weights.
    if recipe.trajectories.samplers > 0 { values["trajectories.samplers"] = "some" }
    // What it holds is part of the data.
    if recipe.reward.file != nil { values["reward.file"] = "a file" }
    self.recipe = values
    self.data = data
    self.reference = reference
    self.score = score
  }

  init(_ fields: JSONFields) throws {
    data = try fields.string("data_sha256")
    reference = try fields["reference_sha256"].map { _ in try fields.string("reference_sha256") }
    score = try fields["score_sha256"].map { _ in try fields.string("score_sha256") }
    var recipe: [String: String] = [:]
    for member in fields["recipe"]?.object ?? [] {
      guard let value = member.value.string else { throw fields.error("recipe", "\(member.key.quoted) is no string") }
      recipe[member.key] = value
    }
    self.recipe = recipe
  }

  var members: [JSON.Member] {
    let digests = [("data_sha256", data), ("score_sha256", score), ("reference_sha256", reference)]
    return digests.compactMap { name, digest in digest.map { JSON.Member(name, JSON($0)) } } + [
      JSON.Member("recipe", .object(recipe.sorted { $0.key < $1.key }.map { JSON.Member($0.key, JSON($0.value)) }))
    ]
  }

  /// Of a file that is no course of ours nobody reads more differences.
  private static let shownDifferences = 20

  /// What was otherwise in `earlier`, in words. A key that one of them does not know has its default there.
  func differences(from earlier: RunCourse) -> [String] {
    let defaults = RunCourse(Recipe(), data: "").recipe
    let keys = Set(recipe.keys).union(earlier.recipe.keys).sorted()
    let values = keys.compactMap { key -> String? in
      let (now, before) = (recipe[key] ?? defaults[key], earlier.recipe[key] ?? defaults[key])
      return now == before ? nil : "\(key.excerpt) \(before?.excerpt ?? "unset") (now \(now?.excerpt ?? "unknown"))"
    }
    let shown = Array(values.prefix(Self.shownDifferences))
    return shown + (values.count > shown.count ? ["\(values.count - shown.count) more keys"] : [])
      + (data == earlier.data ? [] : ["other data"])
      + (reference == earlier.reference ? [] : ["another reference model"])
      + (score == earlier.score ? [] : ["another preference score"])
  }
}
