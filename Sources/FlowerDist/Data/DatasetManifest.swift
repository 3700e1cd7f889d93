/// What `dataset.json` says about the other files of a dataset directory.
public struct DatasetManifest: Sendable {
  public static let fileName = "dataset.json"

  public var name: String
  /// Where the data came from: format, options, and the SHA-256 of every file that was read.
  public var source: JSON
  /// What was noticed while it was made.
  public var problems: [DatasetProblem]
  /// SHA-256 of the other files by name.
  var digests: [(file: String, digest: String)]

  /// The manifest in a dataset directory; `nil` if there is none.
  ///
  /// - Throws: `FlowerError` of kind `data`.
  public init?(directory: String) throws {
    let path = "\(directory)/\(Self.fileName)"
    guard File.exists(path) else { return nil }
    let json = try JSON(parsing: File.contents(of: path), file: path)
    func member<Value>(_ key: String, _ expected: String, _ read: (JSON) -> Value?) throws -> Value {
      guard let value = json[key].flatMap(read) else {
        throw FlowerError(.data, "\(path): expected \(expected) as \"\(key)\"")
      }
      return value
    }
    name = try member("name", "a string", \.string)
    source = try member("source", "an object") { $0.object == nil ? nil : $0 }
    problems = try member("problems", "an object of counts and examples") { json in
      json.object.flatMap { Self.all($0.map(DatasetProblem.init)) }
    }
    digests = try member("digests", "an object of file names and SHA-256") { json in
      json.object.flatMap { Self.all($0.map { member in member.value.string.map { (member.key, $0) } }) }
    }
  }

  init(name: String, source: JSON, problems: [DatasetProblem], digests: [(file: String, digest: String)]) {
    self.name = name
    self.source = source
    self.problems = problems
    self.digests = digests
  }

  /// The content of the file: this and the dataset's counts.
  func json(counts: JSON) -> JSON {
    [
      "name": JSON(name),
      "source": source,
      "counts": counts,
      "problems": .object(problems.map(\.member)),
      "digests": .object(digests.map { JSON.Member($0.file, JSON($0.digest)) }),
    ]
  }

  /// Refuses files that are not the ones that were written.
  func check(directory: String) throws {
    for (file, digest) in digests {
      guard !file.utf8.contains(UInt8(ascii: "/")), file.utf8.count <= 255, file.isPrintable else {
        throw FlowerError(
          .data, "\(directory)/\(Self.fileName): \"digests\" names \(file.quoted), which is not a file beside it")
      }
      let path = "\(directory)/\(file)"
      guard try SHA256.hex(ofFile: path) == digest else {
        throw FlowerError(
          .data,
          "\(path): its SHA-256 is not the one in \(Self.fileName), so it is damaged or was changed;"
            + " prepare it again, or delete \(Self.fileName) if the change is wanted")
      }
    }
  }

  /// The values if none is missing.
  private static func all<Value>(_ values: [Value?]) -> [Value]? {
    let found = values.compactMap(\.self)
    return found.count == values.count ? found : nil
  }
}

extension DatasetProblem {
  fileprivate var member: JSON.Member {
    JSON.Member(kind.rawValue, ["count": JSON(count), "examples": JSON(examples.map { JSON($0) })])
  }

  fileprivate init?(_ member: JSON.Member) {
    guard let kind = Kind(rawValue: member.key), let count = member.value["count"]?.int,
      let examples = member.value["examples"]?.array
    else { return nil }
    self.init(kind: kind, count: count, examples: examples.compactMap(\.string))
  }
}
