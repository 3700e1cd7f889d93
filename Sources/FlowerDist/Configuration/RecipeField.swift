/// One field of a recipe: its key in the file, its place in ``Recipe``, and what it accepts.
///
/// ``all`` is the only list of fields there is: the reader, the writer, `--set` and the suggestions for mistyped keys
/// follow it.
struct RecipeField: Sendable {
  /// `section.name`, or `name` outside all sections.
  let key: String
  let path: PartialKeyPath<Recipe> & Sendable
  /// Completes "expected …".
  let expected: String
  /// Stores a scalar's value; `false`, and nothing is stored, if it is not what was expected.
  let read: @Sendable (RecipeScalar, inout Recipe) -> Bool
  /// The value as a YAML scalar.
  let yaml: @Sendable (Recipe) -> String

  /// `nil` outside all sections.
  var section: Substring? {
    key.firstIndex(of: ".").map { key[..<$0] }
  }

  /// The key inside its section.
  var name: Substring {
    key.firstIndex(of: ".").map { key[key.index(after: $0)...] } ?? key[...]
  }

  init<Value: RecipeValue>(
    _ key: String, _ path: WritableKeyPath<Recipe, Value> & Sendable,
    _ requirement: RecipeRequirement<Value> = .none
  ) {
    self.key = key
    self.path = path
    expected = Value.expected + requirement.text
    read = { scalar, recipe in
      guard let value = Value(scalar), requirement.holds(value) else { return false }
      recipe[keyPath: path] = value
      return true
    }
    yaml = { $0[keyPath: path].yaml }
  }

  /// A field that may be absent, which the file says with `null`.
  init<Value: RecipeValue>(
    _ key: String, _ path: WritableKeyPath<Recipe, Value?> & Sendable,
    _ requirement: RecipeRequirement<Value> = .none
  ) {
    self.key = key
    self.path = path
    expected = Value.expected + requirement.text + ", or null"
    read = { scalar, recipe in
      guard !scalar.isNull else {
        recipe[keyPath: path] = nil
        return true
      }
      guard let value = Value(scalar), requirement.holds(value) else { return false }
      recipe[keyPath: path] = value
      return true
    }
    yaml = { $0[keyPath: path]?.yaml ?? "null" }
  }
}
