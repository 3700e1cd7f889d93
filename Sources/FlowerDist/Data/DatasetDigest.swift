extension Dataset {
  /// The value of `digest`. Linear in the size of the dataset.
  static func digest(titles: [String], counts: [Double], splits: [[Interaction]]) -> String {
    var hash = SHA256()
    hash.update(integer: titles.count)
    for title in titles {
      hash.update(integer: title.utf8.count)
      hash.update(Array(title.utf8))
    }
    for count in counts { hash.update([count.bitPattern.littleEndian]) }
    for split in splits {
      hash.update(integer: split.count)
      for example in split {
        hash.update(integer: example.history.count)
        hash.update(example.history.map(\.littleEndian))
        hash.update([example.item.littleEndian])
      }
    }
    return hash.finish()
  }
}

extension SHA256 {
  fileprivate mutating func update(_ values: [some BitwiseCopyable]) {
    values.withUnsafeBytes { update($0) }
  }

  fileprivate mutating func update(integer: Int) { update([Int64(integer).littleEndian]) }
}
