/// The prompts of the training split as tokens, in a file that is written once and mapped by every rank: nothing is tokenised
/// while a run trains, and ranks of a host share the memory.
///
/// All numbers are little-endian: `FDPROMPT`, the tokens of all rows as 32-bit numbers, where each row's begin and where the
/// last ends as 64-bit numbers, the number of rows, the number of tokens, and the SHA-256 of all before it in hexadecimal digits.
struct PromptTable: Sendable {
  private static let magic = Array("FDPROMPT".utf8)
  private static let digestLength = 64

  private let file: MappedFile
  private let rows: Int
  private let tokenCount: Int

  /// The prompt of a row of the training split.
  subscript(row: Int) -> [Int32] {
    let range = start(row)..<start(row + 1)
    return range.map { Int32(littleEndian: number(Self.magic.count + 4 * $0)) }
  }

  private func start(_ row: Int) -> Int {
    Int(Int64(littleEndian: number(Self.magic.count + 4 * tokenCount + 8 * row)))
  }

  private func number<Number: FixedWidthInteger>(_ offset: Int) -> Number {
    file.bytes.loadUnaligned(fromByteOffset: offset, as: Number.self)
  }

  /// - Parameters:
  ///   - rows: of the training split.
  ///   - vocabulary: tokens that there are.
  /// - Returns: `nil` for a file that is not whole, or is not of these.
  init?(_ file: MappedFile, rows: Int, vocabulary: Int) {
    let bytes = file.bytes
    let end = bytes.count - Self.digestLength - 16
    guard end >= Self.magic.count, bytes.starts(with: Self.magic) else { return nil }
    self.file = file
    func trailer(_ offset: Int) -> Int64 {
      Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: end + offset, as: Int64.self))
    }
    guard trailer(0) == rows, let tokens = Int(exactly: trailer(8)), 0...bytes.count / 4 ~= tokens,
      end == Self.magic.count + 4 * tokens + 8 * (rows + 1)
    else { return nil }
    (self.rows, tokenCount) = (rows, tokens)
    var hash = SHA256()
    hash.update(UnsafeRawBufferPointer(rebasing: bytes[..<(end + 16)]))
    guard Array(hash.finish().utf8) == Array(bytes[(end + 16)...]) else { return nil }
    // Whoever wrote it, no token and no place is one that is not there.
    guard start(0) == 0, start(rows) == tokens, (0..<rows).allSatisfy({ start($0) <= start($0 + 1) }),
      (0..<tokens).allSatisfy({
        0..<Int32(vocabulary) ~= Int32(littleEndian: number(Self.magic.count + 4 * $0) as Int32)
      })
    else { return nil }
  }

  /// Writes the table of `rows` prompts.
  ///
  /// - Throws: `FlowerError` of kind `cannotWrite`, or what `prompt` throws; nothing is there then.
  static func write(to path: String, rows: Int, prompt: (_ row: Int) throws -> [Int32]) throws {
    try AtomicFile.write(to: path) { file in
      var output = Output(magic)
      var starts: [Int64] = [0]
      for row in 0..<rows {
        let tokens = try prompt(row)
        for token in tokens { try output.append(token, to: file) }
        starts.append(starts.last! + Int64(tokens.count))
      }
      for start in starts { try output.append(start, to: file) }
      try output.append(Int64(rows), to: file)
      try output.append(starts.last!, to: file)
      try output.finish(file)
    }
  }

  /// What is written to a file, piece by piece, and then its digest.
  private struct Output: ~Copyable {
    private var hash = SHA256()
    private var buffer: [UInt8]

    init(_ start: [UInt8]) { buffer = start }

    mutating func append(_ number: some FixedWidthInteger, to file: borrowing File) throws {
      withUnsafeBytes(of: number.littleEndian) { buffer.append(contentsOf: $0) }
      if buffer.count >= 1 << 20 { try flush(to: file) }
    }

    private mutating func flush(to file: borrowing File) throws {
      buffer.withUnsafeBytes { hash.update($0) }
      try file.write(buffer)
      buffer.removeAll(keepingCapacity: true)
    }

    consuming func finish(_ file: borrowing File) throws {
      try flush(to: file)
      try file.write(Array(hash.finish().utf8))
    }
  }
}

extension ExampleStream {
  /// What the prompts of the training split are made of, by this program: two streams of one digest have the same.
  func promptDigest() throws -> String {
    let parts = [
      try SHA256.hex(ofFile: "/proc/self/exe"), catalogue.dataset.digest, catalogue.tokenizer.digest,
      catalogue.terminator, "\(catalogue.template)",
      recipe.batching == .user ? "user \(recipe.userTargets)" : "window",
    ]
    return parts.map { "\($0.utf8.count):\($0)" }.joined().sha256
  }

  /// Takes prompts from a file in `directory` from now on, which is written if it is not there. Collective.
  ///
  /// - Parameter beat: called every now and then while it is written.
  /// - Returns: what is to be said where there is no such file in the end; prompts are then made when they are needed.
  mutating func cachePrompts(in directory: String, _ communicator: any Communicator, beat: () -> Void) throws -> String? {
    let rows = catalogue.dataset.train.count
    if rows == 0 { return nil }
    let path = try "\(directory)/\(communicator.together(promptDigest).prefix(16)).tokens"
    let vocabulary = catalogue.tokenizer.vocabularySize
    func table() -> PromptTable? {
      (try? MappedFile(path: path)).flatMap { PromptTable($0, rows: rows, vocabulary: vocabulary) }
    }
    var problem: String?
    let trunkOfRow = trunkOfRow
    try communicator.together {
      if !communicator.isRoot || table() != nil { return }
      do {
        try Directory.create(directory)
        try PromptTable.write(to: path, rows: rows) { row in
          if row.isMultiple(of: 1024) { beat() }
          return try prompt(ofRow: row, trunk: trunkOfRow?[row])
        }
      } catch let error as FlowerError where error.kind == .cannotWrite {
        problem = "prompts are tokenised as they come: \(error)"
      }
    }
    prompts = table()
    return problem
  }
}
