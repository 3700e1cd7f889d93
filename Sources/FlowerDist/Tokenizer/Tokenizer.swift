/// Byte-level byte-pair encoding, as in GPT-2, Llama 3 and Qwen2.
///
/// Text is cut at added tokens, normalised, cut into pieces, and each piece's bytes are merged pair by pair, lowest rank
/// first. Ids equal those of Hugging Face's `tokenizers` with `add_special_tokens=False`.
public struct Tokenizer: Equatable, Sendable {
  /// The model's tokens; added tokens are apart.
  let vocabulary: Vocabulary
  let merges: MergeTable
  let preTokenizer: PreTokenizer
  let normalizer: Normalizer
  /// By id.
  let addedTokens: [AddedToken]
  /// Whether a piece that is a token needs no merges to become it.
  let ignoresMerges: Bool
  /// Stands for a byte that the vocabulary lacks; without one, such bytes are left out.
  let unknownToken: Int32?
  /// The file's `post_processor`, which `encode` does not run, kept for writing.
  let postProcessor: String?

  private let addedContents: [Int32: [UInt8]]
  private let rawMatcher: AddedTokenMatcher
  private let normalizedMatcher: AddedTokenMatcher

  init(
    vocabulary: Vocabulary, merges: MergeTable, preTokenizer: PreTokenizer, normalizer: Normalizer = .none,
    addedTokens: [AddedToken] = [], ignoresMerges: Bool = false, unknownToken: Int32? = nil,
    postProcessor: String? = nil
  ) {
    self.vocabulary = vocabulary
    self.merges = merges
    self.preTokenizer = preTokenizer
    self.normalizer = normalizer
    let addedTokens = addedTokens.sorted { $0.id < $1.id }
    self.addedTokens = addedTokens
    self.ignoresMerges = ignoresMerges
    self.unknownToken = unknownToken
    self.postProcessor = postProcessor
    addedContents = Dictionary(addedTokens.map { ($0.id, Array($0.content.utf8)) }) { first, _ in first }
    rawMatcher = AddedTokenMatcher(addedTokens.filter { !$0.isNormalized }.map { ($0, Array($0.content.utf8)) })
    normalizedMatcher = AddedTokenMatcher(
      addedTokens.filter(\.isNormalized).map { ($0, normalizer.normalize(Array($0.content.utf8))) })
  }

  /// One token per byte: 256 tokens, the id is the byte.
  public static let bytes: Tokenizer = {
    guard let vocabulary = try? Vocabulary((0...UInt8.max).map { [$0] }, file: "bytes") else {
      preconditionFailure("256 different bytes are a vocabulary")
    }
    return Tokenizer(vocabulary: vocabulary, merges: MergeTable([]), preTokenizer: .none)
  }()

  /// The largest id + 1.
  public var vocabularySize: Int { max(vocabulary.size, (addedTokens.last.map { Int($0.id) } ?? -1) + 1) }

  /// The tokens of a text, in O(n log n) of its length.
  ///
  /// Without a normaliser and `add_prefix_space`, and where the vocabulary has every byte, `decode` gives back the same
  /// bytes.
  public func encode(_ text: String) -> [Int32] {
    var ids: [Int32] = []
    var merger = Merger(merges)
    let bytes = Array(text.utf8)
    for part in rawMatcher.split(bytes.span) {
      switch part {
      case .token(let id): ids.append(id)
      case .text(let range):
        let text = normalizer.normalize(Array(bytes[range]))
        for part in normalizedMatcher.split(text.span) {
          switch part {
          case .token(let id): ids.append(id)
          case .text(let range): encode(Array(text[range]), into: &ids, with: &merger)
          }
        }
      }
    }
    return ids
  }

  private func encode(_ text: [UInt8], into ids: inout [Int32], with merger: inout Merger) {
    let pieces = preTokenizer.split(text)
    for range in pieces.ranges {
      let piece = pieces.bytes[range]
      if ignoresMerges, let id = vocabulary.id(piece) {
        ids.append(id)
        continue
      }
      let start = ids.count
      for byte in piece {
        let id = vocabulary.byteTokens[Int(byte)]
        if id >= 0 {
          ids.append(id)
        } else if let unknownToken {
          ids.append(unknownToken)
        }
      }
      merger.merge(&ids, from: start)
    }
  }

  /// The bytes of the tokens, one after the other; not always valid UTF-8, since a token may end inside a character.
  /// Ids without a token add nothing.
  public func decode(_ tokens: [Int32]) -> [UInt8] {
    var bytes: [UInt8] = []
    for id in tokens {
      if let content = addedContents[id] {
        bytes.append(contentsOf: content)
      } else {
        bytes.append(contentsOf: vocabulary[Int(id)])
      }
    }
    return bytes
  }

  /// The one token whose bytes are exactly those of `text`, if there is one.
  public func token(for text: String) -> Int32? {
    addedTokens.first { $0.content.utf8.elementsEqual(text.utf8) }?.id ?? vocabulary.id(Array(text.utf8))
  }
}
