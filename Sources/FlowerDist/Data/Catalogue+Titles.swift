extension Catalogue {
  /// The first item of this title, told by its bytes.
  ///
  /// - Parameter option: where the title was given, for the message.
  /// - Throws: `FlowerError` of kind `usage` that names the nearest titles.
  func item(titled title: String, option: String) throws -> Int32 {
    if let index = titles.firstIndex(where: { $0.utf8.elementsEqual(title.utf8) }) { return Int32(index) }
    let near = nearestTitles(to: title, among: titles).map(\.quoted)
    let question = near.isEmpty ? "" : "; did you mean \(near.joined(separator: " or "))?"
    throw FlowerError(.usage, "\(option): the catalogue has no title \(title.quoted)\(question)")
  }

  /// - Throws: `FlowerError` of kind `usage` for a history that the prompt would not show.
  func checkHistory(_ history: [String]) throws {
    guard history.isEmpty || template.showsHistory else {
      throw FlowerError(
        .usage,
        "--history: this model recommends the same to everybody: the prompt that it was trained with has no"
          + " \(PromptTemplate.placeholder)")
    }
  }
}

/// The titles that a mistyped one most likely meant, the likeliest first: those that contain it (letters' case aside),
/// then those a few edits away. At most `limit`, none twice.
func nearestTitles(to title: String, among titles: [String], limit: Int = 3) -> [String] {
  let wanted = title.lowercased()
  // Longer than most titles; keeps the number of comparisons small.
  guard !wanted.isEmpty, wanted.utf8.count <= 128 else { return [] }
  var ranked: [(title: String, edits: Int)] = []
  for title in titles {
    let candidate = title.lowercased()
    guard candidate.utf8.count <= 256 else { continue }
    let distance = candidate.contains(wanted) ? 0 : edits(wanted, candidate)
    if distance <= 1 + wanted.utf8.count / 3 { ranked.append((title, distance)) }
  }
  var near: [String] = []
  for entry in ranked.sorted(by: { ($0.edits, $0.title.utf8.count) < ($1.edits, $1.title.utf8.count) })
  where near.count < limit && !near.contains(where: { $0.utf8.elementsEqual(entry.title.utf8) }) {
    near.append(entry.title)
  }
  return near
}
