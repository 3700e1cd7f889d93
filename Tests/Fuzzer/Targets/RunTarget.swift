import FlowerDist
import Foundation

extension FuzzTarget {
  /// Two run directories, shown as `report` and `inspect` show them.
  static let run = FuzzTarget(
    name: "run",
    seeds: [
      runs(SampleRun.nextItems("sft", seed: 1, parts: false), SampleRun.nextItems("flower", seed: 1, parts: true)),
      runs(SampleRun.nextItems("flower", seed: 1, parts: true), SampleRun.nextItems("flower", seed: 2, parts: true)),
      runs(SampleRun.distribution("one"), SampleRun.distribution("another")),
    ],
    mutate: { seed, donor, random in
      seed.changingFiles(&random, more: 3) { input, index, random in
        if random.chance(1, in: 16) {
          input[random.pick(["a/evaluation.json", "b/metrics.jsonl", "a/audit.json"])] = SampleRun.many(&random)
        } else {
          mutateRunFile(&input.files[index], donor: random.pick(donor.files).bytes, &random)
        }
      }
    },
    read: { directory in
      let report = try Report.build(runs: ["\(directory)/a", "\(directory)/b"])
      show(report)
      try report.writeEvents(to: "\(directory)/events")
      for run in ["a", "b"] {
        // Its configuration is the one thing of these that the report shows without reading it.
        if FileManager.default.fileExists(atPath: "\(directory)/\(run)/config.yaml") {
          requirePrintable(try Inspection(path: "\(directory)/\(run)").description)
        }
      }
    },
    listsProblems: true, isSlow: true)

  private static func runs(_ a: [String: [UInt8]], _ b: [String: [UInt8]]) -> FuzzInput {
    FuzzInput(
      [("a", a), ("b", b)].flatMap { run, files in
        files.sorted { $0.key < $1.key }.map { FuzzInput.File(name: "\(run)/\($0.key)", bytes: $0.value) }
      })
  }

  static func mutateRunFile(_ file: inout FuzzInput.File, donor: [UInt8], _ random: inout FuzzRandom) {
    if file.name.hasSuffix(".yaml") {
      file.bytes = YAMLMutation.apply(to: file.bytes, donor: donor, &random)
    } else if file.name.hasSuffix(".jsonl") {
      mutateObjects(&file.bytes, donor: donor, &random)
    } else {
      file.bytes = JSONMutation.apply(to: file.bytes, donor: donor, &random)
    }
  }

  /// Makes all that the verb `report` makes.
  static func show(_ report: Report) {
    requirePrintable(report.table)
    _ = report.html
    _ = report.json.serialized(pretty: true)
  }

  /// Nothing from a file may steer a terminal.
  static func requirePrintable(_ text: String) {
    guard text.unicodeScalars.allSatisfy({ $0 == "\n" || $0.properties.generalCategory != .control }) else {
      fatalError("control characters for the terminal")
    }
  }
}
