/// `environment.json` as one line.
enum EnvironmentText {
  /// `key value` of every scalar, nested keys by their last name; long digests cut.
  static func line(_ json: JSON) -> String { parts(json).joined(separator: " · ") }

  private static func parts(_ json: JSON) -> [String] {
    (json.object ?? []).flatMap { member -> [String] in
      let key = member.key.replacing("_", with: " ")
      switch member.value {
      case .object: return parts(member.value)
      case .array(let values):
        let texts = values.compactMap(scalar)
        return texts.isEmpty ? [] : ["\(key) \(texts.joined(separator: ", "))"]
      default: return scalar(member.value).map { ["\(key) \($0)"] } ?? []
      }
    }
  }

  private static func scalar(_ json: JSON) -> String? {
    switch json {
    case .string(let text): text.count >= 32 && text.allSatisfy(\.isHexDigit) ? String(text.prefix(12)) : text
    case .number(let text): text
    case .bool(let value): value ? "yes" : "no"
    default: nil
    }
  }
}
