import Foundation

/// Where numbers stand on an axis, and at which round numbers it is labelled.
struct ChartScale: Equatable {
  enum Kind { case linear, logarithmic }

  let kind: Kind
  let range: ClosedRange<Double>

  /// A scale over all finite values (positive ones, if logarithmic) with a little room at both ends.
  ///
  /// - Parameter including: values the range has to contain besides, such as zero.
  init(_ kind: Kind, fitting values: some Sequence<Double>, including: [Double] = []) {
    // Within ±1e250, so that no span, margin or power of ten leaves the numbers.
    let usable = (Array(values) + including).filter { $0.isFinite && (kind == .linear || $0 > 0) }
      .map { min(max($0, kind == .linear ? -1e250 : 1e-250), 1e250) }
    let forward = { (value: Double) in kind == .linear ? value : log10(value) }
    var low = forward(usable.min() ?? (kind == .linear ? 0 : 1))
    var high = forward(usable.max() ?? (kind == .linear ? 1 : 10))
    if high - low < 1e-9 * max(abs(high), abs(low)) || high == low {
      // One value only: room for an axis around it.
      let room = max(abs(high) * 0.1, kind == .linear ? 1e-6 : 0.5)
      (low, high) = (low - room, high + room)
    }
    let margin = (high - low) * 0.04
    // An end that was asked for stays where it is.
    let isFixed = { (end: Double) in including.contains { kind == .linear && $0 == end } }
    if !isFixed(low) { low -= margin }
    if !isFixed(high) { high += margin }
    self.kind = kind
    range = kind == .linear ? low...high : pow(10, low)...pow(10, high)
  }

  /// A linear scale of whole positions 0 ..< count, for categories.
  init(categories count: Int) {
    kind = .linear
    range = -0.5...(Double(max(count, 1)) - 0.5)
  }

  /// Position between the ends as 0...1; values outside, and those without a logarithm, are held at the ends.
  func fraction(_ value: Double) -> Double {
    let forward = { (value: Double) in kind == .linear ? value : log10(max(value, .leastNormalMagnitude)) }
    let (low, high) = (forward(range.lowerBound), forward(range.upperBound))
    let fraction = (forward(value) - low) / (high - low)
    return fraction.isNaN ? 0 : min(max(fraction, 0), 1)
  }

  /// Round numbers within the range, about `count` of them.
  func ticks(about count: Int) -> [Double] {
    switch kind {
    case .linear:
      return linearTicks(about: count)
    case .logarithmic:
      let decades = Int(log10(range.lowerBound).rounded(.up))...Int(log10(range.upperBound).rounded(.up))
      let every = max(1, (decades.count + count - 1) / count)
      let powers = decades.filter { $0.isMultiple(of: every) }.map { pow(10, Double($0)) }.filter(range.contains)
      if powers.count >= 3 { return powers }
      // Less than two decades: the steps 1, 2, 5 between the powers of ten.
      let fine = (decades.lowerBound - 1...decades.upperBound).flatMap { decade in
        [1, 2, 5].map { $0 * pow(10, Double(decade)) }
      }.filter(range.contains)
      return fine.count >= 2 ? fine : linearTicks(about: count)
    }
  }

  /// A tick in words: powers of ten on a logarithmic axis, where decimals get long.
  func label(_ tick: Double) -> String {
    let exponent = log10(abs(tick)).rounded()
    guard kind == .logarithmic, tick < 0.1 || tick >= 1e5, abs(tick / pow(10, exponent) - 1) < 1e-9 else {
      return NumberText.tick(tick)
    }
    let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
    return "10" + String(Int(exponent)).map { $0.wholeNumberValue.map { String(digits[$0]) } ?? "⁻" }.joined()
  }

  private func linearTicks(about count: Int) -> [Double] {
    let span = range.upperBound - range.lowerBound
    guard span > 0, span.isFinite, count > 0 else { return [] }
    let magnitude = pow(10, log10(span / Double(count)).rounded(.down))
    let step = [1, 2, 5, 10].map { $0 * magnitude }.first { span / $0 <= Double(count) + 0.5 } ?? 10 * magnitude
    let first = (range.lowerBound / step).rounded(.up)
    let last = (range.upperBound / step).rounded(.down)
    guard last - first < 1000 else { return [] }
    // Multiples of the step, not sums, so that 0.3 is not 0.30000000000000004.
    return stride(from: first, through: last, by: 1).map { ($0 * step * 1e12).rounded() / 1e12 == 0 ? 0 : $0 * step }
  }
}
