import Foundation

/// What the network between the ranks of a job does: latency, bandwidth, and the reduction of gradients of several sizes, from
/// which larger jobs are projected.
public struct NetworkBenchmark: CustomStringConvertible {
  /// Seconds to reduce and gather a number of floats, the median of the repeats, over all ranks the slowest.
  struct Reduction {
    var floats: Int
    var seconds: Double
    /// Sent as bfloat16.
    var compressed: Double
  }

  /// a, b and g of T = 2 ⌈log2 p⌉ a + 2 (p − 1)/p n b + (p − 1)/p n g for n bytes on p ranks (Thakur, Rabenseifner & Gropp 2005,
  /// "Optimization of collective communication operations in MPICH").
  struct Fit {
    /// Seconds of a message.
    var latency: Double
    /// Seconds of a byte on its way, and added on a rank.
    var transfer: Double
    var addition: Double

    func seconds(bytes: Double, ranks: Int) -> Double {
      let share = Double(ranks - 1) / Double(ranks)
      let rounds = Double((ranks - 1).bitWidth - (ranks - 1).leadingZeroBitCount)
      return 2 * rounds * latency + share * bytes * (2 * transfer + addition)
    }
  }

  let ranks: Int
  let hosts: [String]
  let repeats: Int
  let parameters: Int
  /// Half of a round trip of 8 bytes between the first rank and the last, seconds.
  let latency: Double
  /// Of 16 MB from the first rank to the last and back, bytes per second in one direction.
  let bandwidth: Double
  /// Of one rank, bytes of the sum per second.
  let additionRate: Double
  let reductions: [Reduction]
  let fit: Fit

  private static let sizes = [1 << 12, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 23]
  static let projected = [2, 8, 64, 1024]

  /// Collective.
  ///
  /// - Parameter parameters: of the model whose reduction is projected.
  /// - Throws: a usage error for a single rank.
  public init(_ communicator: any Communicator, repeats: Int, parameters: Int) throws {
    guard communicator.size > 1 else {
      throw FlowerError(.usage, "--network measures what is between ranks: start at least two of them with mpirun")
    }
    guard communicator.size.nonzeroBitCount == 1 else {
      throw FlowerError(
        .usage,
        "--network: expected a power of two of ranks, found \(communicator.size): what others send is not what the projection"
          + " counts")
    }
    (ranks, hosts) = (communicator.size, communicator.hosts)
    (self.repeats, self.parameters) = (repeats, parameters)
    latency = Self.roundTrip(communicator, bytes: 8, repeats: 20 * repeats) / 2
    bandwidth = 16e6 / (Self.roundTrip(communicator, bytes: 16_000_000, repeats: repeats) / 2)
    let additionRate = Self.additionRate(repeats: repeats)
    self.additionRate = additionRate
    reductions = Self.sizes.map { floats in
      Reduction(
        floats: floats, seconds: Self.reduction(communicator, floats, .none, repeats),
        compressed: Self.reduction(communicator, floats, .bf16, repeats))
    }
    fit = Self.fit(reductions, ranks: communicator.size, latency: latency, additionRate: additionRate)
  }

  /// b by least squares of relative errors over what was measured on so many ranks. The latency is that of small messages: bursts
  /// and pipelines bend the curve of a few sizes too much to find it there.
  static func fit(_ reductions: [Reduction], ranks: Int, latency: Double, additionRate: Double) -> Fit {
    let fixed = Fit(latency: latency, transfer: 0, addition: 1 / additionRate)
    let share = 2 * Double(ranks - 1) / Double(ranks)
    var (numerator, denominator) = (0.0, 0.0)
    for reduction in reductions {
      let bytes = 4 * Double(reduction.floats)
      let weight = share * bytes / reduction.seconds
      numerator += weight * (1 - fixed.seconds(bytes: bytes, ranks: ranks) / reduction.seconds)
      denominator += weight * weight
    }
    return Fit(latency: latency, transfer: max(0, numerator / denominator), addition: 1 / additionRate)
  }

  private static func median(_ repeats: Int, _ body: () -> Void) -> Double {
    var samples = Samples()
    let clock = ContinuousClock()
    for _ in 0..<repeats {
      let start = clock.now
      body()
      samples.add(wall: (clock.now - start).seconds)
    }
    return samples.median
  }

  /// Seconds of a message from the first rank to the last and of one back.
  private static func roundTrip(_ communicator: any Communicator, bytes: Int, repeats: Int) -> Double {
    let last = communicator.size - 1
    let floats = FloatArena(count: (bytes + 3) / 4)
    let buffer = UnsafeMutableRawBufferPointer(start: floats.base, count: bytes)
    func send(to rank: Int) {
      communicator.wait(for: communicator.send(UnsafeRawBufferPointer(buffer), to: rank, tag: 0))
    }
    func receive(from rank: Int) { communicator.wait(for: communicator.receive(buffer, from: rank, tag: 0)) }
    communicator.barrier()
    let seconds = median(communicator.rank == 0 || communicator.rank == last ? repeats : 0) {
      if communicator.rank == 0 {
        send(to: last)
        receive(from: last)
      } else {
        receive(from: 0)
        send(to: 0)
      }
    }
    return communicator.sum([communicator.isRoot ? seconds : 0])[0]
  }

