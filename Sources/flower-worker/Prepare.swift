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
        interactions  A directory with items.jsonl and interactions.csv
                      (user,item,split), which names the split of every row.
        titles        A dataset directory: its titles with their training
                      counts and without its histories.
        generated     A made-up catalogue, without SOURCE.
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument { case movielens, interactions, titles, generated }

  @Argument(help: "What SOURCE is: movielens, interactions, titles or generated.")
  var format: Format

  @Argument(help: "The raw data.")
  var source: String?

  @Option(help: "The dataset directory to write.")
  var output: String

  @Option(help: "Name of the dataset. (default: that of the directory)")
  var name: String?

  @Option(help: "A history is the last n items.")
  var historyLength = Preparation.Options().historyLength

  @Option(help: "Leave out users and items with fewer than n interactions (movielens). (default: 5)")
  var core: Int?

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
    if core != nil, format != .movielens { throw ValidationError("--core goes with movielens only") }
    if (source == nil) != (format == .generated) {
      throw ValidationError(
        source == nil ? "Missing SOURCE: the raw \(format.rawValue) data" : "generated takes no SOURCE")
    }
    if maxDamaged < 0 { throw ValidationError("--max-damaged must not be negative") }
  }

  func run() throws {
    let ranks = try Ranks.join()
    try ranks.together { if ranks.isRoot { try prepare() } }
  }

  private func prepare() throws {
    try Dataset.checkOutput(output, force: force)
    var options = Preparation.Options(historyLength: historyLength, damagedLimit: maxDamaged)
    if let core { options.core = core }
    let name = name ?? output.split(separator: "/").last.map(String.init) ?? output
    let preparation =
      switch format {
      case .movielens: try MovieLens.prepare(source!, name: name, options: options)
      case .interactions: try InteractionsFile.prepare(source!, name: name, options: options)
      case .titles: try Preparation(titlesOf: source!, name: name)
      case .generated: try Preparation(generated: name, titles: titles, examples: examples, seed: seed)
      }
    try preparation.write(to: output, force: force)
    print(DatasetSummary(preparation.dataset, problems: preparation.problems))
    print("Written to \(output)")
  }
}
