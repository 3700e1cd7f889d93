import ArgumentParser
import FlowerDist

struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure a training step on made-up tokens, a network, or a tokenizer.",
    discussion: """
      Times forward and backward of one rank by phase and compares them with
      what sgemm reaches in the same run. Shares of the ceiling are steadier
      than seconds on a machine that others use too.

      With --network, under mpirun, it times messages and the reduction of
      gradients instead, and projects the reduction to more ranks.

      With --tokenizer and --texts it times the encoding of texts instead.

      With --paced it measures anew for each line that it reads from standard
      input, and answers with a line of JSON, so that other programs can take
      their steps between its own.
      """)

  @Option(help: "Width of the residual stream.")
  var hidden = BenchmarkShape().hiddenSize
  @Option(help: "Decoder layers.")
  var layers = BenchmarkShape().layers
  @Option(help: "Query heads.")
  var heads = BenchmarkShape().heads
  @Option(help: "Key and value heads.")
  var kvHeads = BenchmarkShape().kvHeads
  @Option(help: "Width of the MLP.")
  var intermediate = BenchmarkShape().intermediateSize
  @Option(help: "Tokens of the vocabulary.")
  var vocabulary = BenchmarkShape().vocabularySize
  @Option(help: "Rank of adapters that are trained in place of the weights; 0: none.")
  var lora = BenchmarkShape().adapterRank
  @Option(help: "Examples of a step.")
  var examples = BenchmarkShape().examples
  @Option(help: "Tokens of a prompt.")
  var prompt = BenchmarkShape().prompt
  @Option(help: "Tokens of a title, at least 3.")
  var title = BenchmarkShape().title
  @Option(help: "Titles per prompt beside the SFT target; 0: SFT alone.")
  var trajectories = BenchmarkShape().trajectories
  @Option(help: "What a distribution is over: catalogue or vocabulary.")
  var support = BenchmarkShape().support
  @Option(help: "Where the titles come from: given, or sampled from the policy.")
  var draws = BenchmarkShape().draws
  @Option(help: "How matrices are multiplied: fma, or bf16x6.")
  var arithmetic = BenchmarkShape().arithmetic
  @Option(help: "Measured steps.")
  var repeats = 20
  @Option(help: "Steps before them.")
  var warmUp = 3
  @Option(help: "Threads of the step and of the sgemm beside it.")
  var threads = 1
  @Flag(help: "Measure what is between the ranks.")
  var network = false
  @Option(help: "Weights of the model whose reduction --network projects.")
  var parameters = 494_000_000
  @Option(help: ArgumentHelp("Measure this tokenizer.json or tiktoken rank file.", valueName: "path"))
  var tokenizer: String?
  @Option(help: ArgumentHelp("The texts it encodes, one a line.", valueName: "file"))
  var texts: String?
  @Flag(help: "Print the result as JSON.")
  var json = false
  @Flag(help: "Measure for each line of input; --warm-up before the first.")
  var paced = false

  func validate() throws {
    if warmUp < 0 { throw ValidationError("--warm-up must be at least 0") }
    if repeats < 1 { throw ValidationError("--repeats must be at least 1") }
    if parameters < 1 { throw ValidationError("--parameters must be at least 1") }
    if network && tokenizer != nil { throw ValidationError("--network and --tokenizer do not go together") }
    if (tokenizer == nil) != (texts == nil) { throw ValidationError("--tokenizer and --texts go together") }
    if paced && (network || tokenizer != nil) { throw ValidationError("--paced goes with neither --network nor --tokenizer") }
    if threads < 1 || threads > 1024 { throw ValidationError("--threads must be 1 to 1024") }
  }

  func run() throws {
    if let tokenizer, let texts {
      let result = try TokenizerBenchmark(tokenizer: tokenizer, texts: texts, repeats: repeats)
      return print(json ? result.json.description : result.description)
    }
    if network {
      let ranks = try Ranks.join()
      let result = try NetworkBenchmark(ranks, repeats: repeats, parameters: parameters)
      if ranks.isRoot { print(json ? result.json.description : result.description) }
      return
    }
    OpenBLAS.chooseKernels()
    Threads.count = threads
    let benchmark = try Benchmark(shape)
    if paced {
      var unmeasured = warmUp
      while readLine() != nil {
        print(benchmark.run(repeats: repeats, warmUp: unmeasured).json)
        unmeasured = 0
      }
      return
    }
    let result = benchmark.run(repeats: repeats, warmUp: warmUp)
    print(json ? result.json.description : result.description)
  }

  private var shape: BenchmarkShape {
    var shape = BenchmarkShape()
    shape.hiddenSize = hidden
    shape.layers = layers
    shape.heads = heads
    shape.kvHeads = kvHeads
    shape.intermediateSize = intermediate
    shape.vocabularySize = vocabulary
    shape.adapterRank = lora
    shape.examples = examples
    shape.prompt = prompt
    shape.title = title
    shape.trajectories = trajectories
    shape.support = support
    shape.draws = draws
    shape.arithmetic = arithmetic
    return shape
  }
}

extension Recipe.Objective.Support: ExpressibleByArgument {}
extension BenchmarkShape.Draws: ExpressibleByArgument {}
extension Arithmetic: ExpressibleByArgument {}
