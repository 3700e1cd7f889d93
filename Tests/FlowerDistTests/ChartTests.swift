import Foundation
import Testing

@testable import FlowerDist

@Suite struct ChartTests {
  @Test func linearTicksAreRoundAndInside() {
    let scale = ChartScale(.linear, fitting: [0.131, 0.044], including: [0])
    #expect(scale.range.lowerBound == 0)
    #expect(scale.ticks(about: 5).map(scale.label) == ["0", "0.05", "0.1"])
    #expect(ChartScale(.linear, fitting: [-3, 7]).ticks(about: 6) == [-2, 0, 2, 4, 6])
    #expect(ChartScale(.linear, fitting: [1, 1200], including: [0]).ticks(about: 6).last == 1200)
  }

  @Test func logarithmicTicksArePowersOfTen() {
    let scale = ChartScale(.logarithmic, fitting: [2e-6, 0.3, -1, 0, .nan, .infinity])
    #expect(scale.ticks(about: 6).map(scale.label) == ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "0.1"])
    #expect(ChartScale(.logarithmic, fitting: [1, 9]).ticks(about: 6) == [1, 2, 5])
    let wide = ChartScale(.logarithmic, fitting: [1e-30, 1])
    #expect((3...7).contains(wide.ticks(about: 6).count))
  }

  @Test(
    arguments: [[], [5], [0], [1e300, -1e300], [5e-308, .greatestFiniteMagnitude], [.leastNonzeroMagnitude], [.nan]]
      as [[Double]])
  func anyValuesMakeAnAxis(values: [Double]) {
    for kind in [ChartScale.Kind.linear, .logarithmic] {
      let scale = ChartScale(kind, fitting: values)
      #expect(scale.ticks(about: 5).count < 20)
      for value in values + [0, -1, .infinity, .nan] { #expect((0...1).contains(scale.fraction(value))) }
    }
  }

  @Test func windowMeanIsTheMeanAround() {
    let values = (0..<120).map { Double($0 * $0) }
    let smooth = Smoothing.windowMean(values)
    #expect(smooth[50] == values[48...52].reduce(0, +) / 5)
    #expect(smooth[0] == values[0...2].reduce(0, +) / 3)
    #expect(Smoothing.windowMean([2, .nan, 4])[0] == 2)
    #expect(Smoothing.windowMean([]).isEmpty)
  }

  @Test func outlineKeepsExtremes() {
    var values = [Double](repeating: 0, count: 5000)
    values[1234] = 9
    values[4000] = -9
    let kept = Smoothing.outline(values, buckets: 100)
    #expect(kept.contains(1234) && kept.contains(4000) && kept.count <= 200 && kept == kept.sorted())
    #expect(Smoothing.sample(1000, count: 7).first == 0 && Smoothing.sample(1000, count: 7).last == 999)
  }

  @Test func thinnedRanksKeepHeadAndTail() {
    let ranks = ReportFigures.shownRanks(of: 100_000)
    #expect(Array(ranks.prefix(300)) == Array(0..<300) && ranks.last == 99_999)
    #expect(zip(ranks, ranks.dropFirst()).allSatisfy { $0 < $1 } && ranks.count < 2500)
    #expect(ReportFigures.shownRanks(of: 3) == [0, 1, 2])
    #expect(ReportFigures.shownRanks(of: 0).isEmpty)
  }

  @Test func escapesWhatCouldSteer() {
    #expect(
      HTML.escape("<a href='x'>&\"\u{0}\u{202E}é</a>")
        == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\u{FFFD}\u{FFFD}é&lt;/a&gt;")
    #expect(TextTable(header: ["a\u{1B}[2J"], rows: [["b", "c"]]).lines == ["a\u{FFFD}[2J", "─────", "b"])
  }
}
