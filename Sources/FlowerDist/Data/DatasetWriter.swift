import Glibc

extension Dataset {
  /// Refuses a directory that `write` would refuse, before work is done for it.
  ///
  /// - Throws: `FlowerError` of kind `usage`.
  public static func checkOutput(_ directory: String, force: Bool) throws {
    guard File.exists(directory) else { return }
    guard force else {
      throw FlowerError(.usage, "\(directory): already exists; choose another --output, or replace it with --force")
    }
    guard File.exists("\(directory)/\(DatasetManifest.fileName)") else {
      throw FlowerError(.usage, "\(directory): has no \(DatasetManifest.fileName), so --force does not replace it")
    }
  }

  /// Writes a dataset directory beside its place and renames it, so that what has its final name is complete.
  ///
  /// - Parameters:
  ///   - source: Where the data came from, for `dataset.json`.
  ///   - problems: What was noticed on the way, for `dataset.json`.
  ///   - force: Replaces an existing dataset directory.
  /// - Throws: `FlowerError` of kind `data` if a split of a dataset with histories is empty, `usage` if the directory may not be replaced, or
  ///   `cannotWrite`.
  public func write(to directory: String, source: JSON, problems: [DatasetProblem], force: Bool) throws {
    try Self.checkOutput(directory, force: force)
    for split in Split.allCases where self[split].isEmpty && !isDistribution {
      throw FlowerError(.data, "\(name): no examples in the split \(split.rawValue)")
    }
    let place = directory.hasSuffix("/") ? String(directory.dropLast()) : directory
    let new = "\(place).\(getpid()).new"
    do {
      try writeFiles(in: new, source: source, problems: problems)
      try Self.move(new, to: place)
    } catch {
      try? Directory.remove(new)
      throw error
    }
  }

  private static func move(_ new: String, to place: String) throws {
    guard File.exists(place) else { return try Directory.rename(new, to: place) }
    let old = "\(place).\(getpid()).old"
    try Directory.rename(place, to: old)
    do {
      try Directory.rename(new, to: place)
    } catch {
      try Directory.rename(old, to: place)
      throw error
    }
    try Directory.remove(old)
  }

  private func writeFiles(in directory: String, source: JSON, problems: [DatasetProblem]) throws {
    try Directory.create(directory)
    var digests: [(String, String)] = []
    func write(_ file: String, _ content: [UInt8]) throws {
      let output = try File(writing: "\(directory)/\(file)")
      try output.write(content)
      try output.synchronize()
      digests.append((file, SHA256.hex(of: content)))
    }
    if isDistribution {
      try write(Self.titleCountsFile, titleCountLines)
    } else {
      try write(Self.itemsFile, itemLines)
      for split in Split.allCases { try write(Self.file(of: split), self[split].flatMap { $0.line }) }
    }
    let manifest = DatasetManifest(name: name, source: source, problems: problems, digests: digests)
    try write(DatasetManifest.fileName, manifest.json(counts: counted).serialized(pretty: true) + [newline])
    try Directory.synchronize(directory)
  }

  private var itemLines: [UInt8] {
    titles.enumerated().flatMap { id, title in
      (["id": JSON(id), "title": JSON(title)] as JSON).serialized() + [newline]
    }
  }

  private var titleCountLines: [UInt8] {
    zip(titles, counts).flatMap { title, count in
      (["title": JSON(title), "count": Int(exactly: count).map { JSON($0) } ?? JSON(count)] as JSON).serialized()
        + [newline]
    }
  }

  private var counted: JSON {
    var members: [JSON.Member] = [JSON.Member("items", JSON(titles.count))]
    if let users { members.append(JSON.Member("users", JSON(users))) }
    members += isDistribution ? [] : Split.allCases.map { JSON.Member($0.rawValue, JSON(self[$0].count)) }
    return .object(members)
  }
}

private let newline = UInt8(ascii: "\n")

extension Interaction {
  /// One line of a split's file.
  fileprivate var line: [UInt8] {
    var members = [
      JSON.Member("history", JSON(history.map { JSON($0) })),
      JSON.Member("item", JSON(item)),
    ]
    if let user { members.append(JSON.Member("user", JSON(user))) }
    if let timestamp {
      members.append(JSON.Member("timestamp", Int(exactly: timestamp).map { JSON($0) } ?? JSON(timestamp)))
    }
    return JSON.object(members).serialized() + [newline]
  }
}