  private static func additionRate(repeats: Int) -> Double {
    let count = 1 << 22
    let (sum, other) = (FloatArena(count: count), FloatArena(count: count))
    add(other.base, to: sum.base, count)
    return 4 * Double(count) / median(repeats) { add(other.base, to: sum.base, count) }
  }

  private static func reduction(
    _ communicator: any Communicator, _ floats: Int, _ compression: Recipe.Communication.Compression, _ repeats: Int
  ) -> Double {
    var grains = 1
    while grains < communicator.size { grains *= 2 }
    let reducer = GradientReducer(
      count: floats, grains: grains, communicator: communicator, compression: compression)
    let weights = FloatArena(count: floats)
    let mine = ReductionPlan.grains(ofRank: communicator.rank, grains: grains, ranks: communicator.size)
    var samples = Samples()
    let clock = ContinuousClock()
    for repetition in 0...repeats {
      let gradients = mine.map { _ in reducer.buffer() }
      communicator.barrier()
      let start = clock.now
      for gradient in gradients { reducer.add(gradient) }
      _ = reducer.reduce()
      reducer.finish()
      reducer.gather(weights).finish()
      // The first one makes connections and buffers.
      if repetition > 0 { samples.add(wall: (clock.now - start).seconds) }
    }
    return communicator.gather(withUnsafeBytes(of: samples.median) { Array($0) }).map { bytes in
      bytes.withUnsafeBytes { $0.loadUnaligned(as: Double.self) }
    }.max()!
  }

  // MARK: Output

  private func text(_ value: Double) -> String { NumberText.short(value, digits: 3) }

  public var description: String {
    var measured = TextTable(header: ["median of \(repeats)", "ms", "GB/s a rank", "ms as bf16"], rows: [])
    for reduction in reductions {
      let bytes = 2 * Double(ranks - 1) / Double(ranks) * 4 * Double(reduction.floats)
      measured.rows.append([
        "\(NumberText.grouped(Double(reduction.floats))) floats", text(1e3 * reduction.seconds),
        text(bytes / reduction.seconds / 1e9), text(1e3 * reduction.compressed),
      ])
    }
    var projection = TextTable(header: ["projected, not measured", "seconds of a reduction"], rows: [])
    for ranks in Self.projected {
      projection.rows.append([
        "\(NumberText.grouped(Double(ranks))) ranks", text(fit.seconds(bytes: 4 * Double(parameters), ranks: ranks)),
      ])
    }
    let names = Set(hosts).sorted()
    let warning = names.count == 1 ? ["one host: this is memory, no network"] : []
    return
      ([
        "ranks        \(ranks) on \(names.prefix(4).joined(separator: ", "))"
          + (names.count > 4 ? " and \(names.count - 4) more hosts" : ""),
        "latency      \(text(1e6 * latency)) µs, half of a round trip of 8 bytes",
        "bandwidth    \(text(bandwidth / 1e9)) GB/s, 16 MB from the first rank to the last",
        "addition     \(text(additionRate / 1e9)) GB/s of the sum on one rank", "",
      ] + measured.lines + [
        "", "fitted       a = \(text(1e6 * fit.latency)) µs, b = \(text(1e9 * fit.transfer)) ns a byte,"
          + " g = \(text(1e9 * fit.addition)) ns a byte",
        "             T = 2 ceil(log2 p) a + 2 (p-1)/p n b + (p-1)/p n g,"
          + " n = \(NumberText.compact(4 * Double(parameters)))B", "",
      ] + projection.lines + warning).joined(separator: "\n")
  }

  public var json: JSON {
    [
      "ranks": JSON(ranks), "hosts": .array(hosts.map { JSON($0) }), "repeats": JSON(repeats),
      "latency_seconds": JSON(latency), "bytes_per_second": JSON(bandwidth),
      "addition_bytes_per_second": JSON(additionRate),
      "reductions": .array(
        reductions.map {
          ["floats": JSON($0.floats), "median_seconds": JSON($0.seconds), "bf16_median_seconds": JSON($0.compressed)]
        }),
      "fit": [
        "latency_seconds": JSON(fit.latency), "transfer_seconds_per_byte": JSON(fit.transfer),
        "addition_seconds_per_byte": JSON(fit.addition),
      ],
      "projection": [
        "parameters": JSON(parameters),
        "seconds": .object(
          Self.projected.map {
            JSON.Member("\($0)", JSON(fit.seconds(bytes: 4 * Double(parameters), ranks: $0)))
          }),
      ],
    ]
  }
}
