import Foundation
import Testing

@testable import FlowerDist

/// `config.json` of Qwen/Qwen2.5-0.5B, shortened by nothing.
private let qwen = #"""
  {
    "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151643,
    "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02, "intermediate_size": 4864,
    "max_position_embeddings": 32768, "max_window_layers": 24, "model_type": "qwen2", "num_attention_heads": 14,
    "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    "transformers_version": "4.40.1", "use_cache": true, "use_mrope": false, "use_sliding_window": false,
    "vocab_size": 151936
  }
  """#

/// A Llama as transformers 5 writes one.
private let llama = #"""
  {
    "architectures": ["LlamaForCausalLM"], "attention_bias": false, "head_dim": 32, "hidden_act": "silu",
    "hidden_size": 96, "intermediate_size": 200, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 4,
    "num_hidden_layers": 2, "num_key_value_heads": 4, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
    "rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"}, "tie_word_embeddings": false,
    "vocab_size": 1000
  }
  """#

private func configuration(_ text: String) throws -> ModelConfiguration {
  try ModelConfiguration(JSON(parsing: Array(text.utf8)), path: "dir/config.json")
}

struct ModelConfigurationTests {
  @Test func readsQwen() throws {
    let expected = ModelConfiguration(
      architecture: .qwen2, vocabularySize: 151_936, hiddenSize: 896, layers: 24, heads: 14, kvHeads: 2, headDim: 64,
      intermediateSize: 4864, attentionBias: true, tieEmbeddings: true, ropeTheta: 1e6, rmsNormEps: 1e-6)
    #expect(try configuration(qwen) == expected)
  }

  @Test func readsLlama() throws {
    let expected = ModelConfiguration(
      architecture: .llama, vocabularySize: 1000, hiddenSize: 96, layers: 2, heads: 4, kvHeads: 4, headDim: 32,
      intermediateSize: 200, attentionBias: false, tieEmbeddings: false, ropeTheta: 500_000, rmsNormEps: 1e-5)
    #expect(try configuration(llama) == expected)
  }

  @Test(arguments: [qwen, llama], [SafeTensors.DType.f32, .bf16])
  func roundTrip(text: String, dtype: SafeTensors.DType) throws {
    let read = try configuration(text)
    let written = read.json(maximumPositions: 512, terminator: 198, dtype: dtype)
    #expect(try configuration(written.description) == read)
  }

  /// Members left out fall back on what `transformers` takes.
  @Test func defaults() throws {
    let read = try configuration(
      #"{"architectures":["LlamaForCausalLM"],"hidden_size":64,"num_attention_heads":4,"num_hidden_layers":1,"#
        + #""intermediate_size":8,"vocab_size":10,"rope_scaling":null,"head_dim":null}"#)
    #expect(read.kvHeads == 4)
    #expect(read.headDim == 16)
    #expect(read.ropeTheta == 10_000)
    #expect(read.rmsNormEps == 1e-6)
    #expect(!read.tieEmbeddings && !read.attentionBias)
  }

  @Test(arguments: [
    (#""architectures": ["Qwen2ForCausalLM"]"#, #""architectures": ["Qwen2MoeForCausalLM"]"#, "architectures"),
    (#""architectures": ["Qwen2ForCausalLM"]"#, #""architectures": []"#, "architectures"),
    (#""architectures": ["Qwen2ForCausalLM"]"#, #""architectures": "Qwen2ForCausalLM""#, "architectures"),
    (#""architectures": ["Qwen2ForCausalLM"], "#, "", #""architectures": is missing"#),
    (#""hidden_act": "silu""#, #""hidden_act": "gelu""#, "hidden_act"),
    (#""use_sliding_window": false"#, #""use_sliding_window": true"#, "use_sliding_window"),
    (#""use_mrope": false"#, #""use_mrope": true"#, "use_mrope"),
    (#""use_cache": true"#, #""mlp_bias": true"#, "mlp_bias"),
    (#""use_cache": true"#, #""quantization_config": {"quant_method": "gptq"}"#, "quantization_config"),
    (#""use_cache": true"#, #""layer_types": ["sliding_attention"]"#, "layer_types"),
    (#""use_cache": true"#, #""rope_scaling": {"type": "yarn", "factor": 4.0}"#, #""rope_scaling.type""#),
    (#""use_cache": true"#, #""rope_scaling": {"rope_type": "llama3"}"#, #""rope_scaling.low_freq_factor""#),
    (#""use_cache": true"#, #""rope_scaling": {"type": "linear", "factor": 0.0}"#, #""rope_scaling.factor""#),
    (#""use_cache": true"#, #""rope_scaling": {"type": "linear", "rope_type": "llama3"}"#, #""rope_scaling.type""#),
    (
      #""use_cache": true"#,
      #""rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "default"}"#,
      #""rope_scaling""#
    ),
    (#""model_type": "qwen2""#, #""model_type": "mistral""#, #""model_type""#),
    (#""use_cache": true"#, #""partial_rotary_factor": 0.5"#, #""partial_rotary_factor""#),
    (
      #""use_cache": true"#, #""rope_parameters": {"full_attention": {"rope_type": "default"}}"#,
      #""rope_parameters.full_attention""#
    ),
    (#""use_cache": true"#, #""rope_scaling": "linear""#, #""rope_scaling": expected an object"#),
    (#""use_cache": true"#, #""rope_parameters": {"rope_type": "dynamic"}"#, #""rope_parameters.rope_type""#),
    (#""use_cache": true"#, #""rope_parameters": {"rope_theta": 10000.0}"#, #""rope_theta""#),
    (#""use_cache": true"#, #""rope_parameters": {"partial_rotary_factor": 0.5}"#, "partial_rotary_factor"),
    (#""vocab_size": 151936"#, #""vocab_size": 0"#, #""vocab_size" is 0, expected 1 to 16777216"#),
    (#""vocab_size": 151936"#, #""vocab_size": 9223372036854775807"#, "vocab_size"),
    (#""vocab_size": 151936"#, #""vocab_size": 9223372036854775808"#, #""vocab_size": expected an integer"#),
    (#""vocab_size": 151936"#, #""vocab_size": 151936.0"#, #""vocab_size": expected an integer, found 151936.0"#),
    (#""hidden_size": 896"#, #""hidden_size": -896"#, "hidden_size"),
    (#""hidden_size": 896"#, #""hidden_size": 897"#, "does not divide"),
    (#""hidden_size": 896"#, #""hidden_size": "896""#, #""hidden_size": expected an integer, found "896""#),
    (#""hidden_size": 896"#, #""hidden_size": null"#, #""hidden_size": is missing"#),
    (#""num_attention_heads": 14"#, #""num_attention_heads": 0"#, "num_attention_heads"),
    (#""num_attention_heads": 14"#, #""num_attention_heads": -9223372036854775808"#, "num_attention_heads"),
    (#""num_key_value_heads": 2"#, #""num_key_value_heads": 4"#, "no multiple"),
    (#""num_key_value_heads": 2"#, #""num_key_value_heads": 0"#, "num_key_value_heads"),
    (#""num_hidden_layers": 24"#, #""num_hidden_layers": 1000000"#, "num_hidden_layers"),
    (#""intermediate_size": 4864"#, #""intermediate_size": 4611686018427387904"#, "intermediate_size"),
    (#""use_cache": true"#, #""head_dim": 63"#, "even"),
    (#""use_cache": true"#, #""head_dim": 100000"#, "head_dim"),
    (#""rope_theta": 1000000.0"#, #""rope_theta": 0"#, "rope_theta"),
    (#""rope_theta": 1000000.0"#, #""rope_theta": 1e999"#, "rope_theta"),
    (#""rms_norm_eps": 1e-06"#, #""rms_norm_eps": -1e-06"#, "rms_norm_eps"),
    (#""tie_word_embeddings": true"#, #""tie_word_embeddings": 1"#, "tie_word_embeddings"),
  ])
  func refuses(part: String, replacement: String, message: String) throws {
    let text = qwen.replacing(part, with: replacement)
    #expect(text != qwen)
    let error = flowerError { _ = try configuration(text) }
    #expect(error?.kind == .data)
    #expect(error?.description.hasPrefix("dir/config.json: ") == true)
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "accepted")")
  }

  /// In Llama's published code `attention_bias` also gives the output projection a bias, in Qwen2's it does not.
  @Test func biases() throws {
    #expect(try !configuration(qwen).outputBias)
    let read = try configuration(llama.replacing(#""attention_bias": false"#, with: #""attention_bias": true"#))
    #expect(read.attentionBias && read.outputBias && !read.qkNorm)
  }

  /// Qwen3 has heads of 128 where the file says nothing, and no biases.
  @Test func qwen3() throws {
    let read = try configuration(qwen.replacing("Qwen2For", with: "Qwen3For").replacing("qwen2", with: "qwen3"))
    #expect(read.qkNorm && read.headDim == 128 && !read.attentionBias)
    #expect(try configuration(read.json(maximumPositions: 512, terminator: 198).description) == read)
  }

  @Test(arguments: [
    (
      #"{"type": "linear", "factor": 4.0}"#, RopeScaling.linear(factor: 4)
    ),
    (
      #"{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "#
        + #""original_max_position_embeddings": 8192}"#,
      RopeScaling.llama3(factor: 8, lowFrequency: 1, highFrequency: 4, originalPositions: 8192)
    ),
  ])
  func ropeScaling(text: String, expected: RopeScaling) throws {
    for key in ["rope_scaling", "rope_parameters"] {
      let read = try configuration(qwen.replacing(#""use_cache": true"#, with: "\"\(key)\": \(text)"))
      #expect(read.ropeScaling == expected)
      #expect(try configuration(read.json(maximumPositions: 512, terminator: 198).description) == read)
    }
  }

  /// Directories that `transformers` wrote: the configuration names exactly the tensors that are there.
  @Test(arguments: [
    "qwen2", "qwen2-one-layer", "llama", "llama-head-dim", "llama-bias-llama3", "llama-linear", "qwen3",
    "qwen3-bias-untied",
  ])
  func agreesWithWeights(model: String) throws {
    let directory = TwinTests.directory.appending(path: model).path()
    let layout = try ParameterLayout(ModelConfiguration(directory: directory))
    let weights = try ModelWeights(directory: directory)
    #expect(Set(weights.names) == Set(layout.parameters.map(\.name)))
    var values = [Float](repeating: .nan, count: layout.count)
    for parameter in layout.parameters {
      try values.withUnsafeMutableBufferPointer {
        try weights.read(parameter.name, shape: parameter.shape, into: .init(rebasing: $0[parameter.range]))
      }
    }
    #expect(!values.contains { !$0.isFinite })
  }

  @Test func limitsLeaveRoomForProducts() {
    typealias Limit = ModelConfiguration.Limit
    let widest = max(Limit.vocabularySize, Limit.intermediateSize, Limit.heads * Limit.headDim)
    let (product, overflow) = (widest * Limit.hiddenSize).multipliedReportingOverflow(by: Limit.layers)
    // Seven such matrices a layer, four bytes a number, and as much again for gradient and optimizer.
    #expect(!overflow && !product.multipliedReportingOverflow(by: 7 * 4 * 4).overflow)
  }
}

struct FlowerMetadataTests {
  private var metadata: FlowerMetadata {
    var reward = Recipe.Reward()
    reward.weight = .power
    reward.smoothing = 0.1
    reward.gamma = -0.25
    var prompt = Recipe.Prompt()
    prompt.template = "\"Sah\u{301}\" \\ {history}\n⇒ 🎬"
    prompt.historyLength = 7
    return FlowerMetadata(
      prompt: prompt, terminator: "\n", terminatorToken: 198, support: .vocabulary, reward: reward,
      catalogueDigest: String(repeating: "ab", count: 32))
  }

  @Test func roundTrip() throws {
    let scratch = try ScratchDirectory()
    try metadata.write(directory: scratch.path)
    let read = try FlowerMetadata(directory: scratch.path)
    #expect(read == metadata)
    #expect(Array(read.prompt.template.utf8) == Array(metadata.prompt.template.utf8))
  }

  @Test(arguments: [
    (#""format_version": 1"#, #""format_version": 2"#, "format_version"),
    (#""token": 198"#, #""token": 4294967296"#, #""terminator.token""#),
    (#""token": 198"#, #""token": -1"#, #""terminator.token""#),
    (#""history_length": 7"#, #""history_length": -7"#, #""prompt.history_length""#),
    (#""vocabulary""#, #""all""#, #""support": expected one of catalogue, vocabulary, found "all""#),
    (#""power""#, #""magic""#, #""reward.weight": expected one of"#),
    (#""smoothing": 0.1"#, #""smoothing": -0.1"#, #""reward.smoothing""#),
    (#""smoothing": 0.1,"#, "", #""reward.smoothing": is missing"#),
    (#""template""#, #""templates""#, #""prompt.template": is missing"#),
  ])
  func refuses(part: String, replacement: String, message: String) throws {
    let scratch = try ScratchDirectory()
    try metadata.write(directory: scratch.path)
    let text = String(decoding: try File.contents(of: scratch("flower.json")), as: UTF8.self)
    #expect(text.contains(part))
    try scratch.write(text.replacing(part, with: replacement), "flower.json")
    let error = flowerError { _ = try FlowerMetadata(directory: scratch.path) }
    #expect(error?.kind == .data)
    #expect(error?.description.contains(scratch("flower.json")) == true)
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "accepted")")
  }
}
