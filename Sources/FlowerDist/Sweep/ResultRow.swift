/// What came of one run: its recipe, what it cost and what it measures. A small file, from which tables are rebuilt.
public struct ResultRow: Equatable, Sendable {
  /// A key of the recipe with its value, as they are shown.
  public struct Value: Equatable, Hashable, Sendable {
    public var key: String
    public var value: String
  }

  /// A recipe with the values that a sweep gave it: what rows of several seeds have in common.
  public struct Setting: Equatable, Hashable, Sendable {
    /// The recipe's name.
    public var recipe: String
    public var values: [Value]

    /// `theta=0.5 count=8`.
    public var valueText: String { values.map { "\($0.key)=\($0.value)" }.joined(separator: " ") }
    /// `flower theta=0.5 count=8`.
    public var text: String { values.isEmpty ? recipe : "\(recipe) \(valueText)" }
  }

  public enum Status: String, CaseIterable, Sendable { case finished, diverged }

  /// The metrics of one split.
  public struct Evaluation: Equatable, Sendable {
    public var split: Dataset.Split
    /// The model's lists, then references.
    public var rows: [EvaluationReport]

    public init(split: Dataset.Split, rows: [EvaluationReport]) {
      (self.split, self.rows) = (split, rows)
    }

    /// The model's lists of a kind.
    public func model(_ lists: EvaluationReport.Lists) -> EvaluationReport? {
      rows.first { !$0.isReference && $0.lists == lists }
    }
  }

  static let formatVersion = 1

  /// The run's name.
  public var run: String
  public var setting: Setting
  public var seed: UInt64
  /// The run's place in the sweep that ran last; tables have this order.
  public var position: Int
  public var status = Status.finished
  /// Why a run ended early.
  public var message: String?
  /// What the recipe says otherwise than by default, without names, places and what is only shown or saved.
  public var recipe: [Value]
  public var dataDigest = ""
  /// Steps trained.
  public var steps = 0
  /// The checkpoint that was measured: the best, or the last.
  public var checkpoint: String?
  /// Training seconds, without validation and saving, and rows and trajectories computed, over all ranks.
  public var seconds = 0.0
  public var tokens = 0
  public var trajectories = 0
  /// `environment.json` of the run.
  public var environment: JSON = .null
  public var evaluations: [Evaluation] = []
  /// Of data without histories: the divergences of the exact distribution from the target.
  public var audit: [Metric] = []

  public init(run: String, setting: Setting, recipe: Recipe, position: Int = 0) {
    self.run = run
    self.setting = setting
    self.position = position
    seed = recipe.training.seed
    self.recipe = Self.differences(recipe)
  }

  public subscript(split: Dataset.Split) -> Evaluation? { evaluations.first { $0.split == split } }

  public static func == (a: ResultRow, b: ResultRow) -> Bool {
    a.json.serialized() == b.json.serialized()
  }
}

// MARK: - The recipe

extension ResultRow {
  /// Sections and keys that change neither weights nor metrics; the seed is beside.
  private static let outside = [
    "name", "runs", "training.seed", "training.log_every", "training.nonfinite_limit", "checkpoint.every", "checkpoint.keep",
  ]
  private static func differences(_ recipe: Recipe) -> [Value] {
    let standard = Recipe()
    return RecipeField.all.filter {
      !outside.contains($0.key) && $0.yaml(recipe) != $0.yaml(standard)
    }
    .map { Value(key: $0.key, value: $0.yaml(recipe)) }
  }

  /// Whether a value changes the metrics and not the weights.
  private static func isMeasuring(_ value: Value) -> Bool {
    value.key.hasPrefix("evaluation.") && !RunCourse.depends(on: value.key)
  }

  /// What was trained otherwise, in words; empty if the row is of this recipe.
  func differences(from recipe: Recipe) -> [String] {
    let wanted = Self.differences(recipe)
    let keys = RecipeField.all.map(\.key).filter { key in
      let values = [self.recipe, wanted].map { list in
        list.first { $0.key == key && !Self.isMeasuring($0) }?.value
      }
      return values[0] != values[1]
    }
    return keys.map { key in "\(key) \(self.recipe.first { $0.key == key }?.value ?? "by default")"
    }
  }

  /// Whether its metrics are those that the recipe asks for.
  func isMeasured(as recipe: Recipe) -> Bool {
    self.recipe.filter(Self.isMeasuring) == Self.differences(recipe).filter(Self.isMeasuring)
  }
}

// MARK: - JSON

