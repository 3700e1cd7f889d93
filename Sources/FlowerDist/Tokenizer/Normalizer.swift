import Foundation

/// What is done to text before it is cut into pieces: steps one after the other.
struct Normalizer: Equatable, Sendable {
  enum Step: Equatable, Sendable {
    case unicode(UnicodeForm)
    /// Every character for itself, so that a final Σ is σ.
    case lowercase
    /// Before a text that is not empty.
    case prepend(String)
    case replace(Replacement)
  }

  enum UnicodeForm: String, CaseIterable, Sendable {
    case nfc = "NFC"
    case nfd = "NFD"
    case nfkc = "NFKC"
    case nfkd = "NFKD"
  }

  struct Replacement: Equatable, Sendable {
    var pattern: BoundedRegex
    /// Whether the pattern is a text and no regular expression.
    var isLiteral: Bool
    var content: String
  }

  /// A text must not get longer than so many times its length by what replaces and precedes its parts.
  static let growthLimit = 4096

  var steps: [Step] = []

  static let none = Normalizer()
  static let nfc = Normalizer(steps: [.unicode(.nfc)])

  /// How many times longer `prepend` and `replace` can make a text; `nil` beyond `growthLimit`.
  var growth: Int? {
    var growth = 1
    for step in steps {
      let factor =
        switch step {
        case .unicode, .lowercase: 1
        case .prepend(let text): 1 + text.utf8.count
        case .replace(let replacement): max(1, replacement.content.utf8.count)
        }
      let (product, overflow) = growth.multipliedReportingOverflow(by: factor)
      guard !overflow, product <= Self.growthLimit else { return nil }
      growth = product
    }
    return growth
  }

  /// - Parameter text: valid UTF-8.
  func normalize(_ text: [UInt8]) -> [UInt8] {
    var text = text
    for step in steps { text = step.normalize(text) }
    return text
  }
}

extension Normalizer.Step {
  fileprivate func normalize(_ text: [UInt8]) -> [UInt8] {
    switch self {
    case .unicode(let form):
      // ASCII is in all forms.
      guard text.contains(where: { $0 >= 0x80 }) else { return text }
      return Array(form.normalize(String(decoding: text, as: UTF8.self)).utf8)
    case .lowercase:
      let scalars = String(decoding: text, as: UTF8.self).unicodeScalars
      return scalars.flatMap { Array($0.properties.lowercaseMapping.utf8) }
    case .prepend(let prefix): return text.isEmpty ? text : prefix.utf8 + text
    case .replace(let replacement):
      var result: [UInt8] = []
      var start = 0
      for match in replacement.pattern.matches(in: text.span) {
        result += text[start..<match.lowerBound]
        result += replacement.content.utf8
        start = match.upperBound
      }
      return result + text[start...]
    }
  }
}

extension Normalizer.UnicodeForm {
  fileprivate func normalize(_ text: String) -> String {
    switch self {
    case .nfc: text.precomposedStringWithCanonicalMapping
    case .nfd: text.decomposedStringWithCanonicalMapping
    // Foundation's own mapping makes U+01C5 U+0323 a `ž` with a dot below instead of a `ẓ` with a caron.
    case .nfkc: Self.nfc.normalize(Self.nfkd.normalize(text))
    case .nfkd: text.decomposedStringWithCompatibilityMapping
    }
  }
}
