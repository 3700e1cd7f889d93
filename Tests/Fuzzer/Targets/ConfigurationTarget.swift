import FlowerDist

extension FuzzTarget {
  /// `config.json` and the layout of the weights that it describes.
  static let configuration = FuzzTarget(
    name: "config",
    seeds: [
      // Qwen/Qwen2.5-0.5B.
      """
      {"architectures":["Qwen2ForCausalLM"],"attention_dropout":0.0,"bos_token_id":151643,"eos_token_id":151643,
      "hidden_act":"silu","hidden_size":896,"initializer_range":0.02,"intermediate_size":4864,
      "max_position_embeddings":32768,"max_window_layers":24,"model_type":"qwen2","num_attention_heads":14,
      "num_hidden_layers":24,"num_key_value_heads":2,"rms_norm_eps":1e-06,"rope_theta":1000000.0,
      "sliding_window":32768,"tie_word_embeddings":true,"torch_dtype":"bfloat16","transformers_version":"4.40.1",
      "use_cache":true,"use_mrope":false,"use_sliding_window":false,"vocab_size":151936}
      """,
      // A Llama as transformers 5 writes one.
      """
      {"architectures":["LlamaForCausalLM"],"attention_bias":false,"head_dim":32,"hidden_act":"silu","hidden_size":96,
      "intermediate_size":200,"layer_types":["full_attention","full_attention"],"mlp_bias":false,"model_type":"llama",
      "num_attention_heads":4,"num_hidden_layers":2,"num_key_value_heads":4,"pretraining_tp":1,"rms_norm_eps":1e-05,
      "rope_parameters":{"rope_theta":500000.0,"rope_type":"default"},"tie_word_embeddings":false,"vocab_size":1000}
      """,
      // Llama 3.1, stretched.
      """
      {"architectures":["LlamaForCausalLM"],"attention_bias":true,"head_dim":64,"hidden_act":"silu","hidden_size":2048,
      "intermediate_size":8192,"max_position_embeddings":131072,"mlp_bias":false,"num_attention_heads":32,
      "num_hidden_layers":16,"num_key_value_heads":8,"rms_norm_eps":1e-05,"rope_scaling":{"factor":32.0,
      "high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,"rope_type":"llama3"},
      "rope_theta":500000.0,"tie_word_embeddings":true,"eos_token_id":[128001,128008],"vocab_size":128256}
      """,
      """
      {"architectures":["Qwen3ForCausalLM"],"attention_bias":false,"hidden_act":"silu","hidden_size":1024,
      "intermediate_size":3072,"num_attention_heads":16,"num_hidden_layers":28,"num_key_value_heads":8,
      "rms_norm_eps":1e-06,"rope_scaling":{"type":"linear","factor":2.5},"rope_theta":1000000,
      "tie_word_embeddings":true,"use_sliding_window":false,"vocab_size":151936}
      """,
      SampleModel.configuration.json(maximumPositions: 64, terminator: 10).description,
    ].map { FuzzInput("config.json", $0) },
    mutate: { seed, donor, random in
      FuzzInput("config.json", JSONMutation.apply(to: seed["config.json"], donor: donor["config.json"], &random))
    },
    read: { directory in
      let configuration = try ModelConfiguration(directory: directory)
      let layout = ParameterLayout(configuration)
      guard layout.count > 0, layout.count.multipliedReportingOverflow(by: 16).overflow == false else {
        fatalError("an accepted configuration asks for \(layout.count) weights")
      }
    })
}
