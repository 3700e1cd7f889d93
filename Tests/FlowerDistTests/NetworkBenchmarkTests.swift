import Testing

@testable import FlowerDist

@Suite struct NetworkBenchmarkTests {
  @Test(arguments: [2, 4, 8]) func aFitFindsWhatTheFormulaMade(ranks: Int) {
    let truth = NetworkBenchmark.Fit(latency: 30e-6, transfer: 1 / 1.1e9, addition: 1 / 8e9)
    let reductions = [1 << 10, 1 << 16, 1 << 20, 1 << 23].map { floats in
      NetworkBenchmark.Reduction(
        floats: floats, seconds: truth.seconds(bytes: 4 * Double(floats), ranks: ranks), compressed: 0)
    }
    let fit = NetworkBenchmark.fit(reductions, ranks: ranks, latency: 30e-6, additionRate: 8e9)
    #expect(abs(fit.transfer / truth.transfer - 1) < 1e-6)
    // FACTS of a 10 Gbit/s network: 2 rounds of 30 µs, half of the bytes there, back and added.
    let seconds = NetworkBenchmark.Fit(latency: 30e-6, transfer: 8 / 8.5e9, addition: 1e-10).seconds(bytes: 1.98e9, ranks: 2)
    #expect(abs(seconds - (60e-6 + 1.98 * 8 / 8.5 + 0.099)) < 1e-9)
  }

  @Test func measuresRanks() throws {
    let results = try InMemoryRanks.run(4) { communicator in
      let result = try NetworkBenchmark(communicator, repeats: 1, parameters: 1_000_000)
      return (result.description, result.json.serialized())
    }
    for (text, json) in results {
      #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(text)")
      #expect(try JSON(parsing: json)["reductions"]?.array?.count == 6)
    }
    #expect(throws: FlowerError.self) {
      try InMemoryRanks.run(3) { _ = try NetworkBenchmark($0, repeats: 1, parameters: 1) }
    }
    #expect(throws: FlowerError.self) { try NetworkBenchmark(SingleProcess(), repeats: 1, parameters: 1) }
  }
}
