import ArgumentParser
import FlowerDist

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a model as a plain Hugging Face directory.",
    discussion: """
      Writes config.json, the weights, generation_config.json, flower.json,
      and the tokenizer's files as they were in the directory that training
      began from. Weights above 5 GB are cut into shards with an index.
      """)

  enum WeightType: String, CaseIterable, ExpressibleByArgument {
    case bf16, f32

    var dtype: SafeTensors.DType {
      switch self {
      case .bf16: .bf16
      case .f32: .f32
      }
    }
  }

  @Option(help: "A checkpoint, a run (its best checkpoint, else its newest) or a model directory.")
  var checkpoint: String

  @Option(help: "The directory to write; it must not exist.")
  var output: String

  @Option(help: "Number type of the weights. (default: bf16 if training began from a model in bf16, else f32)")
  var dtype: WeightType?

  func validate() throws {
    if output.isEmpty { throw ValidationError("--output: expected the name of a directory") }
  }

  func run() throws {
    let ranks = try Ranks.join()
    try ranks.together {
      guard ranks.isRoot else { return }
      print(try ModelExport(checkpoint, to: output, dtype: dtype?.dtype))
    }
  }
}
