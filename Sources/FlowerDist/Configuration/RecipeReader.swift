import Yams

extension Recipe {
  /// Reads a recipe file and lays `--set` values over it.
  ///
  /// - Parameters:
  ///   - path: The YAML file; errors name it as given here.
  ///   - overrides: `section.key=value` with a YAML scalar as value, the later before the earlier.
  /// - Throws: ``FlowerError`` (usage) that lists every problem of file and overrides, a line each, with its place.
  public static func read(path: String, overrides: [String] = []) throws -> Recipe {
    try read(yaml: contents(of: path), file: path, overrides: overrides)
  }

  /// Reads a recipe's text. `file` names it in errors, and the run if the recipe does not.
  ///
  /// - Throws: as ``read(path:overrides:)``.
  public static func read(yaml: String, file: String, overrides: [String] = []) throws -> Recipe {
    var reader = RecipeReader(file: file)
    reader.read(yaml: yaml)
    for override in overrides { reader.read(override: override) }
    return try reader.finish()
  }

  /// Bytes of a recipe, at most.
  static let longest = 1 << 16

  private static func contents(of path: String) throws -> String {
    let bytes: [UInt8]
    do {
      let file = try File(reading: path)
      let size = try file.size()
      guard size <= longest else { throw FlowerError(.usage, "expected at most \(longest) bytes, found \(size)") }
      bytes = try file.bytes(in: 0..<size)
    } catch let error as FlowerError {
      let reason = error.description.replacing("cannot read \(path): ", with: "")
      throw FlowerError(.usage, "\(path): cannot read the recipe: \(reason)")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw FlowerError(.usage, "\(path): expected UTF-8 text")
    }
    return text
  }
}

/// Turns YAML nodes and overrides into a ``Recipe``, and collects every problem on the way.
private struct RecipeReader {
  /// Where something was said; ordered as a reader of the file meets it, overrides last.
  private enum Place {
    case file(line: Int, column: Int)
    case override(String)

    static func file(_ mark: Mark) -> Place { .file(line: mark.line, column: mark.column) }

    var order: (Int, Int) {
      switch self {
      case .file(let line, let column): (line, column)
      case .override: (.max, 0)
      }
    }
  }

  /// Problems that are described, at most; of a file that is no recipe nobody reads more.
  private static let problemLimit = 100

  private let file: String
  private var recipe = Recipe()
  private var problems: [(place: Place, message: String)] = []
  /// How many more there were.
  private var furtherProblems = 0
  /// Where each field or section was said last.
  private var places: [String: Place] = [:]
  /// Fields with a problem of their own; rules about them would only add noise.
  private var failed: Set<String> = []
  /// Whether the text was YAML; if not, nothing is known about what the recipe sets.
  private var isYAML = true

  init(file: String) {
    self.file = file
    let base = file.split(separator: "/").last ?? ""
    let end = base.lastIndex(of: ".") ?? base.endIndex
    recipe.name = String(base[..<(end == base.startIndex ? base.endIndex : end)])
  }

  /// Reads the file's text.
  mutating func read(yaml: String) {
    guard let root = compose(yaml) else { return }
    guard case .mapping(let mapping) = root else {
      return report("expected a mapping of keys to values", at: place(of: root))
    }
    for (key, value) in mapping { read(key: key, value: value, section: nil) }
  }

  /// Reads one `section.key=value`.
  mutating func read(override: String) {
    let place = Place.override(override)
    guard let equals = override.firstIndex(of: "=") else { return report("expected key=value", at: place) }
    let key = String(override[..<equals])
    guard let field = RecipeField.named(key) else { return reportUnknown(key, at: place) }
    let text = String(override[override.index(after: equals)...])
    switch try? RecipeYAML.compose(text) {
    case nil where text.allSatisfy(\.isWhitespace): read(RecipeScalar(text: "", isPlain: true), into: field, at: place)
    case .scalar(let scalar): read(RecipeScalar(scalar), into: field, at: place)
    default: report("expected \(field.expected); put text that YAML reads otherwise in quotes", at: place, of: field)
    }
  }

  /// The recipe, or everything that is wrong with it.
  mutating func finish() throws -> Recipe {
    if isYAML { checkWhole() }
    guard problems.isEmpty else {
      let lines = problems.sorted { $0.place.order < $1.place.order }.map { place, message in
        switch place {
        case .file(let line, let column): "\(file):\(line):\(column): \(message)"
        case .override(let text): "--set \(text.excerpt): \(message)"
        }
      }
      let further = furtherProblems > 0 ? ["\(file): and \(furtherProblems) more"] : []
      throw FlowerError(.usage, (lines + further).joined(separator: "\n"))
    }
    return recipe
  }

  /// Checks what can only be judged when everything has been read.
  private mutating func checkWhole() {
    if places["name"] == nil, let field = RecipeField.named("name"),
      !field.read(RecipeScalar(text: recipe.name, isPlain: false), &recipe)
    {
      report("set name: the file's name gives none, expected \(field.expected)", at: start, of: field)
    }
    for rule in RecipeRule.all {
      let keys = rule.fields.compactMap { RecipeField.at($0)?.key }
      guard failed.isDisjoint(with: keys), !rule.holds(recipe) else { continue }
      let sections = keys.map { String($0.prefix { $0 != "." }) }
      report(rule.message, at: (keys + sections).compactMap { places[$0] }.first ?? start)
    }
  }

  // MARK: Nodes

