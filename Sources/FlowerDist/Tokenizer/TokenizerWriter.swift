extension Tokenizer {
  /// Writes a Hugging Face `tokenizer.json`, which gives the same ids there and reads back as an equal tokenizer here.
  ///
  /// - Throws: `FlowerError` (cannot write).
  public func write(to path: String) throws {
    try AtomicFile.write(json.serialized(pretty: true) + [0x0A], to: path)
  }

  /// SHA-256 of what it does, to compare ranks.
  var digest: String { SHA256.hex(of: json.serialized()) }

  private var json: JSON {
    let post = postProcessor.flatMap { try? JSON(parsing: Array($0.utf8)) }
    return [
      "version": "1.0",
      "truncation": nil,
      "padding": nil,
      "added_tokens": JSON(addedTokens.map(\.json)),
      "normalizer": normalizer.json,
      "pre_tokenizer": preTokenizer.json,
      "post_processor": post ?? .null,
      "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
      "model": [
        "type": "BPE",
        "dropout": nil,
        "unk_token": unknownToken.map { JSON(name($0)) } ?? .null,
        "continuing_subword_prefix": nil,
        "end_of_word_suffix": nil,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": JSON(ignoresMerges),
        "vocab": .object(vocabularyMembers),
        "merges": JSON(merges.ordered.map { JSON("\(name($0.left)) \(name($0.right))") }),
      ],
    ]
  }

  /// The model's tokens by id.
  private var vocabularyMembers: [JSON.Member] {
    (0..<Int32(vocabulary.size)).compactMap { id in
      let name = name(id)
      return name.isEmpty ? nil : JSON.Member(name, JSON(id))
    }
  }

  /// How the model's vocabulary writes a token; empty where there is none.
  private func name(_ id: Int32) -> String {
    // Only added tokens outside the byte alphabet have no bytes in the vocabulary.
    let bytes = vocabulary[Int(id)]
    guard bytes.isEmpty else { return ByteAlphabet.text(bytes) }
    return addedTokens.first { $0.id == id && $0.isInModel }?.content ?? ""
  }
}

extension AddedToken {
  fileprivate var json: JSON {
    [
      "id": JSON(id), "content": JSON(content), "single_word": JSON(isSingleWord), "lstrip": JSON(stripsLeft),
      "rstrip": JSON(stripsRight), "normalized": JSON(isNormalized), "special": JSON(isSpecial),
    ]
  }
}

extension Normalizer {
  fileprivate var json: JSON {
    switch steps.count {
    case 0: .null
    case 1: steps[0].json
    default: ["type": "Sequence", "normalizers": JSON(steps.map(\.json))]
    }
  }
}

extension Normalizer.Step {
  fileprivate var json: JSON {
    switch self {
    case .unicode(let form): ["type": JSON(form.rawValue)]
    case .lowercase: ["type": "Lowercase"]
    case .prepend(let text): ["type": "Prepend", "prepend": JSON(text)]
    case .replace(let replacement):
      [
        "type": "Replace",
        "pattern": [replacement.pattern.isLiteral ? "String" : "Regex": JSON(replacement.pattern.pattern)],
        "content": JSON(replacement.content),
      ]
    }
  }
}

extension TextSplit {
  fileprivate var json: JSON {
    switch delimiter {
    case .published(let pattern): json(pattern: ["Regex": JSON(pattern.regex)])
    case .regex(let regex): json(pattern: ["Regex": JSON(regex.pattern)])
    case .text(let text): json(pattern: ["String": JSON(text.pattern)])
    case .digits: ["type": "Digits", "individual_digits": JSON(behavior == .isolated)]
    case .punctuation: ["type": "Punctuation", "behavior": JSON(behavior.rawValue)]
    }
  }

  private func json(pattern: JSON) -> JSON {
    ["type": "Split", "pattern": pattern, "behavior": JSON(behavior.rawValue), "invert": JSON(isInverted)]
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
    case .split(let split): split.json
    case .byteLevel(let addPrefixSpace, let useRegex):
      [
        "type": "ByteLevel", "add_prefix_space": JSON(addPrefixSpace), "trim_offsets": true,
        "use_regex": JSON(useRegex),
      ]
    }
  }
}
