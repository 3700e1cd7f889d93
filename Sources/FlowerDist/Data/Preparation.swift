/// A dataset made from raw data, with where it came from and what was noticed on the way.
public struct Preparation: Sendable {
  public struct Options: Equatable, Sendable {
    /// A history is the last this many items.
    public var historyLength = 10
    /// Users and items with fewer interactions are left out, again until none is.
    public var core = 5
    /// More damaged lines than this in one file are an error.
    public var damagedLimit = 100
    /// Interactions before this day are left out.
    public var from: CalendarDay?
    /// Interactions on this day and later are left out.
    public var until: CalendarDay?
    /// Items with a title of more words are left out; the published number.
    public var titleWords = 20

    public init(historyLength: Int = 10, core: Int = 5, damagedLimit: Int = 100) {
      self.historyLength = historyLength
      self.core = core
      self.damagedLimit = damagedLimit
    }
  }

  public var dataset: Dataset
  /// Format, options, and the SHA-256 of every file that was read.
  public var source: JSON
  public var problems: [DatasetProblem]

  /// - Parameter files: Paths of the files that were read, all different.
  init(_ dataset: Dataset, format: String, options: [JSON.Member], files: [String], log: ProblemLog) throws {
    self.dataset = dataset
    let digests = try zip(Self.shortNames(of: files), files).map {
      JSON.Member($0, JSON(try SHA256.hex(ofFile: $1)))
    }
    source = .object([JSON.Member("format", JSON(format))] + options + [JSON.Member("files", .object(digests))])
    problems = log.problems + dataset.problems()
  }

  /// The last parts of paths: as many of them as it takes to tell the paths apart.
  private static func shortNames(of paths: [String]) -> [String] {
    let parts = paths.map { $0.split(separator: "/") }
    let most = parts.map(\.count).max() ?? 0
    let names = (0..<most).lazy.map { dropped in parts.map { $0.suffix(1 + dropped).joined(separator: "/") } }
    return names.first { Set($0).count == paths.count } ?? paths
  }

  /// A made-up dataset; see `Dataset.generated`.
  public init(generated name: String, titles: Int, examples: Int, seed: UInt64) throws {
    var dataset = try Dataset.generated(titles: titles, examples: examples, seed: seed)
    dataset.name = name
    let options: [JSON.Member] = [
      JSON.Member("titles", JSON(titles)), JSON.Member("examples", JSON(examples)), JSON.Member("seed", JSON(seed)),
    ]
    try self.init(dataset, format: "generated", options: options, files: [], log: ProblemLog(damagedLimit: 0))
  }

  /// The titles of a dataset directory with their training counts, without its histories: a distribution to fit.
  public init(titlesOf directory: String, name: String) throws {
    let source = try Dataset(directory: directory)
    try self.init(
      Dataset(name: name, titles: source.titles, weights: source.counts), format: "titles",
      options: [JSON.Member("dataset", JSON(source.name)), JSON.Member("digest", JSON(source.digest))], files: [],
      log: ProblemLog(damagedLimit: 0))
  }

  /// Writes the dataset directory; see `Dataset.write`.
  public func write(to directory: String, force: Bool = false) throws {
    try dataset.write(to: directory, source: source, problems: problems, force: force)
  }
}

/// Counts what is noticed while raw data are read, and keeps the first examples of each kind.
struct ProblemLog {
  private let damagedLimit: Int
  private var damagedInFile: [String: Int] = [:]
  private var found: [DatasetProblem.Kind: DatasetProblem] = [:]

  init(damagedLimit: Int) { self.damagedLimit = damagedLimit }

  /// What occurred, in the order of the kinds.
  var problems: [DatasetProblem] { DatasetProblem.Kind.allCases.compactMap { found[$0] } }

  mutating func note(_ kind: DatasetProblem.Kind, _ example: @autoclosure () -> String) {
    var problem = found[kind] ?? DatasetProblem(kind: kind, count: 0, examples: [])
    problem.count += 1
    if problem.examples.count < DatasetProblem.exampleLimit { problem.examples.append(example()) }
    found[kind] = problem
  }

  /// Notes that a line is skipped.
  ///
  /// - Throws: The line's error if it is one too many.
  mutating func skip(_ line: LinePlace, _ reason: String) throws {
    damagedInFile[line.path, default: 0] += 1
    guard damagedInFile[line.path]! <= damagedLimit else {
      throw line.error("\(reason) (and \(damagedLimit) damaged lines before it: is this the right file?)")
    }
    note(.damagedLines, "\(Dataset.lastComponent(of: line.path)):\(line.number): \(reason)")
  }

  /// A title as it is kept: on one line.
  mutating func oneLine(_ title: String) -> String {
    guard title.contains(where: \.isNewline) else { return title }
    let repaired = title.onOneLine
    note(.lineBreaks, repaired)
    return repaired
  }
}

extension String {
  /// With spaces for line breaks.
  var onOneLine: String { contains(where: \.isNewline) ? String(map { $0.isNewline ? " " : $0 }) : self }
}
