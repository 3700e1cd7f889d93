/// What a benchmark measured, as text of at most 80 columns and as JSON.
public struct BenchmarkResult: CustomStringConvertible {
  struct Memory {
    var estimate: MemoryPlan
    /// The most resident memory, and how much more there was after the measured steps than before them.
    var peak: Int?
    var growth: Int?

    /// What the estimate allows: 1.3 times itself for scratch and rounding, 150 MB for the program and its libraries, and
    /// what the ceiling is measured with.
    var limit: Int { estimate.frozen + estimate.total * 13 / 10 + 150_000_000 + MachineCeiling.bytes }
  }

  /// The phases that compute the gradient: forward and backward.
  static let gradientPhases: [PhaseClock.Phase] = [.forward, .sampling, .branches, .head, .objective, .backward]

  let shape: BenchmarkShape
  let parameters: Int
  let repeats: Int
  /// Tokens that were computed, prompts and titles together.
  let rows: Int
  let phases: [PhaseClock.Phase: Samples]
  /// Forward and backward together.
  let step: Samples
  let work: StepWork
  let ceiling: MachineCeiling
  let memory: Memory

  private var trajectories: Int { shape.examples * shape.trajectories }
  private func gigaflops(_ operations: Double, _ seconds: Double) -> Double { operations / seconds / 1e9 }

  public var description: String {
    let s = shape
    let lines = [
      "model    hidden \(s.hiddenSize), \(s.layers) layers, \(s.heads)/\(s.kvHeads) heads, intermediate \(s.intermediateSize),"
        + " vocabulary \(s.vocabularySize)",
      s.adapterRank > 0 ? "trained  adapters of rank \(s.adapterRank)" : nil,
      "step     \(s.examples) examples, prompt \(s.prompt), title \(s.title), 1 target + \(s.trajectories) \(s.draws.rawValue),"
        + " \(s.support.rawValue) support",
      "machine  \(Threads.count) thread\(Threads.count == 1 ? "" : "s"), \(s.arithmetic.onThisCPU), beside OpenBLAS \(OpenBLAS.kernelName)",
      "",
    ].compactMap { $0 }
    var table = TextTable(header: ["median of \(repeats)", "ms", "GFLOP", "GFLOP/s", "of sgemm"], rows: [])
    for phase in PhaseClock.Phase.allCases {
      if let seconds = phases[phase] { table.rows.append(row(phase.rawValue, seconds.median, work.operations(phase))) }
    }
    table.rows.append(row("forward + backward", step.median, work.total))
    table.rows.append(row("  its fastest", step.minimum, work.total))
    table.rows.append(row("  in processor time", step.processor, work.total, of: ceiling.processorGigaflops))
    return
      (lines + table.lines + [
        "",
        "tokens        \(NumberText.grouped(Double(rows) / step.median))/s, trajectories "
          + "\(NumberText.short(Double(trajectories) / step.median))/s (forward + backward)",
        "ceiling       sgemm of \(MachineCeiling.size) square "
          + [ceiling.gigaflops, ceiling.bestGigaflops, ceiling.processorGigaflops]
          .map { NumberText.fixed($0, decimals: 0) }.joined(separator: " / ") + " GFLOP/s",
        "              (median / best / in processor time); copy \(NumberText.fixed(ceiling.bandwidth, decimals: 1)) GB/s",
        "memory        " + memoryText,
      ]).joined(separator: "\n")
  }

  private func row(_ name: String, _ seconds: Double, _ operations: Double?, of limit: Double? = nil) -> [String] {
    [name, NumberText.fixed(seconds * 1e3, decimals: 1)]
      + (operations.map {
        [
          NumberText.fixed($0 / 1e9, decimals: 2), NumberText.fixed(gigaflops($0, seconds), decimals: 0),
          percent(gigaflops($0, seconds) / (limit ?? ceiling.gigaflops)),
        ]
      } ?? ["", "", ""])
  }

  private func percent(_ share: Double) -> String { NumberText.fixed(100 * share, decimals: 0) + " %" }

  private func megabytes(_ bytes: Int) -> String { NumberText.fixed(Double(bytes) / 1e6, decimals: 1) }

  private var memoryText: String {
    guard let peak = memory.peak, let growth = memory.growth else { return "unknown on this system" }
    return "\(megabytes(peak)) MB at most, estimated \(megabytes(memory.estimate.frozen + memory.estimate.total)), allowed"
      + " \(megabytes(memory.limit));\n              \(megabytes(growth)) MB more after the measured steps than before"
  }

  public var json: JSON {
    let s = shape
    return [
      "model": [
        "hidden": JSON(s.hiddenSize), "layers": JSON(s.layers), "heads": JSON(s.heads), "kv_heads": JSON(s.kvHeads),
        "intermediate": JSON(s.intermediateSize), "vocabulary": JSON(s.vocabularySize), "parameters": JSON(parameters),
        "lora_rank": JSON(s.adapterRank),
      ],
      "batch": [
        "examples": JSON(s.examples), "prompt": JSON(s.prompt), "title": JSON(s.title),
        "trajectories": JSON(s.trajectories), "draws": JSON(s.draws.rawValue), "support": JSON(s.support.rawValue), "rows": JSON(rows),
      ],
      "threads": JSON(Threads.count), "tiles": JSON(Tile.best.name),
      "arithmetic": JSON(s.arithmetic.rawValue), "openblas": JSON(OpenBLAS.configuration),
      "openblas_kernel": JSON(OpenBLAS.kernelName),
      "repeats": JSON(repeats),
      "phases": .object(
        PhaseClock.Phase.allCases.compactMap { phase in
          phases[phase].map { JSON.Member(phase.rawValue, json($0, work.operations(phase))) }
        }),
      "forward_backward": json(step, work.total),
      "tokens_per_second": JSON(Double(rows) / step.median),
      "trajectories_per_second": JSON(Double(trajectories) / step.median),
      "sgemm_gflops": [
        "median": JSON(ceiling.gigaflops), "best": JSON(ceiling.bestGigaflops),
        "processor": JSON(ceiling.processorGigaflops),
      ],
      "copy_gb_per_second": JSON(ceiling.bandwidth),
      "share_of_sgemm": JSON(gigaflops(work.total, step.processor) / ceiling.processorGigaflops),
      "memory": [
        "peak": memory.peak.map { JSON($0) } ?? .null, "growth": memory.growth.map { JSON($0) } ?? .null,
        "estimate": JSON(memory.estimate.frozen + memory.estimate.total), "limit": JSON(memory.limit),
      ],
    ]
  }

  private func json(_ seconds: Samples, _ operations: Double?) -> JSON {
    [
      "median_seconds": JSON(seconds.median), "minimum_seconds": JSON(seconds.minimum),
      "processor_seconds": seconds.processor > 0 ? JSON(seconds.processor) : .null,
      "gflop": operations.map { JSON($0 / 1e9) } ?? .null,
    ]
  }
}
