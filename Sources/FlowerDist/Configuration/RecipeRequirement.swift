/// What one field's value has to fulfil by itself.
struct RecipeRequirement<Value: Sendable>: Sendable {
  /// Follows the type in "expected a number …".
  let text: String
  let holds: @Sendable (Value) -> Bool

  static var none: Self { Self(text: "") { _ in true } }
}

extension RecipeRequirement where Value: Comparable {
  static func within(_ range: ClosedRange<Value>) -> Self {
    Self(text: " from \(range.lowerBound) to \(range.upperBound)") { range.contains($0) }
  }

  static func within(_ range: Range<Value>) -> Self {
    Self(text: " from \(range.lowerBound) to below \(range.upperBound)") { range.contains($0) }
  }

  /// Without the lower bound, with the upper one.
  static func above(_ low: Value, upTo high: Value) -> Self {
    Self(text: " above \(low), at most \(high)") { $0 > low && $0 <= high }
  }
}

extension RecipeRequirement where Value == Int {
  static func zero(or range: ClosedRange<Int>) -> Self {
    Self(text: " that is 0 or from \(range.lowerBound) to \(range.upperBound)") { $0 == 0 || range.contains($0) }
  }

  static func powerOfTwo(upTo high: Int) -> Self {
    Self(text: " that is a power of two, at most \(high)") { $0 > 0 && $0 <= high && $0.nonzeroBitCount == 1 }
  }
}

extension RecipeRequirement where Value == String {
  static var notEmpty: Self { Self(text: " that is not empty") { !$0.isEmpty } }

  /// One component of a path that no command takes for an option.
  static var fileName: Self {
    Self(text: " that can name a folder (not empty, no '/', no leading '.' or '-')") { name in
      guard let first = name.utf8.first else { return false }
      return first != UInt8(ascii: ".") && first != UInt8(ascii: "-") && !name.utf8.contains(UInt8(ascii: "/"))
    }
  }
}
