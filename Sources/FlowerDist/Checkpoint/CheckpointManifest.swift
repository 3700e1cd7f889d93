/// What a checkpoint consists of: size and SHA-256 of every file. It is written last, so where it is and agrees, the
/// checkpoint is whole.
public struct CheckpointManifest: Equatable, Sendable {
  public static let fileName = "manifest.json"
  static let formatVersion = 1

  public struct Entry: Equatable, Sendable {
    /// Relative to the checkpoint's directory.
    public var path: String
    /// In bytes.
    public var size: Int
    /// 64 lower-case hexadecimal digits.
    public var sha256: String
  }

  public var step: Int
  /// Sorted by the bytes of their paths.
  public var files: [Entry]

  /// Hashes all files in the directory, and those of `required`, which a network file system may not list yet.
  /// - Throws: `FlowerError` if a file is missing, cannot be read, or is neither file nor directory.
  init(step: Int, describing directory: String, required: [String]) throws {
    self.step = step
    var paths = try Self.files(in: directory)
    let listed = Set(paths.map { Array($0.utf8) })
    paths += required.filter { !listed.contains(Array($0.utf8)) }
    paths.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    files = try paths.map { path in
      let file = try File(reading: "\(directory)/\(path)")
      try file.synchronize()
      return Entry(path: path, size: try file.size(), sha256: try SHA256.hex(of: file))
    }
  }

  private static func files(in directory: String, below prefix: String = "") throws -> [String] {
    var files: [String] = []
    for name in try Directory.names(in: "\(directory)/\(prefix)") where prefix + name != fileName {
      if Directory.isDirectory("\(directory)/\(prefix)\(name)") {
        files += try self.files(in: directory, below: "\(prefix)\(name)/")
      } else {
        files.append(prefix + name)
      }
    }
    return files
  }

  /// Reads the manifest of a checkpoint, which may come from anywhere.
  /// - Throws: `FlowerError` of kind `data` naming the manifest and what is wrong with it.
  public init(directory: String) throws {
    let path = "\(directory)/\(Self.fileName)"
    let fields = try JSONFields(JSON(contentsOf: path), path: path)
    let version = try fields.int("format_version")
    guard version == Self.formatVersion else {
      throw fields.error("format_version", "is \(version), this program reads \(Self.formatVersion)")
    }
    step = try fields.int("step")
    guard step >= 0 else { throw fields.error("step", "is \(step)") }
    // A file that is listed again and again would be read as often.
    var known = Set<[UInt8]>()
    files = try fields.array("files").map { value in
      let fields = try JSONFields(value, path: path)
      let entry = Entry(
        path: try fields.string("path"), size: try fields.int("size"), sha256: try fields.string("sha256"))
      guard Self.staysInside(entry.path) else {
        throw fields.error("path", "\(entry.path.quoted) is no path inside the checkpoint")
      }
      guard known.insert(Array(entry.path.utf8)).inserted else {
        throw fields.error("path", "\(entry.path.quoted) is listed twice")
      }
      return entry
    }
    guard !files.isEmpty else { throw fields.error("files", "is empty") }
  }

  /// Bytes of a path, at most: it becomes part of others, and is shown.
  private static let longestPath = 1024

  /// Whether a path is relative and made of plain names.
  private static func staysInside(_ path: String) -> Bool {
    guard path.utf8.count <= longestPath, path.isPrintable else { return false }
    return path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { name in
      !name.isEmpty && !name.elementsEqual(".".utf8) && !name.elementsEqual("..".utf8)
    }
  }

  /// Writes the manifest into the directory it describes and returns when directory and manifest are on the disk.
  func write(directory: String) throws {
    let entries = files.map { ["path": JSON($0.path), "size": JSON($0.size), "sha256": JSON($0.sha256)] as JSON }
    let json: JSON = ["format_version": JSON(Self.formatVersion), "step": JSON(step), "files": JSON(entries)]
    try Directory.synchronizeTree(directory)
    try AtomicFile.write(json.serialized(pretty: true) + [0x0A], to: "\(directory)/\(Self.fileName)")
  }

  /// How closely files are compared with the manifest.
  public enum Depth: Sendable {
    /// They exist and have their sizes: no file is read.
    case sizes
    /// Their SHA-256 agrees too.
    case contents
  }

  /// Compares the files of a checkpoint with its manifest. Files that it does not list are ignored.
  /// - Throws: `FlowerError` of kind `data` naming the first file that is missing or differs, and how.
  @discardableResult
  public static func verify(directory: String, depth: Depth = .contents) throws -> CheckpointManifest {
    let manifest = try CheckpointManifest(directory: directory)
    for entry in manifest.files { try entry.verify(in: directory, depth: depth) }
    return manifest
  }
}

extension CheckpointManifest {
  /// A checkpoint that was moved to the place of another is whole, but not what it seems.
  func requireStep(_ expected: Int, in directory: String) throws {
    guard step == expected else {
      throw FlowerError(.data, "\(directory)/\(Self.fileName): is of step \(step), expected \(expected)")
    }
  }
}

extension CheckpointManifest.Entry {
  /// - Throws: `FlowerError` of kind `data` saying what is wrong with the file.
  func verify(in directory: String, depth: CheckpointManifest.Depth) throws {
    let path = "\(directory)/\(path)"
    let file = try File(reading: path)
    let found = try file.size()
    guard found == size else { throw FlowerError(.data, "\(path): has \(found) bytes, the manifest says \(size)") }
    if depth == .sizes { return }
    guard try SHA256.hex(of: file) == sha256 else {
      throw FlowerError(.data, "\(path): is damaged, its SHA-256 is not the one in the manifest")
    }
  }
}
