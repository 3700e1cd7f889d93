extension Dataset {
  /// SHA-256 over titles, counts and splits (not the name, users or time stamps): equal for the same data, however it
  /// is stored, so that ranks and resumed runs can check that they use the same. Linear in the size of the dataset.
  public var digest: String {
    var hash = SHA256()
    hash.update(integer: titles.count)
    for title in titles {
      hash.update(integer: title.utf8.count)
      hash.update(Array(title.utf8))
    }
    for count in counts { hash.update([count.bitPattern.littleEndian]) }
    for split in Split.allCases {
      hash.update(integer: self[split].count)
      for example in self[split] {
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
