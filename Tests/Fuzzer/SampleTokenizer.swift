import FlowerDist
import Foundation

/// Small tokenizer files of the styles that are read.
enum SampleTokenizer {
  /// As GPT-2 writes bytes: the printable ones of Latin-1 as they are, the others from U+0100 on.
  private static let alphabet: [String] = {
    var next: UInt32 = 0x100
    return (0...UInt8.max).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return String(Unicode.Scalar(byte))
      default:
        defer { next += 1 }
        return String(Unicode.Scalar(next)!)
      }
    }
  }()

  /// Tokens that are made by merges, of their left and right halves.
  static let merges = [("t", "h"), ("th", "e"), (" ", "the"), ("c", "a"), ("ca", "t"), (" ", "cat"), ("1", "2")]

  private static func written(_ text: String) -> String { text.utf8.map { alphabet[Int($0)] }.joined() }

  /// - Parameter pairs: merges as lists of two, as newer files have them, or as one text with a space.
  private static func file(
    pairs: Bool, normalizer: JSON, preTokenizer: JSON, postProcessor: JSON = nil, more: [JSON.Member] = []
  ) -> JSON {
    let vocabulary = alphabet + merges.map { written($0.0 + $0.1) }
    let pieces: [JSON] = merges.map {
      let (left, right) = (written($0.0), written($0.1))
      return pairs ? [.string(left), .string(right)] : .string("\(left) \(right)")
    }
    let added: [JSON] = ["<|endoftext|>", "<|im_start|>", "e\u{301}"].enumerated().map { index, text in
      [
        "id": JSON(vocabulary.count + index), "content": .string(text), "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": JSON(index == 2), "special": JSON(index != 2),
      ]
    }
    let model: [JSON.Member] = [
      .init("type", "BPE"), .init("dropout", nil), .init("unk_token", nil), .init("continuing_subword_prefix", ""),
      .init("end_of_word_suffix", ""), .init("fuse_unk", false), .init("byte_fallback", false),
      .init("vocab", .object(vocabulary.enumerated().map { .init($1, JSON($0)) })), .init("merges", .array(pieces)),
    ]
    return [
      "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added), "normalizer": normalizer,
      "pre_tokenizer": preTokenizer, "post_processor": postProcessor,
      "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
      "model": .object(model + more),
    ]
  }

  private static func split(_ regex: String) -> JSON {
    ["type": "Split", "pattern": ["Regex": .string(regex)], "behavior": "Isolated", "invert": false]
  }

  private static func byteLevel(regex: Bool) -> JSON {
    ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": .bool(regex)]
  }

  private static func sequence(_ steps: JSON...) -> JSON { ["type": "Sequence", "pretokenizers": .array(steps)] }

  static let all: [JSON] = {
    let contractions = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)"#
    let tail = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    let qwen = split(contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"# + tail)
    let llama = split(contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"# + tail)
    let template: JSON = [
      "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<|endoftext|>", "type_id": 0]]],
      "special_tokens": ["<|endoftext|>": ["id": "<|endoftext|>", "ids": [263], "tokens": ["<|endoftext|>"]]],
    ]
    return [
      file(pairs: true, normalizer: ["type": "NFC"], preTokenizer: sequence(qwen, byteLevel(regex: false))),
      file(
        pairs: true, normalizer: nil, preTokenizer: sequence(llama, byteLevel(regex: false)), postProcessor: template,
        more: [.init("ignore_merges", true)]),
      file(pairs: false, normalizer: nil, preTokenizer: byteLevel(regex: true)),
      file(
        pairs: false, normalizer: nil,
        preTokenizer: sequence(["type": "Digits", "individual_digits": true], byteLevel(regex: true))),
      file(
        pairs: true,
        normalizer: [
          "type": "Sequence",
          "normalizers": [
            ["type": "NFKC"], ["type": "Lowercase"], ["type": "Prepend", "prepend": " "],
            ["type": "Replace", "pattern": ["String": "ab"], "content": "c"],
            ["type": "Replace", "pattern": ["Regex": "\\s+"], "content": " "],
          ],
        ],
        preTokenizer: sequence(
          ["type": "Punctuation", "behavior": "Contiguous"],
          ["type": "Split", "pattern": ["Regex": "[a-c]+|\\d{1,3}"], "behavior": "MergedWithNext", "invert": true],
          ["type": "Split", "pattern": ["String": " "], "behavior": "Removed", "invert": false],
          byteLevel(regex: false))),
    ]
  }()

  /// A rank file: base64 and rank a line, bytes first.
  static func ranks(merges: [(String, String)]) -> String {
    let tokens = (0...UInt8.max).map { Data([$0]) } + merges.map { Data(($0.0 + $0.1).utf8) }
    return tokens.enumerated().map { "\($1.base64EncodedString()) \($0)\n" }.joined()
  }
}
