/// Preference scores that were computed elsewhere: for each split a matrix with a row for each of its examples, in the
/// order of its file in the dataset directory, and a column for each item.
///
/// Everything is checked once, at the start. Rows are divided by their sum (or are logits, of which the softmax is
/// taken), in double precision. A history that is no example of the dataset has no row: its score is popularity.
public struct ScoreFile: PreferenceScore {
  public let summary: String
  public let digest: String?
  private let values: Recipe.Reward.ScoreValues
  private let tables: [Dataset.Split: ScoreTable]
  private let popularity: PopularityScore

  /// - Parameter path: a `.npy` file, of the training split; a safetensors file with tensors `train`, `valid`, `test`; or
  ///   a directory with `train.npy`, `valid.npy`, `test.npy`. Of the last two any may be missing, but not all.
  /// - Throws: `FlowerError` of kind `data` naming file and place.
  public init(_ path: String, dataset: Dataset, values: Recipe.Reward.ScoreValues) throws {
    let columns = dataset.titles.count
    var tables: [Dataset.Split: ScoreTable] = [:]
    var parts: [String] = []
    func add(_ split: Dataset.Split, _ file: MappedFile, _ table: ScoreTable) throws {
      try table.check(rows: dataset[split].count, values)
      tables[split] = table
      parts.append(split.rawValue)
    }
    var hash = SHA256()
    if Directory.isDirectory(path) {
      for split in Dataset.Split.allCases where File.exists("\(path)/\(split.rawValue).npy") {
        let file = try MappedFile(path: "\(path)/\(split.rawValue).npy")
        try add(split, file, ScoreTable(npy: file, rows: dataset[split].count, columns: columns))
        hash.update(file.bytes)
      }
    } else {
      let file = try MappedFile(path: path)
      if file.bytes.starts(with: NumPyHeader.magic) {
        try add(.train, file, ScoreTable(npy: file, rows: dataset.train.count, columns: columns))
      } else {
        let reader = try SafeTensorsReader(path: path)
        for split in Dataset.Split.allCases {
          guard let tensor = reader[split.rawValue] else { continue }
          try add(split, file, ScoreTable(tensor, in: file, rows: dataset[split].count, columns: columns))
        }
      }
      hash.update(file.bytes)
    }
    guard !tables.isEmpty else {
      throw FlowerError(
        .data,
        "\(path): expected train.npy, valid.npy or test.npy in a directory, or tensors \"train\", \"valid\" or"
          + " \"test\"")
    }
    summary = "\(path) (\(parts.joined(separator: ", "))), \(values.rawValue)"
    digest = hash.finish()
    self.values = values
    self.tables = tables
    popularity = PopularityScore(dataset: dataset)
  }

  public func covers(_ split: Dataset.Split) -> Bool { tables[split] != nil }

  public func scores(for context: PreferenceContext, into scores: UnsafeMutableBufferPointer<Double>) {
    guard let place = context.place, let table = tables[place.split] else {
      return popularity.scores(for: context, into: scores)
    }
    table.read(place.row, into: scores)
    values.normalize(scores)
  }
}
