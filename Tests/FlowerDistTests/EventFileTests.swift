import Foundation
import Testing

@testable import FlowerDist

@Suite struct EventFileTests {
  /// RFC 3720, appendix B.4, and the check value of the catalogues of CRCs.
  @Test(
    arguments: [
      ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
      ([UInt8](0..<32), 0x46DD_794E), ([UInt8]((0..<32).reversed()), 0x113F_DB5C),
      ([UInt8]("123456789".utf8), 0xE306_9283), ([], 0),
    ] as [([UInt8], UInt32)])
  func checksums(bytes: [UInt8], expected: UInt32) {
    #expect(CRC32C.checksum(bytes) == expected)
  }

  /// Made with TensorBoard 2.21's own messages and checksums: Event(wall_time=1.5, file_version="brain.Event:2"), then
  /// Event(wall_time=2.25, step=300) with a Summary of train/loss 0.625 and validation/hr@10 -0.001.
  @Test func bytesAreTensorBoards() {
    var file = EventFile(time: 1.5)
    file.add([("train/loss", 0.625), ("validation/hr@10", -1e-3)], step: 300, time: 2.25)
    let expected =
      "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c3a000000000000001295eae2"
      + "09000000000000024010ac022a2c0a110a0a747261696e2f6c6f7373150000203f0a170a1076616c69646174696f6e2f68724031"
      + "30156f1283ba244de602"
    #expect(file.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() == expected)
  }

  @Test func aRunOfStepsAndValidations() throws {
    let runs = ReportTests.Runs()
    let report = try Report.build(runs: [
      runs.write(
        "run",
        [
          "metrics.jsonl": ReportTests.log(steps: 20, isFlow: true),
          "environment.json": #"{"started":"1970-01-01T00:01:00Z"}"#,
        ])
    ])
    let scratch = try ScratchDirectory()
    try report.writeEvents(to: scratch.path)
    let bytes = try File.contents(of: scratch("run/events.out.tfevents.0.flowerdist"))
    #expect(bytes == report.runs[0].eventFile.bytes)
    // The version, 20 steps and two validations.
    var records: [[UInt8]] = []
    var rest = bytes[...]
    while rest.count >= 12 {
      let length = Int(rest.prefix(8).enumerated().reduce(0) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) })
      records.append(Array(rest.dropFirst(12).prefix(length)))
      rest = rest.dropFirst(length + 16)
    }
    #expect(rest.isEmpty && records.count == 23)
    #expect(String(decoding: records[10], as: UTF8.self).contains("train/flow_loss"))
    #expect(String(decoding: records[11], as: UTF8.self).contains("validation/loss"))
    // A wall time of 60 seconds and a quarter for each step.
    #expect(Array(records[4][1..<9]) == withUnsafeBytes(of: (61.0).bitPattern.littleEndian) { Array($0) })
  }
}
