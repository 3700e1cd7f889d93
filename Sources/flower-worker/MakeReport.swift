import ArgumentParser
import FlowerDist

struct MakeReport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "A table and a page, report.html, of one or several runs.")

  @Argument(help: "Run directories.")
  var runs: [String]

  @Option(help: ArgumentHelp("Where report.html and report.json go; the first run unless given.", valueName: "dir"))
  var output: String?

  func run() throws {
    let ranks = try Ranks.join()
    try ranks.together {
      guard ranks.isRoot else { return }
      let report = try Report.build(runs: runs)
      let directory = output ?? runs[0]
      try report.write(to: directory)
      print(report.table)
      print("\nreport: \(directory)/report.html")
    }
  }
}
