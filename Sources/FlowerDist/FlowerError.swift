/// What a user can be told went wrong: one message with file, place and what was expected, and the exit code it ends with.
public struct FlowerError: Error, CustomStringConvertible, Sendable {
  /// Why the program ends; the raw value is its exit code.
  public enum Kind: Int32, Sendable {
    /// The recipe or the arguments are wrong.
    case usage = 2
    /// A data, model or checkpoint file is missing, damaged or does not fit.
    case data = 3
    /// The loss or a gradient is not finite.
    case diverged = 4
    /// Ranks could not talk to each other, or do not agree.
    case communication = 5
    /// A file could not be written.
    case cannotWrite = 6
    /// A rank waited longer than its deadline.
    case hang = 7
    /// Stopped by a signal after saving.
    case interrupted = 130
  }

  public var kind: Kind
  public var description: String
  /// Whether every rank has thrown this error, so that one need say it.
  public internal(set) var isShared = false

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}

extension String {
  /// The text in quotes with control characters escaped, for messages.
  var quoted: String { String(decoding: JSON(self).serialized(), as: UTF8.self) }
}
