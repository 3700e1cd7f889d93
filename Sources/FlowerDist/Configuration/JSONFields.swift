/// The members of a JSON object in a file of ours or Hugging Face's, read by type; what it throws names file and key.
struct JSONFields {
  let path: String
  /// Keys that lead to the object, each with a dot after it.
  private let prefix: String
  private let json: JSON

  init(_ json: JSON, path: String) throws { try self.init(json, path: path, prefix: "") }

  private init(_ json: JSON, path: String, prefix: String) throws {
    guard json.object != nil else {
      let place = prefix.isEmpty ? "" : " \"\(prefix.dropLast())\":"
      throw FlowerError(.data, "\(path):\(place) expected an object, found \(json.kind)")
    }
    (self.json, self.path, self.prefix) = (json, path, prefix)
  }

  /// The value of a key; `nil` if it is missing or `null`.
  subscript(key: String) -> JSON? {
    guard let value = json[key], !value.isNull else { return nil }
    return value
  }

  func int(_ key: String, default fallback: Int? = nil) throws -> Int {
    try value(key, "an integer", fallback) { $0.int }
  }
  func double(_ key: String, default fallback: Double? = nil) throws -> Double {
    try value(key, "a number", fallback) { $0.double }
  }
  func string(_ key: String, default fallback: String? = nil) throws -> String {
    try value(key, "a string", fallback) { $0.string }
  }
  func bool(_ key: String, default fallback: Bool? = nil) throws -> Bool {
    try value(key, "true or false", fallback) { $0.bool }
  }
  func array(_ key: String) throws -> [JSON] {
    try value(key, "an array", nil) { $0.array }
  }
  func choice<Choice: RawRepresentable<String> & CaseIterable>(_ key: String) throws -> Choice {
    let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
    return try value(key, "one of \(names)", nil) { $0.string.flatMap(Choice.init(rawValue:)) }
  }

  func object(_ key: String) throws -> JSONFields {
    try JSONFields(value(key, "an object", nil) { $0 }, path: path, prefix: "\(prefix)\(key).")
  }

  /// An error at this key.
  func error(_ key: String, _ message: String) -> FlowerError {
    FlowerError(.data, "\(path): \((prefix + key).quoted): \(message)")
  }

  private func value<T>(_ key: String, _ expected: String, _ fallback: T?, _ read: (JSON) -> T?) throws -> T {
    guard let json = self[key] else {
      if let fallback { return fallback }
      throw error(key, "is missing, expected \(expected)")
    }
    guard let value = read(json) else { throw error(key, "expected \(expected), found \(json.excerpt)") }
    return value
  }
}

extension JSON {
  /// Parses a whole file.
  /// - Throws: `FlowerError` of kind `data`.
  init(contentsOf path: String) throws {
    try self.init(parsing: File.contents(of: path), file: path)
  }
}
