import FlowerDist

/// A model directory of a few thousand weights.
enum SampleModel {
  static let configuration = ModelConfiguration(
    architecture: .qwen2, vocabularySize: 272, hiddenSize: 8, layers: 2, heads: 2, kvHeads: 1, headDim: 4,
    intermediateSize: 12, attentionBias: true, tieEmbeddings: true, ropeTheta: 1e4, rmsNormEps: 1e-6)

  static let metadata = #"""
    {
      "format_version": 1,
      "prompt": {"template": "History: {history}\nNext:", "separator": " | ", "history_length": 10, "max_tokens": 512},
      "terminator": {"text": "\n", "token": 10},
      "support": "catalogue",
      "reward": {"weight": "power", "smoothing": 1.0, "beta": 1.5, "gamma": 0.5,
                 "score": "file", "score_path": "scores.npy", "score_values": "logits"},
      "catalogue_sha256": "abababababababababababababababababababababababababababababababab"
    }
    """#

  /// An adapter of rank 2 with its model.
  static let adapter: FuzzInput = {
    var input = FuzzInput(
      "adapter_config.json",
      #"""
      {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "base", "r": 2, "lora_alpha": 4,
      "lora_dropout": 0.0, "target_modules": ["q_proj", "v_proj"], "bias": "none", "use_rslora": false,
      "modules_to_save": null, "rank_pattern": {}, "inference_mode": true, "peft_version": "0.17.0"}
      """#)
    let tensors = (0..<configuration.layers).flatMap { layer in
      [("q_proj", configuration.queryDim), ("v_proj", configuration.kvDim)].flatMap { module, width in
        let name = "base_model.model.model.layers.\(layer).self_attn.\(module)"
        return [
          SafeTensors.Entry(name: "\(name).lora_A.weight", dtype: .f32, shape: [2, configuration.hiddenSize]),
          SafeTensors.Entry(name: "\(name).lora_B.weight", dtype: .bf16, shape: [width, 2]),
        ]
      }
    }
    input["adapter_model.safetensors"] = SafeTensorsImage(tensors: tensors).bytes
    for file in directory(sharded: false).files where file.name != FlowerMetadata.fileName {
      input["base/\(file.name)"] = file.bytes
    }
    return input
  }()

  /// Weights in one file, or in two with an index; of two types, and with tensors that older checkpoints have more.
  static func directory(sharded: Bool) -> FuzzInput {
    var input = FuzzInput(
      "config.json", configuration.json(maximumPositions: 64, terminator: 10).serialized(pretty: true))
    input["tokenizer.json"] = SampleTokenizer.all[0].serialized()
    input[FlowerMetadata.fileName] = Array(metadata.utf8)
    input["generation_config.json"] = Array(#"{"eos_token_id": [10, 0], "do_sample": false}"#.utf8)
    let tensors = ParameterLayout(configuration).parameters.enumerated().map { index, parameter in
      SafeTensors.Entry(name: parameter.name, dtype: index % 2 == 0 ? .f32 : .bf16, shape: parameter.shape)
    }
    guard sharded else {
      input["model.safetensors"] = SafeTensorsImage(tensors: tensors).bytes
      return input
    }
    let middle = tensors.count / 2
    var map: [JSON.Member] = []
    for (shard, part) in [tensors[..<middle], tensors[middle...]].enumerated() {
      let file = "model-0000\(shard + 1)-of-00002.safetensors"
      let buffer = SafeTensors.Entry(
        name: "model.layers.\(shard).self_attn.rotary_emb.inv_freq", dtype: .f32, shape: [2])
      input[file] = SafeTensorsImage(tensors: part + [buffer]).bytes
      map += part.map { JSON.Member($0.name, .string(file)) }
    }
    let index: JSON = ["metadata": ["total_size": 1], "weight_map": .object(map)]
    input[FuzzTarget.indexFile] = index.serialized()
    return input
  }
}
