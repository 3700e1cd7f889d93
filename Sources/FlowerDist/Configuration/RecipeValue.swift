import Foundation

/// The text of one YAML scalar, and whether it stood there without quotes.
struct RecipeScalar: Equatable, Sendable {
  var text: String
  /// Quoted (or block) text is never a number, a truth value or null.
  var isPlain: Bool

  var isNull: Bool { isPlain && ["", "~", "null", "Null", "NULL"].contains(text) }
}

/// A type that a recipe's field can have: how it is read from a scalar and written as one.
protocol RecipeValue: Sendable {
  /// Completes "expected …".
  static var expected: String { get }
  /// `nil` where the scalar does not have this type.
  init?(_ scalar: RecipeScalar)
  /// The scalar that reads as this value.
  var yaml: String { get }
}

extension Int: RecipeValue {
  static var expected: String { "an integer" }

  init?(_ scalar: RecipeScalar) {
    guard scalar.isPlain, let value = Int(scalar.text) else { return nil }
    self = value
  }

  var yaml: String { description }
}

extension UInt64: RecipeValue {
  static var expected: String { "an integer that is not negative" }

  init?(_ scalar: RecipeScalar) {
    guard scalar.isPlain, let value = UInt64(scalar.text) else { return nil }
    self = value
  }

  var yaml: String { description }
}

extension Double: RecipeValue {
  static var expected: String { "a number" }

  init?(_ scalar: RecipeScalar) {
    guard scalar.isPlain, let value = Double(scalar.text), value.isFinite else { return nil }
    self = value
  }

  /// Swift prints the shortest digits that read as the same value.
  var yaml: String { description }
}

extension Bool: RecipeValue {
  static var expected: String { "true or false" }

  init?(_ scalar: RecipeScalar) {
    guard scalar.isPlain, let value = Bool(scalar.text) else { return nil }
    self = value
  }

  var yaml: String { description }
}

extension String: RecipeValue {
  static var expected: String { "text" }

  /// Plain numbers and the like are taken as they are written. A NUL is refused because paths end there.
  init?(_ scalar: RecipeScalar) {
    guard !scalar.isNull, !scalar.text.utf8.contains(0) else { return nil }
    self = scalar.text
  }

  /// In double quotes; what YAML does not print, or would take for a line break, is escaped.
  var yaml: String {
    var quoted = "\""
    for scalar in unicodeScalars {
      switch scalar.value {
      case 0x22, 0x5C: quoted += "\\\(scalar)"
      case 0x09: quoted += "\\t"
      case 0x0A: quoted += "\\n"
      case 0x0D: quoted += "\\r"
      case ..<0x20, 0x7F...0x9F, 0x2028...0x2029, 0xFEFF, 0xFFFE...0xFFFF:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}

/// Named choices, written by their raw value.
protocol RecipeChoice: RecipeValue, CaseIterable, RawRepresentable where RawValue == String {}

extension RecipeChoice {
  static var expected: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }
  init?(_ scalar: RecipeScalar) { self.init(rawValue: scalar.text) }
  var yaml: String { rawValue }
}

/// Some of a layer's weight matrices, in the order of `Module`; written with commas between.
public struct ModuleSet: Equatable, Sendable {
  public let modules: [Module]

  public init(_ modules: [Module]) { self.modules = Module.allCases.filter { modules.contains($0) } }
}

extension ModuleSet: RecipeValue {
  static var expected: String {
    "names separated by commas, of " + Module.allCases.map(\.rawValue).joined(separator: ", ")
  }

  init?(_ scalar: RecipeScalar) {
    let modules = scalar.text.split(separator: ",", omittingEmptySubsequences: false).map { part in
      Module(rawValue: part.trimmingCharacters(in: .whitespaces))
    }
    guard modules.allSatisfy({ $0 != nil }), Set(modules).count == modules.count else { return nil }
    self.init(modules.compactMap { $0 })
  }

  var yaml: String { modules.map(\.rawValue).joined(separator: ", ") }
}

extension Recipe.Model.Architecture: RecipeChoice {}
extension Recipe.Tokenizer.Kind: RecipeChoice {}
extension Recipe.Objective.Name: RecipeChoice {}
extension Recipe.Objective.Flow: RecipeChoice {}
extension Recipe.Objective.PrefixTitles: RecipeChoice {}
extension Recipe.Objective.Support: RecipeChoice {}
extension Recipe.Objective.SFTWeight: RecipeChoice {}
extension Recipe.Reward.Weight: RecipeChoice {}
extension Recipe.Reward.FlowRule: RecipeChoice {}
extension Recipe.Reward.Score: RecipeChoice {}
extension Recipe.Reward.ScoreValues: RecipeChoice {}
extension Recipe.Replay.Feed: RecipeChoice {}
extension Recipe.Optimizer.Schedule: RecipeChoice {}
extension Recipe.Training.Batching: RecipeChoice {}
extension Recipe.Communication.Compression: RecipeChoice {}
extension Arithmetic: RecipeChoice {}
extension Recipe.Validation.Metric: RecipeChoice {}
extension Decoding.Score: RecipeChoice {}
