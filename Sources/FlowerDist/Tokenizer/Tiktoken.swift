import Foundation

extension Tokenizer {
  /// Reads the rank file of Qwen: lines of `base64(bytes) rank`, used with NFC and Qwen2's pattern.
  ///
  /// The rank is the token's id. Such a file lists no merges; the two tokens that make a token are what its bytes become
  /// under the merges of lower rank.
  ///
  /// - Throws: `FlowerError` (data) that names file and line.
  init(ranks bytes: [UInt8], file path: String) throws {
    var tokens: [[UInt8]] = []
    for (index, line) in bytes.split(separator: UInt8(ascii: "\n")).enumerated() {
      let fields = line.split(separator: UInt8(ascii: " "))
      guard fields.count == 2, let bytes = Data(base64Encoded: Data(fields[0])), !bytes.isEmpty,
        Int(String(decoding: fields[1], as: UTF8.self)) == index, index < Vocabulary.idLimit
      else { throw FlowerError(.data, "\(path):\(index + 1): expected a token in base64, a space and \(index)") }
      tokens.append(Array(bytes))
    }
    let vocabulary = try Vocabulary(tokens, file: path)
    guard vocabulary.isComplete else { throw FlowerError(.data, "\(path): expected a token for each of the 256 bytes") }
    var merger = Merger(MergeTable(capacity: tokens.count))
    var rank: Int32 = 0
    for (id, token) in tokens.enumerated() where token.count > 1 {
      var halves = token.map { vocabulary.byteTokens[Int($0)] }
      merger.merge(&halves, from: 0)
      guard halves.count == 2 else {
        throw FlowerError(.data, "\(path):\(id + 1): expected a token made of two tokens before it")
      }
      merger.table.insert(MergeTable.Merge(left: halves[0], right: halves[1], rank: rank, id: Int32(id)))
      rank += 1
    }
    self.init(
      vocabulary: vocabulary, merges: merger.table, preTokenizer: .qwen2, normalizer: .nfc)
  }
}
