import Foundation

extension Tokenizer {
  /// Writes a Hugging Face `tokenizer.json`, which gives the same ids there and reads back as an equal tokenizer here.
  ///
  /// - Throws: `FlowerError` (cannot write).
  public func write(to path: String) throws {
    do {
      try Data(json.serialized(pretty: true) + [0x0A]).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw FlowerError(.cannotWrite, "\(path) cannot be written: \(error.localizedDescription)")
    }
  }

  private var json: JSON {
    let post = postProcessor.flatMap { try? JSON(parsing: Array($0.utf8)) }
    return [
      "version": "1.0",
      "truncation": nil,
      "padding": nil,
      "added_tokens": JSON(addedTokens.map(\.json)),
      "normalizer": normalizer == .nfc ? ["type": "NFC"] : nil,
      "pre_tokenizer": preTokenizer.json,
      "post_processor": post ?? .null,
      "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
      "model": [
        "type": "BPE",
        "dropout": nil,
        "unk_token": nil,
        "continuing_subword_prefix": nil,
        "end_of_word_suffix": nil,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": JSON(ignoresMerges),
        "vocab": .object(vocabularyMembers),
        "merges": JSON(merges.ordered.map { JSON("\(text($0.left)) \(text($0.right))") }),
      ],
    ]
  }

  /// The model's tokens by id.
  private var vocabularyMembers: [JSON.Member] {
    let contents = Dictionary(uniqueKeysWithValues: addedTokens.filter(\.isInModel).map { ($0.id, $0.content) })
    return (0..<Int32(vocabulary.size)).compactMap { id in
      if let content = contents[id] { return JSON.Member(content, JSON(id)) }
      return vocabulary[Int(id)].isEmpty ? nil : JSON.Member(text(id), JSON(id))
    }
  }

  private func text(_ id: Int32) -> String { ByteAlphabet.text(vocabulary[Int(id)]) }
}

extension AddedToken {
  fileprivate var json: JSON {
    [
      "id": JSON(id), "content": JSON(content), "single_word": false, "lstrip": false, "rstrip": false,
      "normalized": JSON(isNormalized), "special": JSON(isSpecial),
    ]
  }
}

extension PreTokenizer {
  fileprivate var json: JSON {
    if steps.count == 1 { return steps[0].json }
    return ["type": "Sequence", "pretokenizers": JSON(steps.map(\.json))]
  }
}

extension PreTokenizer.Step {
  fileprivate var json: JSON {
    switch self {
    case .split(let pattern):
      ["type": "Split", "pattern": ["Regex": JSON(pattern.regex)], "behavior": "Isolated", "invert": false]
    case .digits(let individual):
      ["type": "Digits", "individual_digits": JSON(individual)]
    case .byteLevel(let addPrefixSpace, let useRegex):
      [
        "type": "ByteLevel", "add_prefix_space": JSON(addPrefixSpace), "trim_offsets": true,
        "use_regex": JSON(useRegex),
      ]
    }
  }
}
