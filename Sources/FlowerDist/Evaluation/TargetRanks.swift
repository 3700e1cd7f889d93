import Foundation

/// Where the target stands in each example's list: what a paired comparison of two methods needs, as small as it gets.
///
/// Examples are sorted by their user (stable), those of no known user are users of their own at the end.
public struct TargetRanks: Equatable, Sendable {
  /// The largest rank that is kept; a target further down counts as missing.
  public static let largest = 35

  /// The target's first place from 1, or 0 where the list lacks it; shape [examples].
  public let ranks: [Int]
  /// How many examples each user has, in the order of `ranks`; each at least 1; shape [users].
  public let users: [Int]

  /// - Parameters:
  ///   - lists: leaves, the best first, of each example.
  ///   - targets: the leaf that followed, of each example.
  ///   - users: the user of each example, where known.
  init(lists: [[Int32]], targets: [Int32], users: [Int32?]) {
    precondition(lists.count == targets.count && lists.count == users.count, "one list, target and user per example")
    let order = lists.indices.sorted { (users[$0] ?? .max, $0) < (users[$1] ?? .max, $1) }
    ranks = order.map { example in
      lists[example].prefix(Self.largest).firstIndex(of: targets[example]).map { $0 + 1 } ?? 0
    }
    var sizes: [Int] = []
    var last: Int32?
    for example in order {
      if let user = users[example], user == last { sizes[sizes.count - 1] += 1 } else { sizes.append(1) }
      last = users[example]
    }
    self.users = sizes
  }

  init(ranks: [Int], users: [Int]) {
    precondition(users.reduce(0, +) == ranks.count, "every example has a user")
    (self.ranks, self.users) = (ranks, users)
  }

  /// What each example adds to the metric; `nil` for a metric that is no mean over examples. Shape [examples].
  ///
  /// - Parameter metric: `hr@K` or `ndcg@K`.
  func gains(_ metric: String) -> [Double]? {
    let parts = metric.split(separator: "@")
    guard parts.count == 2, let cutoff = Int(parts[1]), 1...Self.largest ~= cutoff else { return nil }
    switch parts[0] {
    case "hr": return ranks.map { 1...cutoff ~= $0 ? 1 : 0 }
    case "ndcg": return ranks.map { 1...cutoff ~= $0 ? 1 / log2(Double($0 + 1)) : 0 }
    default: return nil
    }
  }

  /// `{"ranks": "003k…", "users": [2, 1, …]}`: a digit to the base 36 per example.
  var json: JSON {
    [
      "ranks": JSON(ranks.map { String($0, radix: Self.largest + 1) }.joined()),
      "users": .array(users.map { JSON($0) }),
    ]
  }

  /// - Throws: `FlowerError` naming the place and what is wrong.
  init(json: JSON, place: String) throws {
    let record = try JSONRecord(json, place: place)
    ranks = try record.required("ranks", "a string of digits and letters") { json in
      guard let text = json.string else { return nil }
      let digits = text.utf8.map { Int(String(UnicodeScalar($0)), radix: Self.largest + 1) }
      return digits.contains(nil) ? nil : digits.compactMap { $0 }
    }
    users = try record.required("users", "an array of whole numbers, 1 or more") { json in
      guard let sizes = json.array?.map(\.int) else { return nil }
      return sizes.allSatisfy { $0.map { $0 > 0 } ?? false } ? sizes.compactMap { $0 } : nil
    }
    var left = ranks.count
    for size in users where left >= 0 { left = size <= left ? left - size : -1 }
    guard left == 0 else {
      throw FlowerError(
        .data, "\(place): 'users': expected sizes that add up to the \(ranks.count) examples of 'ranks'")
    }
  }
}
