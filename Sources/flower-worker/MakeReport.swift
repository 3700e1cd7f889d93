import ArgumentParser
import FlowerDist

struct MakeReport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Tables and a page, report.html, of runs or of the rows of sweeps.",
    discussion: """
      Of run directories: a table, and report.html and report.json. Of a
      sweep's directory: of its runs that are measured on the test split.

      --results reads the rows that sweeps leave, DIR/*.json and those of the
      directories in DIR, and prints their tables in Markdown. --compare A B
      prints the differences of two of their methods with paired 95 %
      intervals over users and seeds.
      """)

  @Argument(help: "Run directories, or directories of sweeps.")
  var runs: [String] = []

  @Option(
    help: ArgumentHelp(
      "Where report.html and report.json go; the first of the directories unless given.",
      valueName: "dir"))
  var output: String?

  @Option(help: ArgumentHelp("Print the tables of these rows.", valueName: "dir"))
  var results: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "With --results: what A has over B, by their names in the tables.", valueName: "A B"))
  var compare: [String] = []

  @Option(
    help: ArgumentHelp("With --results: what selects on the validation split.", valueName: "metric")
  )
  var select: String?

  @Option(help: ArgumentHelp("Write event files for TensorBoard here too.", valueName: "dir"))
  var tensorboard: String?

  func validate() throws {
    guard !runs.isEmpty != (results != nil) else {
      throw ValidationError("expected run directories, or --results with a directory of rows")
    }
    if results != nil, output != nil || tensorboard != nil {
      throw ValidationError("--output and --tensorboard are for run directories")
    }
    if results == nil, select != nil { throw ValidationError("--select goes with --results") }
    guard compare.isEmpty || (compare.count == 2 && results != nil) else {
      throw ValidationError("--compare: expected the names of two methods, and --results")
    }
  }

  func run() throws {
    let ranks = try Ranks.join()
    try ranks.together {
      guard ranks.isRoot else { return }
      if let results {
        return print(
          try ResultPage(results, compare: compare, select: select).markdown, terminator: "")
      }
      let report = try Report.build(runs: runs)
      let directory = output ?? runs[0]
      try report.write(to: directory)
      print(report.table)
      print("\nreport: \(directory)/report.html")
      if let tensorboard { try report.writeEvents(to: tensorboard) }
    }
  }
}
