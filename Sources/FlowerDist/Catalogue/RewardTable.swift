import Foundation

/// The token rewards of a catalogue in the form in which Flower's authors publish them: for every prefix of a title that
/// occurs, the natural logarithm of each next token's reward, `{"first": {"9": -0.7, …}, "9-4": {"198": 0.0}, …}`.
///
/// Weights are the raw counts, and titles that never occur are left out (smoothing 0). With granularity n > 1 a step is
/// a run of n tokens, the last of a title shorter, written `9-4`, and runs are joined by `@`.
public struct RewardTable: Sendable {
  /// Longer titles are refused, because a prefix is written for each of their tokens.
  static let longestTitle = 4096

  /// Rewards of the tree whose tokens number the runs.
  let rewards: TokenRewards
  /// How a run is written, by its number.
  private let names: [String]
  private let separator: String

  /// Number of states that have a next step.
  public var stateCount: Int { rewards.tree.nodeCount }
  public var titleCount: Int { rewards.tree.leafCount }

  /// - Throws: `FlowerError` if `terminator` is not one token, a title has none or too many, or one has the terminator.
  public init(
    _ dataset: Dataset, tokenizer: Tokenizer, terminator: String = "\n", granularity: Int = 1
  ) throws {
    guard let end = tokenizer.token(for: terminator) else {
      throw FlowerError(.data, "\(terminator.quoted), which ends titles, is not one token of the tokenizer")
    }
    let items = dataset.titles.indices.filter { dataset.counts[$0] > 0 }
    try self.init(
      titles: items.map { tokenizer.encode(dataset.titles[$0]) }, weights: items.map { dataset.counts[$0] },
      terminator: end, granularity: granularity
    ) {
      "item \(items[$0]) (\(dataset.titles[items[$0]].quoted))"
    }
  }

  /// - Parameters:
  ///   - titles: tokens by item.
  ///   - weights: by item, above 0.
  init(
    titles: [[Int32]], weights: [Double], terminator: Int32, granularity: Int,
    name: (Int) -> String = { "item \($0)" }
  ) throws {
    guard granularity > 0 else { throw FlowerError(.usage, "--granularity: expected at least 1 token") }
    if let item = titles.firstIndex(where: { $0.count > Self.longestTitle }) {
      throw FlowerError(
        .data, "\(name(item)): a title of \(titles[item].count) tokens; the table holds at most \(Self.longestTitle)")
    }
    let tokens = try CatalogueTree(titles: titles, terminator: terminator, name: name)
    var leafWeights = [Double](repeating: 0, count: tokens.leafCount)
    for (item, weight) in weights.enumerated() { leafWeights[Int(tokens.leafOfItem[item])] += weight }

    let chains = (0..<tokens.leafCount).map { Self.runs(of: tokens.title(ofLeaf: $0), granularity) }
    let runs = Set(chains.joined()).union([[terminator]]).sorted { $0.lexicographicallyPrecedes($1) }
    let numbers = Dictionary(uniqueKeysWithValues: runs.enumerated().map { ($1, Int32($0)) })
    let tree = try CatalogueTree(titles: chains.map { $0.map { numbers[$0]! } }, terminator: numbers[[terminator]]!)
    rewards = TokenRewards(tree, weights: tree.itemsOfLeaf.map { leafWeights[Int($0[0])] })
    names = runs.map { $0.map(String.init).joined(separator: "-") }
    separator = granularity == 1 ? "-" : "@"
  }

  private static func runs(of title: [Int32], _ length: Int) -> [[Int32]] {
    stride(from: 0, to: title.count, by: length).map { Array(title[$0..<min($0.advanced(by: length), title.count)]) }
  }

  /// Writes the table, a line for each prefix, in depth-first order with tokens ascending.
  ///
  /// - Throws: `FlowerError` (cannot write); the file is then as it was.
  public func write(to path: String) throws {
    try AtomicFile.write(to: path) { file in
      try serialize { try file.write($0) }
    }
  }

  /// The table's text in pieces of about `pieceSize` bytes; no more of it is held at once.
  func serialize(pieceSize: Int = 1 << 16, _ write: ([UInt8]) throws -> Void) throws {
    let tree = rewards.tree
    var piece = Array("{\n".utf8)
    /// Names from the root's child to the node.
    var path: [String] = []
    for node in 0..<tree.nodeCount {
      path.removeSubrange(max(0, Int(tree.depth[node]) - 1)...)
      if node > 0 { path.append(names[Int(tree.token[node])]) }
      let key = node == 0 ? "first" : path.joined(separator: separator)
      let entries = zip(tree.optionTokens(of: node), rewards.rewards(at: node)).map { token, reward in
        "\"\(names[Int(token)])\": \(log(reward))"
      }
      piece += "  \"\(key)\": {\(entries.joined(separator: ", "))}\(node + 1 < tree.nodeCount ? "," : "")\n".utf8
      if piece.count >= pieceSize {
        try write(piece)
        piece.removeAll(keepingCapacity: true)
      }
    }
    try write(piece + "}\n".utf8)
  }
}
