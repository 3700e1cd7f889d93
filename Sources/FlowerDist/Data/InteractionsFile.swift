/// The format `interactions` of `prepare`: `interactions.csv` with the columns `user,item,split` beside `items.jsonl`.
///
/// The rows are read from top to bottom, keeping each user's items. A row with the split `first` only opens a user;
/// every other row is an example of the named split whose history is the user's last items.
public enum InteractionsFile {
  static let fileName = "interactions.csv"

  /// - Parameters:
  ///   - source: The directory with both files, or the path of `interactions.csv`.
  ///   - name: Of the dataset.
  ///   - options: `core` is not used: the rows are taken as they are.
  /// - Throws: `FlowerError` of kind `data` with file and line.
  public static func prepare(_ source: String, name: String, options: Preparation.Options) throws -> Preparation {
    let path = source.hasSuffix(".csv") ? source : "\(source)/\(fileName)"
    let itemsPath = "\(Directory.parent(of: path))/\(Dataset.itemsFile)"
    var log = ProblemLog(damagedLimit: options.damagedLimit)
    let titles = try Dataset.items(itemsPath) { log.oneLine($0) }
    let examples = try examples(path, items: titles.count, historyLength: options.historyLength, &log)
    return try Preparation(
      Dataset(
        name: name, titles: titles, train: examples[.train] ?? [], valid: examples[.valid] ?? [],
        test: examples[.test] ?? []),
      format: "interactions", options: [JSON.Member("history_length", JSON(options.historyLength))],
      files: [path, itemsPath], log: log)
  }

  private static func examples(
    _ path: String, items: Int, historyLength: Int, _ log: inout ProblemLog
  ) throws -> [Dataset.Split: [Interaction]] {
    var examples: [Dataset.Split: [Interaction]] = [:]
    var users = Numbering()
    /// The last items of each user.
    var histories: [[Int32]] = []
    let layout = TableLayout(separator: ",", quoted: true, columns: .named([["user"], ["item"], ["split"]]))
    let table = try TableReader(path, layout)
    while let row = try table.next(&log) {
      guard let item = Int32(row[1]), (0..<items).contains(Int(item)) else {
        try log.skip(table.place, "no item has the id \(row[1].quoted): \(Dataset.itemsFile) has \(items), from 0")
        continue
      }
      let split = Dataset.Split(rawValue: row[2])
      guard split != nil || row[2] == "first" else {
        try log.skip(table.place, "expected first, train, valid or test as split, found \(row[2].quoted)")
        continue
      }
      guard split != nil || users.known(row[0]) == nil else {
        try log.skip(table.place, "the user \(row[0].quoted) is opened twice")
        continue
      }
      let user = users.number(of: row[0])
      if Int(user) == histories.count { histories.append([]) }
      let history = histories[Int(user)]
      if let split { examples[split, default: []].append(Interaction(history: history, item: item, user: user)) }
      histories[Int(user)] = Array((history + [item]).suffix(historyLength))
    }
    return examples
  }
}
