import Foundation

/// In words: `coin`, a source, or parts with commas between, each a source and its share:
///
///     weight 0.5
///     weight 1 to 0.2 over 500-2000
///     length 1 to 0.1 by 0.1 per 100 below 2.5
///     policy rest
extension Recipe.Mixture: RecipeValue {
  static var expected: String {
    "coin, one of \(Source.allCases.map(\.rawValue).joined(separator: ", ")), or several of these once each with their"
      + " shares, such as: weight 0.7, policy 0.3 (docs/method.md has the schedules)"
  }

  init?(_ scalar: RecipeScalar) {
    if scalar.text == "coin" {
      self = .coin
    } else if let source = Source(rawValue: scalar.text) {
      self.init(source)
    } else {
      let parts = scalar.text.split(separator: ",", omittingEmptySubsequences: false).map { Part(text: $0) }
      let read = parts.compactMap { $0 }
      guard read.count == parts.count else { return nil }
      self.init(read)
    }
  }

  var yaml: String {
    if self == .coin { return "coin" }
    if parts.count == 1, parts[0].share == .constant(1) { return parts[0].source.rawValue }
    return parts.map { "\($0.source.rawValue) \($0.share.text)" }.joined(separator: ", ")
  }
}

extension Recipe.Mixture.Part {
  fileprivate init?(text: Substring) {
    let words = text.split(whereSeparator: \.isWhitespace)
    guard let name = words.first, let source = Recipe.Mixture.Source(rawValue: String(name)),
      let share = Recipe.Mixture.Share(words: words.dropFirst().map(String.init))
    else { return nil }
    self.init(source, share)
  }
}

extension Recipe.Mixture.Share {
  /// Shares count relative to each other, so that none needs to be large.
  private static let range = 0.0...1000.0
  private static let falls = 1e-6...1000.0
  private static let steps = 0...1_000_000_000

  fileprivate init?(words: [String]) {
    if words == ["rest"] {
      self = .rest
      return
    }
    let numbers = words.map { Double($0) }
    func share(_ place: Int) -> Double? { numbers[place].flatMap { Self.range.contains($0) ? $0 : nil } }
    guard let from = words.isEmpty ? nil : share(0) else { return nil }
    switch words.enumerated().filter({ !$0.offset.isMultiple(of: 2) }).map(\.element) {
    case [] where words.count == 1: self = .constant(from)
    case ["to", "over"] where words.count == 5:
      let ends = words[4].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      let (first, last) = ends.count == 1 ? (0, ends[0]) : (ends[0], ends.count == 2 ? ends[1] : nil)
      guard let to = share(2), let first, let last, Self.steps.contains(first), Self.steps.contains(last), first < last
      else { return nil }
      self = .linear(from: from, to: to, steps: first..<last)
    case ["to", "by", "per", "below"] where words.count == 9:
      guard let to = share(2), to < from, let step = numbers[4], Self.falls.contains(step),
        let interval = Int(words[6]), interval > 0, Self.steps.contains(interval), let loss = numbers[8], loss.isFinite
      else { return nil }
      self = .falling(from: from, to: to, step: step, interval: interval, loss: loss)
    default: return nil
    }
  }

  /// Reads as this share.
  var text: String {
    func number(_ value: Double) -> String {
      value.magnitude < 1e15 && value == value.rounded() ? String(Int(value)) : value.description
    }
    switch self {
    case .constant(let share): return number(share)
    case .linear(let from, let to, let steps):
      return "\(number(from)) to \(number(to)) over \(steps.lowerBound)-\(steps.upperBound)"
    case .falling(let from, let to, let step, let interval, let loss):
      return "\(number(from)) to \(number(to)) by \(number(step)) per \(interval) below \(number(loss))"
    case .rest: return "rest"
    }
  }
}
