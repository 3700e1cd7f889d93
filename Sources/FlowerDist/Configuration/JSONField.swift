/// A value of a JSON file, or the lack of one, with its key path, so that errors can name the place.
///
/// `try file["model"]["vocab"].object()` throws "tokenizer.json: model.vocab is missing; expected an object".
struct JSONField {
  let file: String
  /// The keys and indices that lead here, such as `model.merges[3]`.
  var path = ""
  /// `nil` where the key is missing.
  let value: JSON?

  /// File and key path.
  var place: String { path.isEmpty ? file : "\(file): \(path)" }

  /// The error that says what is here and what was expected.
  func expected(_ what: String) -> FlowerError {
    let found: String
    switch value {
    case nil: found = "missing"
    case let value? where value.array != nil || value.object != nil: found = value.kind
    case let value?: found = value.excerpt
    }
    return FlowerError(.data, "\(place) is \(found); expected \(what)")
  }

  /// Whether there is a value other than `null`.
  var isPresent: Bool { value.map { !$0.isNull } ?? false }

  /// The member of an object; anything but an object is an error.
  subscript(key: String) -> JSONField {
    get throws {
      guard value?.object != nil else { throw expected("an object") }
      return JSONField(file: file, path: path.isEmpty ? key : "\(path).\(key)", value: value?[key])
    }
  }

  func member(_ key: String, _ value: JSON) -> JSONField {
    JSONField(file: file, path: "\(path)[\(key.quoted)]", value: value)
  }

  func element(_ index: Int, _ value: JSON) -> JSONField {
    JSONField(file: file, path: "\(path)[\(index)]", value: value)
  }

  func object() throws -> [JSON.Member] {
    guard let members = value?.object else { throw expected("an object") }
    return members
  }

  func array() throws -> [JSON] {
    guard let elements = value?.array else { throw expected("an array") }
    return elements
  }

  func elements() throws -> [JSONField] { try array().enumerated().map(element) }

  /// Refuses keys other than these.
  func allow(_ keys: [String]) throws {
    for other in try object() where !keys.contains(other.key) {
      let near = nearestKey(to: other.key, among: keys).map { "; did you mean \($0)?" } ?? ""
      throw member(other.key, other.value).expected("no such key" + near)
    }
  }

  /// An integer of the range, written in digits.
  func int(in range: ClosedRange<Int>) throws -> Int {
    guard let int = value?.int, range.contains(int) else { throw expected(Self.integer(in: range)) }
    return int
  }

  /// Integers of the range.
  func ints(in range: ClosedRange<Int>) throws -> [Int] {
    try array().enumerated().map { index, value in
      guard let int = value.int, range.contains(int) else {
        throw element(index, value).expected(Self.integer(in: range))
      }
      return int
    }
  }

  private static func integer(in range: ClosedRange<Int>) -> String {
    "an integer from \(range.lowerBound) to \(range.upperBound)"
  }

  func double(in range: ClosedRange<Double>) throws -> Double {
    guard let double = value?.double, range.contains(double) else {
      throw expected(Self.number(in: range))
    }
    return double
  }

  /// Numbers of the range.
  func doubles(in range: ClosedRange<Double>) throws -> [Double] {
    try array().enumerated().map { index, value in
      guard let double = value.double, range.contains(double) else {
        throw element(index, value).expected(Self.number(in: range))
      }
      return double
    }
  }

  private static func number(in range: ClosedRange<Double>) -> String {
    "a number from \(range.lowerBound) to \(range.upperBound)"
  }

  func string() throws -> String {
    guard let string = value?.string else { throw expected("a string") }
    return string
  }

  /// A missing or null value is `absent`.
  func bool(default absent: Bool) throws -> Bool {
    guard isPresent else { return absent }
    guard let bool = value?.bool else { throw expected("true or false") }
    return bool
  }
}
