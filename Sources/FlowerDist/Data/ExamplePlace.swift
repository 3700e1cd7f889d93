/// Which example of a dataset it is: a line of one of its splits.
public struct ExamplePlace: Hashable, Sendable {
  public var split: Dataset.Split
  /// From 0.
  public var row: Int

  public init(_ split: Dataset.Split, row: Int) {
    self.split = split
    self.row = row
  }
}
