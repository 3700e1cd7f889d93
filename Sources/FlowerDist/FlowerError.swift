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

// MARK: - Words for messages

/// What is shown of a text from a file: so many Unicode scalars.
private let excerptLength = 200

extension String {
  /// The text in quotes for messages: its beginning, with what would leave the line or steer the terminal escaped.
  var quoted: String { JSON(isLong ? beginning : self).description.printable }

  /// Whether there is nothing in it that would leave the line or steer the terminal.
  var isPrintable: Bool { !unicodeScalars.contains(where: \.isUnprintable) }

  private var isLong: Bool { unicodeScalars.dropFirst(excerptLength).first != nil }

  fileprivate var beginning: String { String(String.UnicodeScalarView(unicodeScalars.prefix(excerptLength))) + "…" }

  /// With every control character and line break written as in JSON.
  fileprivate var printable: String {
    if isPrintable { return self }
    return unicodeScalars.reduce(into: "") { text, scalar in
      if scalar.isUnprintable {
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
  }

  /// Its beginning on one line, for messages; `quoted` where it is one text of a file.
  var excerpt: String { (isLong ? beginning : self).printable }
}

extension Unicode.Scalar {
  fileprivate var isUnprintable: Bool {
    switch properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }
}

extension JSON {
  /// The beginning of its text on one line, for messages.
  var excerpt: String { description.excerpt }
}
