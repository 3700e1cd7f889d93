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
    subcommands: [Prepare.self, Train.self, Evaluate.self, Audit.self, Recommend.self, Inspect.self, MakeReport.self, Bench.self])

  static func main() {
    Blas.chooseKernels()
    Output.bufferByLine()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as FlowerError {
      Ranks.leave(error)
    } catch {
      // Every rank parses the same arguments: rank zero says what is wrong with them.
      let code = exitCode(for: error).rawValue
      let message = fullMessage(for: error)
      if code == 0 {
        if Ranks.isFirst { print(message) }
        Ranks.leave(code: 0)
      }
      if Ranks.isFirst { FileHandle.standardError.write(Data((message + "\n").utf8)) }
      Ranks.leave(code: FlowerError.Kind.usage.rawValue)
    }
    Ranks.leave(code: 0)
  }
}
