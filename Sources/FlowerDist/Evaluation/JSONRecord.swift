/// One JSON object of a file from outside, read field by field; errors name the file and the field.
struct JSONRecord {
  private let value: JSON
  /// What errors call this object, such as `runs/a/evaluation.json: row 2`.
  let place: String

  init(_ value: JSON, place: String) throws {
    guard value.object != nil else {
      throw FlowerError(.data, "\(place): expected an object, found \(value.kind)")
    }
    self.value = value
    self.place = place
  }

  /// Whether the field is there at all, be it `null`.
  func has(_ key: String) -> Bool { value[key] != nil }

  /// The value of a field that may be missing; `null` counts as missing.
  func optional<Value>(_ key: String, _ expected: String, _ read: (JSON) throws -> Value?) throws -> Value? {
    guard let field = value[key], !field.isNull else { return nil }
    guard let result = try read(field) else {
      throw FlowerError(.data, "\(place): '\(key)': expected \(expected), found \(field.kind)")
    }
    return result
  }

  func required<Value>(_ key: String, _ expected: String, _ read: (JSON) throws -> Value?) throws -> Value {
    guard let result = try optional(key, expected, read) else {
      throw FlowerError(.data, "\(place): '\(key)' is missing, expected \(expected)")
    }
    return result
  }

  func string(_ key: String) throws -> String { try required(key, "a string", \.string) }
  func double(_ key: String) throws -> Double { try required(key, "a number", \.double) }
  func optionalDouble(_ key: String) throws -> Double? { try optional(key, "a number", \.double) }
  func array(_ key: String) throws -> [JSON] { try required(key, "an array", \.array) }

  /// A count: a whole number that is not negative.
  func count(_ key: String) throws -> Int {
    try required(key, "a whole number, 0 or more") { json in json.int.flatMap { $0 >= 0 ? $0 : nil } }
  }

  /// An array of finite numbers.
  func doubles(_ key: String) throws -> [Double] {
    try required(key, "an array of numbers") { json in
      guard let values = json.array?.map(\.double) else { return nil }
      let numbers = values.compactMap { $0 }
      return numbers.count == values.count ? numbers : nil
    }
  }

  /// A number of which `null` means that it is not finite; the field must be there.
  func doubleOrNull(_ key: String, null: Double) throws -> Double {
    guard has(key) else { throw FlowerError(.data, "\(place): '\(key)' is missing, expected a number or null") }
    return try optionalDouble(key) ?? null
  }
}