extension ResultRow {
  public var json: JSON {
    var members: [JSON.Member] = [
      JSON.Member("format_version", JSON(Self.formatVersion)),
      JSON.Member("run", JSON(run)),
      JSON.Member("recipe", JSON(setting.recipe)),
      JSON.Member("setting", Self.object(setting.values)),
      JSON.Member("seed", JSON(seed)),
      JSON.Member("position", JSON(position)),
      JSON.Member("status", JSON(status.rawValue)),
    ]
    if let message { members.append(JSON.Member("message", JSON(message))) }
    members += [
      JSON.Member("recipe_values", Self.object(recipe)),
      JSON.Member("data_sha256", JSON(dataDigest)),
      JSON.Member("steps", JSON(steps)),
      JSON.Member("seconds", JSON(seconds)),
      JSON.Member("tokens", JSON(tokens)),
      JSON.Member("trajectories", JSON(trajectories)),
    ]
    if let checkpoint { members.append(JSON.Member("checkpoint", JSON(checkpoint))) }
    members.append(JSON.Member("environment", environment))
    if !evaluations.isEmpty {
      members.append(
        JSON.Member(
          "evaluation",
          .object(evaluations.map { JSON.Member($0.split.rawValue, .array($0.rows.map(\.json))) })))
    }
    if !audit.isEmpty { members.append(JSON.Member("audit", .array(audit.map(\.json)))) }
    return .object(members)
  }

  private static func object(_ values: [Value]) -> JSON {
    .object(values.map { JSON.Member($0.key, JSON($0.value)) })
  }

  /// - Throws: `FlowerError` naming the file and the field.
  public init(json: JSON, file: String) throws {
    let record = try JSONRecord(json, place: file)
    let version = try record.count("format_version")
    guard version == Self.formatVersion else {
      throw FlowerError(
        .data, "\(file): 'format_version': expected \(Self.formatVersion), found \(version)")
    }
    func values(_ key: String) throws -> [Value] {
      try record.required(key, "an object", \.object).map { member in
        guard let text = member.value.string else {
          throw FlowerError(
            .data,
            "\(file): '\(key)': \(member.key.quoted): expected a string, found \(member.value.kind)"
          )
        }
        return Value(key: member.key, value: text)
      }
    }
    run = try record.required("run", "the name of a directory beside the rows", Self.name)
    setting = Setting(recipe: try record.string("recipe"), values: try values("setting"))
    seed = try record.required("seed", "a whole number, 0 or more") { json in
      guard case .number(let text) = json else { return nil }
      return UInt64(text)
    }
    position = try record.count("position")
    status = try record.required(
      "status", Status.allCases.map(\.rawValue).joined(separator: " or ")
    ) {
      $0.string.flatMap(Status.init(rawValue:))
    }
    message = try record.optional("message", "a string", \.string)
    recipe = try values("recipe_values")
    dataDigest = try record.string("data_sha256")
    steps = try record.count("steps")
    seconds = try record.double("seconds")
    tokens = try record.count("tokens")
    trajectories = try record.count("trajectories")
    checkpoint = try record.optional("checkpoint", "a string", \.string)
    environment = try record.optional("environment", "an object") { $0 } ?? .null
    evaluations = try (record.optional("evaluation", "an object", \.object) ?? []).map { member in
      guard let split = Dataset.Split(rawValue: member.key) else {
        throw FlowerError(
          .data, "\(file): 'evaluation': expected train, valid or test, found \(member.key.quoted)")
      }
      return Evaluation(
        split: split,
        rows: try EvaluationReport.rows(
          json: member.value, file: "\(file): evaluation of \(split.rawValue)"))
    }
    audit = try Metric.list(record.optional("audit", "an array", \.array) ?? [], place: file, name: "audit")
  }

  /// The name of a run, which becomes part of a path.
  private static func name(_ json: JSON) -> String? {
    json.string.flatMap { name in
      RecipeRequirement<String>.fileName.holds(name) && name.isPrintable && name.utf8.count <= 255 ? name : nil
    }
  }

  /// - Throws: `FlowerError` naming the file and the field.
  public init(file: String) throws { try self.init(json: JSON(contentsOf: file), file: file) }

  func write(to file: String) throws { try AtomicFile.write(json.serialized() + [0x0A], to: file) }

  /// The rows in a directory, by their place in the sweep, then by the names of their files.
  ///
  /// - Throws: `FlowerError` naming the file that is no row.
  public static func rows(in directory: String) throws -> [ResultRow] {
    try Directory.names(in: directory).filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }
      .map { try ResultRow(file: "\(directory)/\($0)") }
      .enumerated().sorted { ($0.element.position, $0.offset) < ($1.element.position, $1.offset) }.map(\.element)
  }
}
