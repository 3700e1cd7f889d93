/// A JSON value (RFC 8259) that hides nothing: objects keep the order of their members, keys are told apart by their
/// bytes, and numbers keep their text, so that `4`, `4.0` and `4e0` stay three different things.
///
/// Foundation's readers accept duplicate keys, merge canonically equal ones and read `4.0` as an integer, which is
/// too kind for files that name tensors and tokens.
public enum JSON: Sendable {
  case null
  case bool(Bool)
  /// A number exactly as it was written.
  case number(String)
  case string(String)
  case array([JSON])
  case object([Member])

  /// One `key: value` of an object.
  public struct Member: Sendable {
    public var key: String
    public var value: JSON

    public init(_ key: String, _ value: JSON) {
      self.key = key
      self.value = value
    }
  }
}

// MARK: - Reading values

extension JSON {
  /// The value of the member whose key has exactly these bytes; `nil` without one or outside an object.
  ///
  /// Linear in the number of members: walk `object` where there are many.
  public subscript(key: String) -> JSON? {
    object?.first { $0.key.utf8.elementsEqual(key.utf8) }?.value
  }

  /// The integer that is written in digits alone (with a `-` if negative); `4.0` and `1e3` are not integers.
  public var int: Int? {
    guard case .number(let text) = self else { return nil }
    return Int(text)
  }

  /// The nearest double; `nil` for a number too large for one.
  public var double: Double? {
    guard case .number(let text) = self, let value = Double(text), value.isFinite else { return nil }
    return value
  }

  public var string: String? {
    guard case .string(let value) = self else { return nil }
    return value
  }

  public var bool: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  public var array: [JSON]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }

  public var object: [Member]? {
    guard case .object(let members) = self else { return nil }
    return members
  }

  public var isNull: Bool {
    guard case .null = self else { return false }
    return true
  }

  /// What this is, in the words of an error message: "a string", "an object".
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "true or false"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

// MARK: - Making values

extension JSON {
  public init(_ value: Bool) { self = .bool(value) }
  public init(_ value: some BinaryInteger) { self = .number(String(value)) }
  public init(_ value: String) { self = .string(value) }
  public init(_ elements: [JSON]) { self = .array(elements) }

  /// The shortest text that reads back as the same double; `null` if the value is not finite.
  public init(_ value: Double) { self = value.isFinite ? .number(value.description) : .null }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  public init(nilLiteral: ()) { self = .null }
  public init(booleanLiteral value: Bool) { self.init(value) }
  public init(integerLiteral value: Int) { self.init(value) }
  public init(floatLiteral value: Double) { self.init(value) }
  public init(stringLiteral value: String) { self.init(value) }
  public init(arrayLiteral elements: JSON...) { self.init(elements) }
  /// The members in the order of the literal.
  public init(dictionaryLiteral members: (String, JSON)...) {
    self = .object(members.map { Member($0.0, $0.1) })
  }
}
