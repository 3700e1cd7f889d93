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

  struct Replacement: Equatable, Sendable {
    var pattern: BoundedRegex
    var content: String
  }

  /// A text must not get longer than so many times its length.
  static let growthLimit = 4096

  var steps: [Step] = []

  static let none = Normalizer()
  static let nfc = Normalizer(steps: [.unicode(.nfc)])

  /// How many times longer the steps can make a text, in bytes; `nil` beyond `growthLimit`.
  var growth: Int? {
    var growth = 1
    // What is in one form does not get longer by the same again, until something new is written into it.
    var (form, letters) = (1, 1)
    for step in steps {
      let factor: Int
      switch step {
      case .unicode(let next):
        factor = (max(next.growth, form) + form - 1) / form
        form = max(next.growth, form)
      case .lowercase:
        // Ⱥ (U+023A) has two bytes, ⱥ (U+2C65) three.
        factor = 2 / letters
        letters = 2
      case .prepend(let text):
        factor = 1 + text.utf8.count
        (form, letters) = (1, 1)
      case .replace(let replacement):
        factor = max(1, replacement.content.utf8.count)
        (form, letters) = (1, 1)
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
    case .unicode(let form): return form.normalize(text)
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
