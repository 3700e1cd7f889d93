import Yams

/// The YAML of a recipe, or of a value that `--set` gives.
enum RecipeYAML {
  /// The document's root; `nil` if it is empty.
  ///
  /// - Throws: `YamlError`, or a `FlowerError` without a place for a text that would take far too long to read.
  static func compose(_ text: String) throws -> Node? {
    if let problem = Structure(text).problem { throw FlowerError(.usage, problem) }
    // Which type a scalar has, the fields say.
    return try Yams.compose(yaml: text, .basic, .default, .utf8)
  }

  /// What multiplies the work: the library compares keys by all that they hold, once for each key around them, and an
  /// alias is all that it stands for.
  private struct Structure {
    private var anchors = 0
    private var aliases = 0
    private var explicitKeys = 0
    /// That open a list or a mapping.
    private var brackets = 0

    /// Of what there is too much.
    var problem: String? {
      // Without an anchor no alias stands for anything.
      let named = anchors > 0 ? aliases : 0
      let found = [(named, 4, "aliases (*name)"), (explicitKeys, 8, "keys after '?'"), (brackets, 500, "brackets")]
      return found.first { count, limit, _ in count > limit }.map { "expected at most \($1) \($2), found \($0)" }
    }

    /// Takes quoted text and comments for structure too, so it counts too much there and never too little.
    init(_ text: String) {
      let bytes = Array(text.utf8)
      for (place, byte) in bytes.enumerated() {
        let canBegin = place == 0 || Self.canPrecede(bytes[place - 1])
        switch byte {
        case UInt8(ascii: "["), UInt8(ascii: "{"): brackets += 1
        case UInt8(ascii: "?") where canBegin: explicitKeys += 1
        case UInt8(ascii: "*") where canBegin && Self.isNamed(bytes[(place + 1)...]): aliases += 1
        case UInt8(ascii: "&") where canBegin && Self.isNamed(bytes[(place + 1)...]): anchors += 1
        default: break
        }
      }
    }

    /// Whether an anchor, an alias or an explicit key can come after this byte.
    private static func canPrecede(_ byte: UInt8) -> Bool {
      isBlank(byte) || "[{,:?-".utf8.contains(byte)
    }

    /// Whether these begin with the name of an anchor, and it ends as one.
    private static func isNamed(_ bytes: ArraySlice<UInt8>) -> Bool {
      let end = bytes.firstIndex { !isOfName($0) } ?? bytes.endIndex
      guard end > bytes.startIndex else { return false }
      return end == bytes.endIndex || isBlank(bytes[end]) || "?:,]}%@`".utf8.contains(bytes[end])
    }

    /// YAML has line breaks outside of ASCII, of which this takes everything for one.
    private static func isBlank(_ byte: UInt8) -> Bool { byte <= UInt8(ascii: " ") || byte >= 0x80 }

    private static func isOfName(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
  }
}
