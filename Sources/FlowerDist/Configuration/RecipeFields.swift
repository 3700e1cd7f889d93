extension RecipeField {
  /// Every field, in the order in which a resolved recipe lists them.
  ///
  /// Sizes have upper bounds far above any use so that arithmetic on them cannot overflow.
  static let all: [RecipeField] = [
    RecipeField("name", \.name, .fileName),
    RecipeField("runs", \.runs, .notEmpty),

    RecipeField("model.path", \.model.path, .notEmpty),
    RecipeField("model.architecture", \.model.architecture),
    RecipeField("model.hidden_size", \.model.hiddenSize, .within(1...65_536)),
    RecipeField("model.layers", \.model.layers, .within(1...1024)),
    RecipeField("model.heads", \.model.heads, .within(1...1024)),
    RecipeField("model.kv_heads", \.model.kvHeads, .within(1...1024)),
    RecipeField("model.head_dim", \.model.headDim, .within(2...4096)),
    RecipeField("model.intermediate_size", \.model.intermediateSize, .within(1...1_048_576)),
    RecipeField("model.tie_embeddings", \.model.tieEmbeddings),
    RecipeField("model.rope_theta", \.model.ropeTheta, .above(0, upTo: 1e12)),
    RecipeField("model.rms_norm_eps", \.model.rmsNormEps, .above(0, upTo: 1)),
    RecipeField("model.initial_std", \.model.initialStd, .above(0, upTo: 10)),

    RecipeField("lora.rank", \.lora.rank, .within(0...Adapter.Configuration.rankLimit)),
    RecipeField("lora.alpha", \.lora.alpha, .above(0, upTo: Adapter.Configuration.alphaLimit)),
    RecipeField("lora.targets", \.lora.targets),

    RecipeField("data.path", \.data.path, .notEmpty),
    RecipeField("data.generated", \.data.generated, .zero(or: 2...1_000_000)),
    RecipeField("data.generated_examples", \.data.generatedExamples, .zero(or: 10...10_000_000)),

    RecipeField("prompt.template", \.prompt.template, .notEmpty),
    RecipeField("prompt.separator", \.prompt.separator),
    RecipeField("prompt.history_length", \.prompt.historyLength, .within(0...65_536)),
    RecipeField("prompt.max_tokens", \.prompt.maxTokens, .within(1...1_048_576)),

    RecipeField("tokenizer.path", \.tokenizer.path, .notEmpty),
    RecipeField("tokenizer.kind", \.tokenizer.kind),
    RecipeField("tokenizer.vocabulary_size", \.tokenizer.vocabularySize, .within(256...1_048_576)),
    RecipeField("tokenizer.terminator", \.tokenizer.terminator, .notEmpty),

    RecipeField("objective.name", \.objective.name),
    RecipeField("objective.lambda", \.objective.lambda, .within(0...10)),
    RecipeField("objective.flow", \.objective.flow),
    RecipeField("objective.prefix_titles", \.objective.prefixTitles),
    RecipeField("objective.granularity", \.objective.granularity, .within(1...65_536)),
    RecipeField("objective.support", \.objective.support),
    RecipeField("objective.sft_support", \.objective.sftSupport),
    RecipeField("objective.sft_weight", \.objective.sftWeight),
    RecipeField("objective.theta", \.objective.theta, .within(0...1)),
    RecipeField("objective.beta", \.objective.beta, .within(0...1000)),
    RecipeField("objective.rejected", \.objective.rejected, .within(1...1000)),
    RecipeField("objective.label_smoothing", \.objective.labelSmoothing, .within(0..<0.5)),
    RecipeField("objective.reference", \.objective.reference, .notEmpty),

    RecipeField("reward.weight", \.reward.weight),
    RecipeField("reward.flow_rule", \.reward.flowRule),
    RecipeField("reward.file", \.reward.file, .notEmpty),
    RecipeField("reward.smoothing", \.reward.smoothing, .within(0...1e9)),
    RecipeField("reward.beta", \.reward.beta, .within(0...100)),
    RecipeField("reward.gamma", \.reward.gamma, .within(0...100)),
    RecipeField("reward.c", \.reward.c, .within(0...100)),
    RecipeField("reward.score", \.reward.score),
    RecipeField("reward.score_path", \.reward.scorePath, .notEmpty),
    RecipeField("reward.score_values", \.reward.scoreValues),

    RecipeField("trajectories.source", \.trajectories.source),
    RecipeField("trajectories.count", \.trajectories.count, .within(1...65_536)),
    RecipeField("trajectories.temperature", \.trajectories.temperature, .above(0, upTo: 1000)),
    RecipeField("trajectories.samplers", \.trajectories.samplers, .within(0...65_536)),

    RecipeField("replay.feed", \.replay.feed),
    RecipeField("replay.capacity", \.replay.capacity, .within(1...10_000_000)),
    RecipeField("replay.staleness", \.replay.staleness, .within(1...1_000_000_000)),
    RecipeField("replay.priority_exponent", \.replay.priorityExponent, .within(0...10)),

    RecipeField("optimizer.learning_rate", \.optimizer.learningRate, .above(0, upTo: 10)),
    RecipeField("optimizer.schedule", \.optimizer.schedule),
    RecipeField("optimizer.warmup_steps", \.optimizer.warmupSteps, .within(0...1_000_000_000)),
    RecipeField("optimizer.final_fraction", \.optimizer.finalFraction, .within(0...1)),
    RecipeField("optimizer.weight_decay", \.optimizer.weightDecay, .within(0...10)),
    RecipeField("optimizer.beta1", \.optimizer.beta1, .within(0..<1)),
    RecipeField("optimizer.beta2", \.optimizer.beta2, .within(0..<1)),
    RecipeField("optimizer.epsilon", \.optimizer.epsilon, .above(0, upTo: 1)),
    RecipeField("optimizer.clip_norm", \.optimizer.clipNorm, .within(0...1e9)),

    RecipeField("training.global_batch", \.training.globalBatch, .within(1...1_048_576)),
    RecipeField("training.grains", \.training.grains, .powerOfTwo(upTo: 65_536)),
    RecipeField("training.batching", \.training.batching),
    RecipeField("training.user_targets", \.training.userTargets, .within(1...65_536)),
    RecipeField("training.micro_batch", \.training.microBatch, .within(0...1_048_576)),
    RecipeField("training.activation_checkpointing", \.training.activationCheckpointing),
    RecipeField("training.arithmetic", \.training.arithmetic),
    RecipeField("training.steps", \.training.steps, .within(1...1_000_000_000)),
    RecipeField("training.epochs", \.training.epochs, .within(1...1_000_000)),
    RecipeField("training.seed", \.training.seed),
    RecipeField("training.log_every", \.training.logEvery, .within(1...1_000_000_000)),
    RecipeField("training.nonfinite_limit", \.training.nonfiniteLimit, .within(1...1_000_000_000)),
    RecipeField("training.deadline", \.training.deadline, .within(0...1_000_000)),
    RecipeField("training.check_weights_every", \.training.checkWeightsEvery, .within(0...1_000_000_000)),

    RecipeField("communication.overlap", \.communication.overlap),
    RecipeField("communication.compress", \.communication.compress),

    RecipeField("validation.every", \.validation.every, .within(0...1_000_000_000)),
    RecipeField("validation.metric", \.validation.metric),
    RecipeField("validation.examples", \.validation.examples, .within(1...10_000_000)),
    RecipeField("validation.patience", \.validation.patience, .within(0...1_000_000)),

    RecipeField("checkpoint.every", \.checkpoint.every, .within(0...1_000_000_000)),
    RecipeField("checkpoint.keep", \.checkpoint.keep, .within(2...1_000_000)),
    RecipeField("checkpoint.keep_best", \.checkpoint.keepBest),
    RecipeField("checkpoint.background", \.checkpoint.background),

    // HR@20 and NDCG@20 are always reported, and need 20 hypotheses.
    RecipeField("evaluation.beam", \.evaluation.beam, .within(20...65_536)),
    RecipeField("evaluation.exclude_history", \.evaluation.excludeHistory),
    RecipeField("evaluation.examples", \.evaluation.examples, .within(0...10_000_000)),
    RecipeField("evaluation.score", \.evaluation.score),
    RecipeField("evaluation.length_penalty", \.evaluation.lengthPenalty, .within(0...Decoding.lengthPenaltyLimit)),
    RecipeField("evaluation.guidance", \.evaluation.guidance, .within(0...1)),
    RecipeField("evaluation.temperature", \.evaluation.temperature, .above(0, upTo: Decoding.temperatureLimit)),
  ]

  /// The sections' names, in order.
  static let sections: [String] = all.reduce(into: []) { names, field in
    if let section = field.section, names.last.map({ $0 != section }) ?? true { names.append(String(section)) }
  }

  static func named(_ key: String) -> RecipeField? {
    all.first { $0.key == key }
  }

  static func at(_ path: PartialKeyPath<Recipe>) -> RecipeField? {
    all.first { $0.path == path }
  }
}
