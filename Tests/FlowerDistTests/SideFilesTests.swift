import Glibc
import Testing

@testable import FlowerDist

private func members(_ text: String) throws -> JSON { try JSON(parsing: Array(text.utf8)) }

@Suite struct SideFilesTests {
  /// A directory with these two files and no others.
  private func sideFiles(config: String, generation: String? = nil) throws -> SideFiles {
    let scratch = try ScratchDirectory()
    try scratch.write(config, "config.json")
    if let generation { try scratch.write(generation, "generation_config.json") }
    return try SideFiles(directories: [scratch.path])
  }

  // MARK: config.json

  static let ours = #"""
    {"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","vocab_size":300,"rope_theta":1e6,
    "max_position_embeddings":99,"bos_token_id":null,"eos_token_id":10,"torch_dtype":"float32"}
    """#

  @Test(arguments: [
    // The original's order and numbers as they were written; what it lacks comes last.
    (
      #"{"_name_or_path":"x","vocab_size":300,"initializer_range":2.00e-2,"eos_token_id":[7,8],"pad_token_id":5,"#
        + #""torch_dtype":"bfloat16","max_position_embeddings":32768,"odd":{"a":[1,null]}}"#,
      #"{"_name_or_path":"x","vocab_size":300,"initializer_range":2.00e-2,"eos_token_id":[7,8],"pad_token_id":5,"#
        + #""torch_dtype":"float32","max_position_embeddings":32768,"odd":{"a":[1,null]},"#
        + #""architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","rope_theta":1e6}"#
    ),
    // transformers 5; nothing about special tokens is made up.
    (
      #"{"dtype":"bfloat16","rope_parameters":{"rope_theta":1000000.0},"max_position_embeddings":64}"#,
      #"{"dtype":"float32","rope_parameters":{"rope_theta":1000000.0},"max_position_embeddings":99,"#
        + #""architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","vocab_size":300,"rope_theta":1e6}"#
    ),
    (
      #"{"torch_dtype":"float16","dtype":"float16","max_position_embeddings":"many"}"#,
      #"{"dtype":"float32","max_position_embeddings":99,"#
        + #""architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","vocab_size":300,"rope_theta":1e6}"#
    ),
  ])
  func mergesTheConfiguration(original: String, expected: String) throws {
    let merged = try sideFiles(config: original).configuration(with: members(Self.ours))
    #expect(merged.description == expected)
  }

  @Test func lengthThatNobodyKnows() throws {
    let merged = try sideFiles(config: "{}").configuration(with: ["max_position_embeddings": 0, "hidden_size": 8])
    #expect(merged.description == #"{"hidden_size":8}"#)
  }

  // MARK: generation_config.json

  @Test(
    arguments: [
      (
        nil, #"{"bos_token_id":1,"eos_token_id":2,"pad_token_id":null}"#, 198,
        #"{"bos_token_id":1,"eos_token_id":[2,198]}"#
      ),
      (nil, "{}", 198, #"{"eos_token_id":198}"#),
      (
        #"{"_from_model_config":true,"eos_token_id":[151645,151643],"temperature":0.70}"#, #"{"eos_token_id":2}"#, 198,
        #"{"eos_token_id":[151645,151643,198],"temperature":0.70}"#
      ),
      (#"{"eos_token_id":[198],"do_sample":false}"#, "{}", 198, #"{"eos_token_id":198,"do_sample":false}"#),
      (#"{"top_k":5}"#, #"{"eos_token_id":2}"#, 198, #"{"top_k":5,"eos_token_id":[2,198]}"#),
      (#"{"eos_token_id":null}"#, "{}", 198, #"{"eos_token_id":198}"#),
      (#"{"_from_model_config":true,"eos_token_id":1}"#, "{}", nil, #"{"_from_model_config":true,"eos_token_id":1}"#),
      (nil, #"{"eos_token_id":2}"#, nil, nil),
    ] as [(String?, String, Int32?, String?)])
  func generationStopsAtTheTerminatorToo(
    generation: String?, config: String, terminator: Int32?, expected: String?
  ) throws {
    let files = try sideFiles(config: config, generation: generation)
    #expect(files.generation(terminator: terminator)?.description == expected)
  }

  // MARK: Files

  @Test func keepsWhatIsThereByteForByte() throws {
    let scratch = try ScratchDirectory()
    let bytes = (0...UInt8.max).map { $0 }
    for name in SideFiles.names.reversed() + ["README.md", "model.safetensors.index.json", "pytorch_model.bin"] {
      try scratch.write(bytes + Array(name.utf8), name)
    }
    let files = try SideFiles(directories: [scratch.path])
    #expect(files.files.map(\.name) == SideFiles.names)
    #expect(files.files.allSatisfy { $0.bytes == bytes + Array($0.name.utf8) })
    // The digest tells apart what any of the files holds, and where.
    var digests = [files.digest]
    for name in ["vocab.json", "config.json", "generation_config.json"] {
      try scratch.write(#"{"a":1}"#, name)
      digests.append(try SideFiles(directories: [scratch.path]).digest)
    }
    #expect(Set(digests).count == 4)
  }

  @Test(arguments: [
    ("config.json", "[]", "expected an object, found an array"),
    ("config.json", #"{"a":1,"a":2}"#, "occurs twice"),
    ("generation_config.json", "", "generation_config.json"),
    ("generation_config.json", #"{"eos_token_id":"</s>"}"#, #""eos_token_id": expected a token id or a list of them"#),
    ("generation_config.json", #"{"eos_token_id":[1,1.5]}"#, #""eos_token_id": expected a token id or a list of them"#),
    ("generation_config.json", #"{"eos_token_id":[[1]]}"#, #""eos_token_id": expected a token id or a list of them"#),
    ("generation_config.json", #"{"eos_token_id":9223372036854775808}"#, #""eos_token_id": expected"#),
  ])
  func refuses(name: String, content: String, message: String) throws {
    let scratch = try ScratchDirectory()
    let path = try scratch.write(content, name)
    let error = flowerError { _ = try SideFiles(directories: [scratch.path]) }
    #expect(error?.kind == .data)
    #expect(error?.description.hasPrefix(path) == true)
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "accepted")")
  }

  /// Sparse files: refused before that much is read.
  @Test(arguments: [("merges.txt", 1 << 27 + 1), ("config.json", 1 << 20 + 1), ("generation_config.json", 1 << 40)])
  func tooLarge(name: String, size: Int) throws {
    let scratch = try ScratchDirectory()
    let path = try scratch.write("{", name)
    #expect(truncate(path, size) == 0)
    let error = flowerError { _ = try SideFiles(directories: [scratch.path]) }
    #expect(error?.kind == .data)
    #expect(error?.description.hasPrefix("\(path): has \(size) bytes, at most") == true)
  }

  /// Opening a named pipe would otherwise wait for ever.
  @Test func noFiles() throws {
    let scratch = try ScratchDirectory()
    #expect(mkfifo(scratch("vocab.json"), 0o666) == 0)
    #expect(flowerError { _ = try SideFiles(directories: [scratch.path]) }?.description.contains("not a file") == true)
    unlink(scratch("vocab.json"))
    try Directory.create(scratch("vocab.json"))
    #expect(flowerError { _ = try SideFiles(directories: [scratch.path]) }?.kind == .data)
  }
}
