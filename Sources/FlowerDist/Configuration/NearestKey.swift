/// The known key that a mistyped one most likely meant, or `nil` if none is near.
///
/// Keys are `section.name`; the right name in a wrong section counts as one edit.
func nearestKey(to key: String, among known: [String]) -> String? {
  // Longer than any key with its typing errors; keeps hostile input from costing time.
  guard key.utf8.count <= 64 else { return nil }
  let name = lastComponent(key)
  let ranked = known.map { candidate in
    (key: candidate, edits: min(edits(key, candidate), edits(name, lastComponent(candidate)) + 1))
  }
  guard let best = ranked.min(by: { $0.edits < $1.edits }) else { return nil }
  return best.edits <= 1 + name.count / 3 ? best.key : nil
}

private func lastComponent(_ key: String) -> String {
  key.lastIndex(of: ".").map { String(key[key.index(after: $0)...]) } ?? key
}

/// Levenshtein's distance in bytes: the fewest insertions, deletions and replacements that turn one into the other.
func edits(_ a: String, _ b: String) -> Int {
  let b = Array(b.utf8)
  var row = Array(0...b.count)
  for (i, byte) in a.utf8.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for j in b.indices {
      let replaced = diagonal + (byte == b[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
    }
  }
  return row[b.count]
}
