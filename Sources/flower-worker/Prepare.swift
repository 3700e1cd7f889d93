import ArgumentParser
import FlowerDist

struct Prepare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn raw data into a dataset directory.",
    discussion: """
      Formats:
        movielens     A directory of MovieLens (u.data, ratings.dat or
                      ratings.csv), or RecBole's atomic files: a .inter file
                      with its .item beside it, or their directory.
        amazon        Two files, reviews and metadata of Amazon's products, of
                      2014, 2018 or 2023: an object a line, .gz or not.
        flower-csv    train, valid and test as BIGRec, D3 and Flower share
                      them: three CSV files, or a directory with them.
        interactions  A directory with items.jsonl and interactions.csv
                      (user,item,split), which names the split of every row.
        titles        A dataset directory: its titles with their training
                      counts and without its histories.
        generated     A made-up catalogue, without SOURCE.

      A damaged line is skipped, counted and shown.
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case movielens, amazon
    case flowerCSV = "flower-csv"
    case interactions, titles, generated

    /// How many sources it takes.
    var sourceCounts: [Int] {
      switch self {
      case .movielens, .interactions, .titles: [1]
      case .amazon: [2]
      case .flowerCSV: [1, 3]
      case .generated: [0]
      }
    }

    /// Whether it makes examples of a log of interactions, so that users and items with few can be left out.
    var isLog: Bool { self == .movielens || self == .amazon }
  }

  @Argument(help: "What SOURCE is: movielens, amazon, flower-csv, interactions, titles or generated.")
  var format: Format

  @Argument(help: ArgumentHelp("The raw data.", valueName: "source"))
  var sources: [String] = []

  @Option(help: "The dataset directory to write.")
  var output: String

  @Option(help: "Name of the dataset. (default: that of the directory)")
  var name: String?

  @Option(help: "A history is the last n items.")
  var historyLength = Preparation.Options().historyLength

  @Option(help: "Leave out users and items with fewer than n interactions (movielens, amazon). (default: 5)")
  var core: Int?

  @Option(help: ArgumentHelp("Leave out what was before this day (amazon).", valueName: "yyyy-mm-dd"))
  var from: CalendarDay?

  @Option(help: ArgumentHelp("Leave out what was on this day or later (amazon).", valueName: "yyyy-mm-dd"))
  var until: CalendarDay?

  @Option(help: "Leave out items whose title has more than n words (amazon). (default: 20)")
  var maxWords: Int?

  @Option(help: "Stop at more than n damaged lines in a file.")
  var maxDamaged = Preparation.Options().damagedLimit

  @Option(help: "Number of titles (generated).")
  var titles = 500

  @Option(help: "Number of examples (generated); 0 makes titles with counts and no histories.")
  var examples = 0

  @Option(help: "Seed (generated).")
  var seed: UInt64 = 1

  @Flag(help: "Replace the dataset directory if it exists.")
  var force = false

  func validate() throws {
    if historyLength < 1 { throw ValidationError("--history-length must be at least 1") }
    if let core, core < 1 { throw ValidationError("--core must be at least 1") }
    if let maxWords, maxWords < 1 { throw ValidationError("--max-words must be at least 1") }
    if core != nil, !format.isLog { throw ValidationError("--core goes with movielens and amazon only") }
    if from != nil || until != nil || maxWords != nil, format != .amazon {
      throw ValidationError("--from, --until and --max-words go with amazon only")
    }
    try validateSources()
    if maxDamaged < 0 { throw ValidationError("--max-damaged must not be negative") }
  }

  private func validateSources() throws {
    guard !format.sourceCounts.contains(sources.count) else { return }
    switch format {
    case .generated: throw ValidationError("generated takes no SOURCE")
    case .amazon: throw ValidationError("amazon takes two SOURCEs: the reviews, then the metadata")
    case .flowerCSV: throw ValidationError("flower-csv takes three SOURCEs, train, valid and test, or their directory")
    default:
      throw ValidationError(
        sources.isEmpty ? "Missing SOURCE: the raw \(format.rawValue) data" : "\(format.rawValue) takes one SOURCE")
    }
  }

  func run() throws {
    let ranks = try Ranks.join()
    try ranks.together { if ranks.isRoot { try prepare() } }
  }

  private func prepare() throws {
    try Dataset.checkOutput(output, force: force)
    var options = Preparation.Options(historyLength: historyLength, damagedLimit: maxDamaged)
    if let core { options.core = core }
    if let maxWords { options.titleWords = maxWords }
    options.from = from
    options.until = until
    let name = name ?? output.split(separator: "/").last.map(String.init) ?? output
    let preparation =
      switch format {
      case .movielens: try MovieLens.prepare(sources[0], name: name, options: options)
      case .amazon:
        try AmazonReviews.prepare(reviews: sources[0], products: sources[1], name: name, options: options)
      case .flowerCSV: try FlowerCSV.prepare(sources, name: name, options: options)
      case .interactions: try InteractionsFile.prepare(sources[0], name: name, options: options)
      case .titles: try Preparation(titlesOf: sources[0], name: name)
      case .generated: try Preparation(generated: name, titles: titles, examples: examples, seed: seed)
      }
    try preparation.write(to: output, force: force)
    print(DatasetSummary(preparation.dataset, problems: preparation.problems))
    print("Written to \(output)")
  }
}

extension CalendarDay: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}
