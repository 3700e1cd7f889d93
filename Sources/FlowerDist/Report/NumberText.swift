import Foundation

/// Numbers as people read them.
enum NumberText {
  /// About `digits` significant digits: `0.0312`, `12.4`, `1,031`, `2.1e-06`.
  static func short(_ value: Double, digits: Int = 3) -> String {
    guard value.isFinite else { return value.isNaN ? "n/a" : value < 0 ? "-∞" : "∞" }
    let size = abs(value)
    if size == 0 { return "0" }
    if size >= 1e6 || size < 1e-4 { return scientific(value, digits: max(digits - 2, 0)) }
    let decimals = max(0, digits - 1 - Int(log10(size).rounded(.down)))
    return decimals == 0 ? grouped(value) : fixed(value, decimals: decimals)
  }

  /// The shortest form for an axis: `0.05`, `2,000`, `1.5e-5`.
  static func tick(_ value: Double) -> String {
    let size = abs(value)
    if size == 0 { return "0" }
    if size >= 1e6 || size < 1e-4 {
      let exponent = Int(log10(size).rounded(.down))
      let mantissa = value / pow(10, Double(exponent))
      return "\(trimmed(fixed(mantissa, decimals: 2)))e\(exponent)"
    }
    return size >= 1000 ? grouped(value) : trimmed(fixed(value, decimals: 6))
  }

  /// A fixed number of decimals.
  static func fixed(_ value: Double, decimals: Int) -> String {
    value.isFinite ? String(format: "%.\(decimals)f", value) : short(value)
  }

  /// A whole number with separators between thousands.
  static func grouped(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return short(value) }
    let digits = Array(String(Int64(abs(value.rounded()))))
    let parts = stride(from: digits.count, to: 0, by: -3).map { String(digits[max($0 - 3, 0)..<$0]) }
    return (value.rounded() < 0 ? "-" : "") + parts.reversed().joined(separator: ",")
  }

  /// With a suffix for thousands or millions: `840`, `12.3k`, `1.2M`.
  static func compact(_ value: Double) -> String {
    switch abs(value) {
    case ..<999.5: return fixed(value, decimals: abs(value) < 10 ? 1 : 0)
    case ..<999_500: return fixed(value / 1e3, decimals: abs(value) < 99_950 ? 1 : 0) + "k"
    default: return value.isFinite ? fixed(value / 1e6, decimals: 1) + "M" : short(value)
    }
  }

  /// Seconds as `8.2 s`, `4:05` or `1:02:03`.
  static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "n/a" }
    if seconds < 59.5 { return fixed(seconds, decimals: seconds < 9.95 ? 1 : 0) + " s" }
    let whole = Int(seconds.rounded())
    let minutes = String(format: "%d:%02d", whole / 60 % 60, whole % 60)
    return whole < 3600 ? minutes : String(format: "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60)
  }

  static func scientific(_ value: Double, digits: Int) -> String { String(format: "%.\(digits)e", value) }

  private static func trimmed(_ text: String) -> String {
    guard text.contains(".") else { return text }
    var text = text[...]
    while text.last == "0" { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return String(text)
  }
}
