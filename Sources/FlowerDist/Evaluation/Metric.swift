/// One named number of an evaluation, such as `hr@10`; `docs/metrics.md` lists the names.
public struct Metric: Equatable, Sendable {
  /// Which end is the good one.
  public enum Direction: Sendable { case higher, lower }

  /// Metrics of one row or line of a file, at most. Tables have a column or a line for each.
  static let limit = 64

  public var name: String
  /// May be infinite (a KL divergence); written as `null`.
  public var value: Double
  /// The standard error of a mean over examples.
  public var standardError: Double?

  public init(_ name: String, _ value: Double, standardError: Double? = nil) {
    self.name = name
    self.value = value
    self.standardError = standardError
  }

  /// Which end is the good one; `nil` for a name that is unknown or has none.
  public var better: Direction? { Self.better(name) }

  /// Which end of the metric of this name is the good one.
  public static func better(_ name: String) -> Direction? {
    switch name.prefix(while: { $0 != "@" }) {
    case "hr", "ndcg", "entropy", "ttr", "coverage": .higher
    case "dgu", "mgu", "gini", "loss", "invalid", "kl", "reverse_kl", "js", "total_variation": .lower
    default: nil
    }
  }

  /// What people call the metric of this name.
  public static func title(_ name: String) -> String {
    let parts = name.split(separator: "@", maxSplits: 1)
    let titles = [
      "hr": "HR", "ndcg": "NDCG", "dgu": "DGU", "mgu": "MGU", "entropy": "H", "ttr": "TTR", "coverage": "Coverage",
      "gini": "Gini", "kl": "KL", "reverse_kl": "Reverse KL", "js": "JS", "total_variation": "Total variation",
      "effective_items": "Effective items", "invalid": "Invalid", "missing_targets": "Missing targets", "loss": "Loss",
    ]
    guard let first = parts.first, let title = titles[String(first)] else { return name }
    return parts.count == 2 ? "\(title)@\(parts[1])" : title
  }

  /// The value with the decimals that its kind is compared at.
  public var text: String {
    switch name.prefix(while: { $0 != "@" }) {
    case "coverage", "invalid", "missing_targets": NumberText.grouped(value)
    case "entropy": NumberText.fixed(value, decimals: 2)
    case "effective_items": NumberText.short(value, digits: 4)
    case "kl", "reverse_kl", "js", "total_variation", "loss": NumberText.short(value)
    default: NumberText.fixed(value, decimals: 3)
    }
  }

  var json: JSON {
    var members = [JSON.Member("name", JSON(name)), JSON.Member("value", JSON(value))]
    if let standardError { members.append(JSON.Member("standard_error", JSON(standardError))) }
    return .object(members)
  }

  init(json: JSON, place: String) throws {
    let record = try JSONRecord(json, place: place)
    name = try record.string("name")
    value = try record.doubleOrNull("value", null: .infinity)
    standardError = try record.optionalDouble("standard_error")
  }

  /// The metrics of an array, each once.
  /// - Parameter name: what errors call one of them.
  static func list(_ elements: [JSON], place: String, name: String) throws -> [Metric] {
    guard elements.count <= limit else {
      throw FlowerError(.data, "\(place): expected at most \(limit) metrics, found \(elements.count)")
    }
    var known = Set<[UInt8]>()
    return try elements.enumerated().map { index, json in
      let metric = try Metric(json: json, place: "\(place): \(name) \(index + 1)")
      guard known.insert(Array(metric.name.utf8)).inserted else {
        throw FlowerError(.data, "\(place): \(name) \(index + 1): \(metric.name.quoted) is there already")
      }
      return metric
    }
  }
}