  private mutating func read(key node: Node, value: Node, section: String?) {
    guard case .scalar(let scalar) = node else { return report("expected a key", at: place(of: node)) }
    guard !isSetAside(scalar.string) else { return }
    let key = (section.map { $0 + "." } ?? "") + scalar.string
    if section == nil, RecipeField.sections.contains(key) {
      places[key] = place(of: node)
      switch value {
      case .mapping(let mapping):
        for (inner, value) in mapping { read(key: inner, value: value, section: key) }
      case .scalar(let scalar) where RecipeScalar(scalar).isNull: break  // All its keys are commented out.
      default: report("\(key): expected a section with the keys \(names(in: key))", at: place(of: value))
      }
    } else if let field = RecipeField.named(key) {
      guard case .scalar(let scalar) = value else {
        return report("\(key): expected \(field.expected)", at: place(of: value), of: field)
      }
      read(RecipeScalar(scalar), into: field, at: place(of: value))
    } else {
      reportUnknown(key, at: place(of: node))
    }
  }

  private mutating func read(_ scalar: RecipeScalar, into field: RecipeField, at place: Place) {
    places[field.key] = place
    guard !field.read(scalar, &recipe) else { return }
    let found = scalar.isNull ? "nothing" : Self.beginning(of: scalar.text, 40)
    report("\(field.key): expected \(field.expected), found \(found)", at: place, of: field)
  }

  // MARK: Problems

  private var start: Place { .file(line: 1, column: 1) }

  private func place(of node: Node) -> Place {
    node.mark.map(Place.file) ?? start
  }

  private func names(in section: String?) -> String {
    let fields = RecipeField.all.filter { $0.section.map(String.init) == section }.map { String($0.name) }
    return (fields + (section == nil ? RecipeField.sections : [])).joined(separator: ", ")
  }

  private mutating func report(_ message: String, at place: Place, of field: RecipeField? = nil) {
    if isFull { furtherProblems += 1 } else { problems.append((place, message)) }
    if let field { failed.insert(field.key) }
  }

  private var isFull: Bool { problems.count >= Self.problemLimit }

  /// A text of the file in quotes, or as much of it as is needed to find it.
  private static func beginning(of text: String, _ length: Int) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(length))).yaml
  }

  private mutating func reportUnknown(_ key: String, at place: Place) {
    // To look for what was meant takes time.
    if isFull { return report("", at: place) }
    let shown = Self.beginning(of: key, 64)
    if RecipeField.sections.contains(key) {
      return report("\(shown) is a section; set one of its keys: \(names(in: key))", at: place)
    }
    if let nearest = nearestKey(to: key, among: RecipeField.all.map(\.key) + RecipeField.sections) {
      // What was meant is known, so that it is not also called missing.
      failed.insert(nearest)
      return report("unknown key \(shown); did you mean \(nearest)?", at: place)
    }
    let section = key.firstIndex(of: ".").map { String(key[..<$0]) }
    let known = section.flatMap { RecipeField.sections.contains($0) ? $0 : nil }
    report("unknown key \(shown); known here: \(names(in: known))", at: place)
  }

  // MARK: YAML

  /// Letters of the private use area, which begin the keys that ``compose(_:)`` has set aside: as many as are worth
  /// reading the text again.
  private static let setAside = (0xE000..<0xE008).compactMap { Unicode.Scalar(UInt32($0)) }

  private func isSetAside(_ key: String) -> Bool {
    key.unicodeScalars.first.map(Self.setAside.contains) ?? false
  }

  /// The document's root; `nil` if it is empty or, reported, not YAML.
  ///
  /// The YAML library stops at the first key that is given twice. So each is reported here and then set aside by
  /// changing its first letter, which moves nothing, until the rest can be read.
  private mutating func compose(_ yaml: String) -> Node? {
    var text: String? = yaml
    for letter in Self.setAside {
      guard let current = text else { break }
      do {
        return try RecipeYAML.compose(current)
      } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
        let key = keys.first?.excerpt ?? "this key"
        report("\(key) is given again further down; keep one", at: .file(context.mark))
        text = replacingKey(at: context.mark, in: current, with: letter)
      } catch YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
        YamlError.composer(_, let problem, let mark, _)
      {
        report("not valid YAML: \(problem)", at: .file(mark))
        break
      } catch YamlError.reader(let problem, let offset, _, _) {
        report("not valid YAML: \(problem)", at: offset.map { Self.place(of: $0, in: current) } ?? start)
        break
      } catch {
        report("\(error)", at: start)
        break
      }
    }
    isYAML = false
    return nil
  }

  /// The place of the character of that number, from 0.
  private static func place(of character: Int, in text: String) -> Place {
    let lines = text.prefix(character).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    return .file(line: lines.count, column: lines[lines.count - 1].unicodeScalars.count + 1)
  }

  /// `text` with another first letter of the key at `mark`, or `nil` if the key is not one that recipes know.
  private func replacingKey(at mark: Mark, in text: String, with letter: Unicode.Scalar) -> String? {
    var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map(Array.init)
    let line = mark.line - 1
    guard lines.indices.contains(line), lines[line].indices.contains(mark.column - 1) else { return nil }
    let isQuoted = ["\"", "'"].contains(lines[line][mark.column - 1])
    let column = isQuoted ? mark.column : mark.column - 1
    guard lines[line].indices.contains(column) else { return nil }
    lines[line][column] = letter
    return String(String.UnicodeScalarView(lines.joined(separator: ["\n"])))
  }
}

extension RecipeScalar {
  fileprivate init(_ scalar: Node.Scalar) {
    self.init(text: scalar.string, isPlain: scalar.style == .plain || scalar.style == .any)
  }
}
