import Foundation
import Testing

@testable import FlowerDist

@Suite struct ProgressTests {
  static func line(_ step: Int, seconds: Double) -> StepLine {
    StepLine(
      step: step, loss: 0.53218, sftLoss: 4.1, flowLoss: 0.2, gradNorm: 0.912, learningRate: 9.8e-4, tokens: 1200,
      trajectories: 60, seconds: seconds)
  }

  @Test func rateIsOverTheWindow() throws {
    let rate = try #require(
      StepRate([Self.line(5, seconds: 10), Self.line(6, seconds: 11), Self.line(7, seconds: 13)]))
    #expect(rate == StepRate([Self.line(5, seconds: 0), Self.line(6, seconds: 1), Self.line(7, seconds: 3)]))
    #expect(rate.secondsPerStep == 1.5 && rate.tokensPerSecond == 800 && rate.trajectoriesPerSecond == 40)
    // Before step 1 is zero; any other first line only says when time begins.
    #expect(StepRate([Self.line(1, seconds: 2)])?.tokensPerSecond == 600)
    #expect(StepRate([Self.line(2, seconds: 2)]) == nil)
    #expect(StepRate([]) == nil)
  }

  @Test func wholeLine() {
    let rate = StepRate([Self.line(1, seconds: 0.1)])
    #expect(
      ProgressLine(line: Self.line(20, seconds: 2), totalSteps: 1000, rate: rate).text
        == "  20/1000  loss 0.5322  sft 4.100  flow 0.2000  grad 0.912  lr 9.8e-04  12.0k tok/s  600 traj/s  ETA 1:38")
  }

  @Test func narrowLineDropsWholeFields() {
    let progress = ProgressLine(
      line: Self.line(20, seconds: 2), totalSteps: 1000, rate: StepRate([Self.line(1, seconds: 0.1)]))
    let fields = Set(progress.text.trimmingPrefix(" ").split(separator: "  ").map(String.init))
    for width in 20...120 {
      let text = progress.text(width: width)
      #expect(text.count <= width)
      #expect(Set(text.trimmingPrefix(" ").split(separator: "  ").map(String.init)).isSubset(of: fields))
    }
    #expect(progress.text(width: 40).hasSuffix("ETA 1:38"))
    #expect(progress.text(width: 5) == "  20…")
    #expect(progress.text(width: 0) == "")
  }

  @Test func startTableAligns() {
    let table = ProgressLine.startTable([("model", "qwen2"), ("parameters", String(repeating: "9", count: 90))])
    let lines = table.split(separator: "\n")
    #expect(lines[0] == "model       qwen2")
    #expect(lines[1].count == 80 && lines[1].hasSuffix("…"))
  }

  @Test func writerWritesPlainLinesIntoAPipe() throws {
    let pipe = Pipe()
    let writer = ProgressWriter(totalSteps: 5, every: 2, output: pipe.fileHandleForWriting.fileDescriptor)
    for step in 1...5 { writer.show(Self.line(step, seconds: Double(step))) }
    writer.note("saved")
    writer.finish()
    try pipe.fileHandleForWriting.close()
    let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.map { $0.prefix(3) } == ["2/5", "4/5", "5/5", "sav", ""])
    #expect(!text.contains("\u{1B}") && !text.contains("\r"))
  }

  @Test(arguments: [
    (0.0, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1:00"), (3599.6, "1:00:00"),
    (3725, "1:02:05"), (Double.nan, "n/a"), (-1, "n/a"), (1e300, "n/a"),
  ])
  func durations(seconds: Double, text: String) { #expect(NumberText.duration(seconds) == text) }

  @Test(arguments: [
    (0.0, "0"), (0.03121, "0.0312"), (12.36, "12.4"), (1031.2, "1,031"), (2.13e-6, "2.1e-06"), (.infinity, "∞"),
    (.nan, "n/a"), (-0.5, "-0.500"), (999_999.4, "999,999"), (1e200, "1.0e+200"),
  ])
  func shortNumbers(value: Double, text: String) { #expect(NumberText.short(value) == text) }

  @Test(arguments: [(999.4, "999"), (999.6, "1.0k"), (99_960, "100k"), (999_600, "1.0M"), (3, "3.0")])
  func compactNumbers(value: Double, text: String) { #expect(NumberText.compact(value) == text) }
}
