/// The tokens of a batch: each prompt is a trunk, and titles branch off it.
///
/// A row is one token. It sees the rows of its trunk up to where its branch begins, its ancestors in the branch, and
/// itself. Rows are numbered in the order in which they were added: an ancestor always comes first. All linear layers
/// run on all rows as one packed matrix; no row is padding. A forest may grow after a part of it was computed, which
/// is how titles are sampled from the model: the rows that sampling computes are the rows that training needs.
public struct Forest: Sendable {
  /// Token id by row.
  public private(set) var tokens: [Int32] = []
  /// Depth by row: the position that RoPE sees.
  public private(set) var positions: [Int32] = []
  /// First row of the row's trunk.
  private(set) var trunkStart: [Int32] = []
  /// Number of trunk rows that the row sees.
  private(set) var trunkCount: [Int32] = []
  /// Rows of the branch from its first token to the row itself, concatenated; empty for rows of a trunk.
  private(set) var pathRows: [Int32] = []
  /// Where the row's path begins in `pathRows`; one more than there are rows.
  private(set) var pathStart: [Int] = [0]
  /// Index among the rows whose output is used, or -1.
  private(set) var queryOfRow: [Int32] = []
  /// Rows whose next-token distribution is used, in the order of their indices.
  public private(set) var queryRows: [Int32] = []

  public init() {}

  public var rowCount: Int { tokens.count }
  public var queryCount: Int { queryRows.count }

  /// How far a forest has grown, or how much of it is computed.
  struct Extent: Sendable {
    var rows = 0
    var queries = 0
  }

  var extent: Extent { Extent(rows: rowCount, queries: queryCount) }

  /// The index of `row` among the outputs; `nil` where its output is not used.
  func query(of row: Int) -> Int? { queryOfRow[row] < 0 ? nil : Int(queryOfRow[row]) }

  /// Number of rows that `row` sees: of its trunk, and of its branch up to itself.
  func visibleRows(_ row: Int) -> Int { Int(trunkCount[row]) + pathStart[row + 1] - pathStart[row] }

  public mutating func removeAll() {
    tokens.removeAll(keepingCapacity: true)
    positions.removeAll(keepingCapacity: true)
    trunkStart.removeAll(keepingCapacity: true)
    trunkCount.removeAll(keepingCapacity: true)
    pathRows.removeAll(keepingCapacity: true)
    pathStart.removeAll(keepingCapacity: true)
    pathStart.append(0)
    queryOfRow.removeAll(keepingCapacity: true)
    queryRows.removeAll(keepingCapacity: true)
  }

  /// Adds a prompt of at least one token and returns its last row, from which titles branch.
  public mutating func addTrunk(_ prompt: [Int32]) -> Int {
    precondition(!prompt.isEmpty, "a prompt has at least one token")
    let start = rowCount
    for (index, token) in prompt.enumerated() {
      append(token, position: index, trunkStart: start, trunkCount: index + 1)
      pathStart.append(pathRows.count)
    }
    return rowCount - 1
  }

  /// Adds a token after `parent`, a row of a trunk or of a branch, and returns its row. O(depth of the branch).
  public mutating func addRow(_ token: Int32, after parent: Int) -> Int {
    let row = rowCount
    append(
      token, position: Int(positions[parent]) + 1, trunkStart: Int(trunkStart[parent]),
      trunkCount: Int(trunkCount[parent]))
    // One by one: a slice would share the array's storage, and appending would copy all of it.
    for index in pathStart[parent]..<pathStart[parent + 1] { pathRows.append(pathRows[index]) }
    pathRows.append(Int32(row))
    pathStart.append(pathRows.count)
    return row
  }

  private mutating func append(_ token: Int32, position: Int, trunkStart start: Int, trunkCount count: Int) {
    tokens.append(token)
    positions.append(Int32(position))
    trunkStart.append(Int32(start))
    trunkCount.append(Int32(count))
    queryOfRow.append(-1)
  }

  /// Asks for the output of `row` and returns its index among the outputs; the row may be computed already.
  @discardableResult
  public mutating func read(_ row: Int) -> Int {
    if queryOfRow[row] < 0 {
      queryOfRow[row] = Int32(queryRows.count)
      queryRows.append(Int32(row))
    }
    return Int(queryOfRow[row])
  }
}
