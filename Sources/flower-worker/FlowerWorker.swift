import ArgumentParser
import FlowerDist

@main
struct FlowerWorker: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flower-worker", abstract: "Trains recommenders that write the title of the next item.",
    subcommands: [Prepare.self, Inspect.self])
}
