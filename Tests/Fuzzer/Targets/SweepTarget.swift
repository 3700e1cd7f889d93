import FlowerDist

extension FuzzTarget {
  /// The rows of a sweep with one of its runs, as `report` shows them.
  static let sweep = FuzzTarget(
    name: "sweep",
    seeds: [
      rows([
        SampleRun.row(theta: "0.5", seed: 1, position: 0), SampleRun.row(theta: "0.5", seed: 2, position: 1),
        SampleRun.row(theta: "1", seed: 1, position: 2), SampleRun.divergedRow(theta: "1", seed: 2, position: 3),
      ]),
      rows([
        SampleRun.auditedRow(theta: "0.5", seed: 1, position: 0),
        SampleRun.auditedRow(theta: "1", seed: 1, position: 1),
      ]),
    ],
    mutate: { seed, donor, random in
      var input = seed
      repeat {
        let index = random.below(input.files.count)
        let file = input.files[index]
        if file.name.hasPrefix("sweep/results/"), random.chance(1, in: 8) {
          input.files[index].bytes = naming(random.pick(ways), file.bytes)
        } else {
          mutateRunFile(&input.files[index], donor: random.pick(donor.files).bytes, &random)
        }
      } while random.chance(1, in: 3)
      return input
    },
    read: { directory in
      _ = try ResultPage("\(directory)/sweep").markdown
      _ = try? ResultPage("\(directory)/sweep", compare: ["theta=0.5", "theta=1"]).markdown
      let report = try Report.build(runs: ["\(directory)/sweep"])
      guard report.runs.allSatisfy({ $0.path == "\(directory)/sweep/\(runName)" }) else {
        fatalError("a row leads out of the sweep")
      }
      show(report)
    },
    isSlow: true)

  /// The run that is there beside its row, and one outside that no row may name.
  private static let runName = SampleRun.runName(theta: "0.5", seed: 1)

  private static func rows(_ rows: [JSON]) -> FuzzInput {
    var input = FuzzInput([])
    for (index, row) in rows.enumerated() { input["sweep/results/\(index).json"] = row.serialized() }
    for run in ["sweep/\(runName)", "outside"] {
      for (name, bytes) in SampleRun.nextItems("flower", seed: 1, parts: true).sorted(by: { $0.key < $1.key }) {
        input["\(run)/\(name)"] = bytes
      }
    }
    return input
  }

  /// Names of runs that are paths.
  private static let ways = [
    "../outside", "../sweep/../outside", "./\(runName)", "\(runName)/", "\(runName)/../../outside", "/proc/self", ".",
    "..", "", "results", "results/..", "\(runName)\0", "-x", ".x", "a\nb",
  ]

  /// The row, of a run of another name.
  private static func naming(_ run: String, _ row: [UInt8]) -> [UInt8] {
    guard let members = (try? JSON(parsing: row))?.object else { return row }
    return JSON.object(members.map { $0.key == "run" ? JSON.Member("run", .string(run)) : $0 }).serialized()
  }
}
