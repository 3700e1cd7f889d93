/// The runs of a sweep: every combination of the axes' values, of every recipe, for every seed, each with a name of its
/// own that is made of them.
public struct SweepPlan: Sendable {
  /// One training.
  public struct Run: Sendable {
    /// Resolved; its name is the run's.
    public let recipe: Recipe
    public let setting: ResultRow.Setting

    public var name: String { recipe.name }
    public var path: String { RunDirectory.path(recipe) }
  }

  /// More runs than anybody starts on purpose.
  private static let limit = 10_000
  /// Longer names are cut; file systems take 255 bytes.
  private static let longestValue = 40
  private static let longestName = 200

  /// Where the runs are, one directory each; `results` in it has their rows.
  public let directory: String
  /// By recipe, then by the axes' values, the last axis first, then by seed.
  public let runs: [Run]

  public var results: String { "\(directory)/results" }
  func row(of run: Run) -> String { "\(results)/\(run.name).json" }

  /// - Parameters:
  ///   - recipes: files; the directory is in `runs` of the first.
  ///   - seeds: those of the recipes unless given.
  ///   - overrides: `key=value` for all runs.
  ///   - name: of the sweep's directory; made of the recipes' names unless given.
  /// - Throws: `FlowerError` of kind `usage`, also for two runs of one name.
  public init(
    recipes: [String], over axes: [SweepAxis], seeds: [UInt64] = [], overrides: [String] = [],
    name: String? = nil
  ) throws {
    try Self.check(axes, seeds, overrides)
    let combinations = axes.reduce([[]]) { combinations, axis in
      combinations.flatMap { combination in axis.values.map { combination + ["\(axis.key)=\($0)"] } }
    }
    // With values of the axes: without them a recipe may ask for what does not go together.
    let bases = try recipes.map { try Recipe.read(path: $0, overrides: overrides + combinations[0]) }
    guard let first = bases.first else { throw FlowerError(.usage, "expected at least one recipe") }
    if let other = bases.first(where: { $0.runs != first.runs }) {
      throw FlowerError(
        .usage,
        "the recipes write to \(first.runs) and \(other.runs); give all of them one place with --set runs=…"
      )
    }
    var named = first
    named.name = name ?? bases.map(\.name).joined(separator: "+") + "-sweep"
    guard let field = RecipeField.named("name"),
      field.read(RecipeScalar(text: named.name, isPlain: false), &named)
    else {
      throw FlowerError(
        .usage, "--name: expected text that can name a folder, found \(named.name.quoted)")
    }
    directory = RunDirectory.path(named)

    var runs: [Run] = []
    for (path, base) in zip(recipes, bases) {
      for combination in combinations {
        let recipe = try Recipe.read(path: path, overrides: overrides + combination)
        for seed in seeds.isEmpty ? [base.training.seed] : seeds {
          runs.append(Self.run(recipe, axes, seed: seed, in: directory))
        }
      }
    }
    self.runs = runs
    try checkNames()
  }

  private static func check(_ axes: [SweepAxis], _ seeds: [UInt64], _ overrides: [String]) throws {
    let overridden = overrides.map { $0.prefix { $0 != "=" } }
    for (index, axis) in axes.enumerated() {
      let reserved = ["name": "--name", "runs": "--set", "training.seed": "--seeds"]
      if let option = reserved[axis.key] {
        throw FlowerError(.usage, "--over \(axis.key): use \(option)")
      }
      guard !axes[..<index].contains(where: { $0.key == axis.key }),
        !overridden.contains(axis.key[...])
      else {
        throw FlowerError(.usage, "--over \(axis.key): this key is set twice")
      }
    }
    if overridden.contains("name") {
      throw FlowerError(.usage, "--set name: every run of a sweep has a name of its own")
    }
    guard Set(seeds).count == seeds.count else {
      throw FlowerError(.usage, "--seeds: expected different numbers")
    }
    let sizes = axes.map(\.values.count) + [max(seeds.count, 1)]
    let count = sizes.reduce(1) { min($0 * min($1, limit + 1), limit + 1) }
    guard count <= limit else {
      throw FlowerError(.usage, "--over: expected a grid of at most \(limit) runs")
    }
  }

  private static func run(_ recipe: Recipe, _ axes: [SweepAxis], seed: UInt64, in directory: String)
    -> Run
  {
    let fields = axes.compactMap { RecipeField.named($0.key) }
    let values = fields.map { field in
      // `objective.theta` is `theta` unless there is a `….theta` of another section.
      let isAlone = fields.count { $0.name == field.name } == 1
      return ResultRow.Value(
        key: isAlone ? String(field.name) : field.key, value: plain(field.yaml(recipe)))
    }
    let setting = ResultRow.Setting(recipe: recipe.name, values: values)
    var recipe = recipe
    recipe.training.seed = seed
    recipe.runs = directory
    recipe.name = name(
      [setting.recipe], values + [ResultRow.Value(key: "seed", value: String(seed))])
    return Run(recipe: recipe, setting: setting)
  }

  private func checkNames() throws {
    var seen: Set<String> = []
    for run in runs {
      guard seen.insert(run.name).inserted else {
        throw FlowerError(
          .usage,
          "two runs would be called \(run.name): expected different values of a key, and recipes of different names"
        )
      }
      guard run.name.utf8.count <= Self.longestName else {
        throw FlowerError(
          .usage,
          "\(run.name): expected a shorter name; set name in the recipe, or fewer keys with --over")
      }
    }
  }

  // MARK: Names

  /// A YAML scalar without its quotes.
  private static func plain(_ yaml: String) -> String {
    yaml.count >= 2 && yaml.first == "\"" && yaml.last == "\""
      ? String(yaml.dropFirst().dropLast()) : yaml
  }

  /// `flower_theta=0.5_seed=1`. No two different lists of values of the same
  /// keys give the same name: a value has no `=`.
  private static func name(_ beginning: [String], _ values: [ResultRow.Value]) -> String {
    (beginning + values.map { "\($0.key)=\(fileName($0.value))" }).joined(separator: "_")
  }

  /// Letters, digits and `. + - _ @ ~` as they are, every other byte as `%` and two digits; what is long ends with a hash.
  private static func fileName(_ value: String) -> String {
    let text = value.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"):
        return String(UnicodeScalar(byte))
      case let byte where ".+-_@~".utf8.contains(byte): return String(UnicodeScalar(byte))
      default: return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }.joined()
    if text.utf8.count <= longestValue { return text }
    return "\(text.prefix(longestValue - 9))~\(SHA256.hex(of: Array(value.utf8)).prefix(8))"
  }
}
