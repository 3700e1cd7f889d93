import ArgumentParser
import FlowerDist
import Foundation

/// Parses the command line, calls the library, and ends with the documented exit code on every rank.
@main
struct FlowerWorker: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flower-worker",
    abstract: "Trains recommenders that write the title of the next item.",
    version: flowerVersion,
    subcommands: [
      Prepare.self, Train.self, SweepRecipes.self, Evaluate.self, Audit.self, Recommend.self, Explain.self, Score.self,
      Export.self,
      Inspect.self, Verify.self, MakeReport.self, Bench.self,
    ])

  static func main() {
    Output.bufferByLine()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as FlowerError {
      Ranks.leave(error)
    } catch {
      let message = fullMessage(for: error)
      if exitCode(for: error).isSuccess {
        if Ranks.isFirst { print(message) }
        Ranks.leave(code: 0)
      }
      // Before the ranks have joined, one that ends would kill the one that says why.
      _ = try? Ranks.join()
      Ranks.leave(FlowerError(.usage, message.hasPrefix("Error: ") ? String(message.dropFirst(7)) : message))
    }
    Ranks.leave(code: 0)
  }
}
