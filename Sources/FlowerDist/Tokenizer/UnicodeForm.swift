import Foundation

/// Unicode's normalization forms (UAX #15).
///
/// Foundation maps single characters rightly, but strings wrongly where marks meet characters beyond U+FFFF (U+20391
/// U+0301 becomes `Ά`) or marks that are made of others (U+0323 U+0F75 stays in this order). So only its decompositions of
/// single characters are used, and the Swift runtime's combining classes.
enum UnicodeForm: String, CaseIterable, Sendable {
  case nfc = "NFC"
  case nfd = "NFD"
  case nfkc = "NFKC"
  case nfkd = "NFKD"

  private var isCompatible: Bool { self == .nfkc || self == .nfkd }
  private var isComposed: Bool { self == .nfc || self == .nfkc }

  /// How many times longer it makes a text of UTF-8 at most (UAX #15, "Maximum expansion factors"): U+0390 in NFD, U+1D160
  /// in NFC, U+FDFA in both others.
  var growth: Int { isCompatible ? 11 : 3 }

  /// - Parameter text: valid UTF-8.
  func normalize(_ text: [UInt8]) -> [UInt8] {
    // ASCII is in all forms. Below U+0300, which begins with the byte CC, nothing is a mark or composed of two.
    let limit: UInt8 = self == .nfc ? 0xCC : 0x80
    guard text.contains(where: { $0 >= limit }) else { return text }
    var scalars = decomposed(String(decoding: text, as: UTF8.self).unicodeScalars)
    if isComposed { scalars = Self.composed(scalars) }
    return scalars.flatMap { Array(UTF8.encode($0)!) }
  }

  /// The full decomposition with marks in canonical order.
  private func decomposed(_ text: String.UnicodeScalarView) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(text.count)
    for scalar in text {
      if scalar.isASCII {
        result.append(scalar)
      } else if isCompatible {
        result += String(Character(scalar)).decomposedStringWithCompatibilityMapping.unicodeScalars
      } else if let syllable = Hangul.decomposition(of: scalar) {
        result += syllable
      } else if let decomposition = Self.decompositions[scalar] {
        result += decomposition
      } else {
        result.append(scalar)
      }
    }
    var start = 0
    while start < result.count {
      var end = start
      while end < result.count, result[end].combiningClass > 0 { end += 1 }
      if end - start > 1 {
        // By class, and where that is equal as they were.
        let marks = result[start..<end].enumerated().sorted {
          ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
        }
        result.replaceSubrange(start..<end, with: marks.map(\.element))
      }
      start = end + 1
    }
    return result
  }

  /// Joins a starter with what follows it, as long as nothing between them stands in the way.
  private static func composed(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(scalars.count)
    var starter: Int?
    /// The class of what was last left behind the starter; below all classes if there is nothing.
    var last = -1
    for scalar in scalars {
      let combiningClass = scalar.combiningClass
      if let starter, last < combiningClass,
        let composite = Hangul.composition(of: result[starter], scalar)
          ?? compositions[Pair(first: result[starter], second: scalar)]
      {
        result[starter] = composite
        continue
      }
      if combiningClass == 0 {
        starter = result.count
        last = -1
      } else {
        last = combiningClass
      }
      result.append(scalar)
    }
    return result
  }

  /// Full canonical decompositions, without those of Hangul syllables.
  private static let decompositions: [Unicode.Scalar: [Unicode.Scalar]] = {
    var result: [Unicode.Scalar: [Unicode.Scalar]] = [:]
    // The first two planes without unified ideographs, and the compatibility ideographs of the third.
    for value in [0xC0..<0x3400, 0xA000..<0xAC00, 0xF900..<0x2_0000, 0x2_F800..<0x2_FA20].joined() {
      guard let scalar = Unicode.Scalar(UInt32(value)) else { continue }
      let decomposition = Array(String(Character(scalar)).decomposedStringWithCanonicalMapping.unicodeScalars)
      if decomposition != [scalar] { result[scalar] = decomposition }
    }
    return result
  }()

  private struct Pair: Hashable {
    let first: Unicode.Scalar
    let second: Unicode.Scalar
  }

  /// The primary composites.
  private static let compositions: [Pair: Unicode.Scalar] = {
    var result: [Pair: Unicode.Scalar] = [:]
    let composites = decompositions.filter { !$0.key.properties.isFullCompositionExclusion }
    // A composite is made of a shorter one and its last character.
    for (composite, decomposition) in composites.sorted(by: { $0.value.count < $1.value.count }) {
      let first = decomposition.dropLast().dropFirst().reduce(decomposition[0]) {
        result[Pair(first: $0, second: $1)] ?? $0
      }
      result[Pair(first: first, second: decomposition[decomposition.count - 1])] = composite
    }
    return result
  }()
}

extension Unicode.Scalar {
  fileprivate var combiningClass: Int {
    value < 0x300 ? 0 : Int(properties.canonicalCombiningClass.rawValue)
  }
}

/// Syllables, which follow from arithmetic (The Unicode Standard, 3.12).
private enum Hangul {
  private static let leading: UInt32 = 0x1100
  private static let vowel: UInt32 = 0x1161
  private static let trailing: UInt32 = 0x11A7
  private static let syllable: UInt32 = 0xAC00
  private static let (leadings, vowels, trailings): (UInt32, UInt32, UInt32) = (19, 21, 28)
  private static let syllables = leadings * vowels * trailings

  static func decomposition(of scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
    guard (syllable..<syllable + syllables).contains(scalar.value) else { return nil }
    let index = scalar.value - syllable
    let values = [
      leading + index / (vowels * trailings), vowel + index / trailings % vowels, trailing + index % trailings,
    ]
    // The first trailing place stands for none.
    return values.prefix(index % trailings == 0 ? 2 : 3).compactMap(Unicode.Scalar.init)
  }

  static func composition(of first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    if (leading..<leading + leadings).contains(first.value), (vowel..<vowel + vowels).contains(second.value) {
      let index = (first.value - leading) * vowels + second.value - vowel
      return Unicode.Scalar(syllable + index * trailings)
    }
    if (syllable..<syllable + syllables).contains(first.value), (first.value - syllable) % trailings == 0,
      (trailing + 1..<trailing + trailings).contains(second.value)
    {
      return Unicode.Scalar(first.value + second.value - trailing)
    }
    return nil
  }
}
