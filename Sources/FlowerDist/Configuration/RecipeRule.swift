/// A condition on several fields together, checked when each of them is right by itself.
struct RecipeRule: Sendable {
  /// The first of these that the recipe sets is where the problem is shown.
  let fields: [PartialKeyPath<Recipe> & Sendable]
  /// Said unless the condition holds.
  let message: String
  let holds: @Sendable (Recipe) -> Bool

  init(
    _ fields: (PartialKeyPath<Recipe> & Sendable)..., unless message: String,
    holds: @escaping @Sendable (Recipe) -> Bool
  ) {
    self.fields = fields
    self.message = message
    self.holds = holds
  }

  static let all: [RecipeRule] =
    model + lora + data + items + objective + trajectories + preference + reference + training

  private static let model: [RecipeRule] = [
    RecipeRule(
      \.model.kvHeads, \.model.heads, \.model.path, unless: "model.kv_heads must divide model.heads"
    ) { $0.model.path != nil || $0.model.heads.isMultiple(of: $0.model.kvHeads) },
    RecipeRule(
      \.model.heads, \.model.hiddenSize, \.model.headDim, \.model.path,
      unless: "model.heads must divide model.hidden_size unless model.head_dim is set"
    ) { $0.model.path != nil || $0.model.headDim != nil || $0.model.hiddenSize.isMultiple(of: $0.model.heads) },
    RecipeRule(
      \.model.headDim, \.model.heads, \.model.hiddenSize, \.model.path,
      unless: "the width of a head must be even: rotary positions turn pairs of its numbers"
    ) { $0.model.path != nil || ($0.model.headDim ?? $0.model.hiddenSize / $0.model.heads).isMultiple(of: 2) },
    RecipeRule(
      \.tokenizer.terminator, \.tokenizer.kind, \.tokenizer.path,
      unless: "tokenizer.terminator must be one token, which is one byte with tokenizer.kind bytes"
    ) { $0.tokenizer.path != nil || $0.tokenizer.kind != .bytes || $0.tokenizer.terminator.utf8.count == 1 },
  ]

  private static let lora: [RecipeRule] = [
    RecipeRule(
      \.lora.rank, \.model.path, unless: "lora.rank needs model.path, the model whose weights stay as they are"
    ) { $0.lora.rank == 0 || $0.model.path != nil }
  ]

  private static let data: [RecipeRule] = [
    RecipeRule(
      \.data.path, \.data.generated,
      unless: "set exactly one of data.path and data.generated (null and 0 unset them)"
    ) { ($0.data.path != nil) != ($0.data.generated > 0) },
    RecipeRule(
      \.data.generatedExamples, \.data.generated,
      unless: "data.generated_examples needs data.generated, the number of titles"
    ) { $0.data.generatedExamples == 0 || $0.data.generated > 0 },
    RecipeRule(
      \.prompt.template, unless: "prompt.template must contain {history} once, not several times"
    ) { occurrences(of: "{history}", in: $0.prompt.template) <= 1 },
    RecipeRule(
      \.prompt.template, \.data.generatedExamples,
      unless: "prompt.template must contain {history} because the examples have histories"
    ) { $0.data.generatedExamples == 0 || occurrences(of: "{history}", in: $0.prompt.template) > 0 },
    RecipeRule(
      \.validation.metric, \.validation.every, \.data.generated, \.data.generatedExamples,
      unless: "ndcg@10 and hr@10 need examples with histories; data.generated_examples makes some"
    ) {
      $0.validation.every == 0 || !$0.generatesDistribution || [.loss, .totalVariation].contains($0.validation.metric)
    },
  ]

  /// What follows from titles that are one token each: a prompt is a line for each title, and after a title comes the next
  /// one in a prompt but nothing in an answer, so its end is no choice that could be learned.
  private static let items: [RecipeRule] = [
    RecipeRule(
      \.tokenizer.terminator, \.tokenizer.kind,
      unless: "tokenizer.kind items needs the default tokenizer.terminator \"\\n\""
    ) { !$0.hasItemTokens || $0.tokenizer.terminator == Tokenizer.itemSeparator },
    RecipeRule(
      \.prompt.template, \.prompt.separator, \.tokenizer.kind,
      unless: "tokenizer.kind items reads titles alone: prompt.template must be \"{history}\" and prompt.separator"
        + " \"\\n\""
    ) {
      !$0.hasItemTokens
        || $0.prompt.template == PromptTemplate.placeholder && $0.prompt.separator == Tokenizer.itemSeparator
    },
    RecipeRule(
      \.objective.support, \.objective.sftSupport, \.tokenizer.kind,
      unless: "tokenizer.kind items needs objective.support and objective.sft_support catalogue: the end of a title is"
        + " no choice"
    ) { !$0.hasItemTokens || $0.objective.support == .catalogue && $0.objective.sftSupport == .catalogue },
  ]

  private static let preference: [RecipeRule] = [
    RecipeRule(
      \.reward.scorePath, \.reward.score,
      unless: "reward.score model and file need reward.score_path, and no other takes one"
    ) { $0.reward.score.hasPath == ($0.reward.scorePath != nil) }
  ]

  /// What holds for the objective of the verb `score` too, which has no other keys of these than the objective's.
  static let objective: [RecipeRule] = [
    RecipeRule(
      \.objective.flow, \.objective.support,
      unless: "objective.flow terminating needs objective.support vocabulary"
    ) { $0.objective.flow != .terminating || $0.objective.support == .vocabulary },
    RecipeRule(
      \.objective.granularity, \.objective.name,
      unless: "objective.name soft compares single tokens: objective.granularity must be 1"
    ) { $0.objective.granularity == 1 || $0.objective.name != .soft },
    RecipeRule(
      \.reward.flowRule, \.reward.weight,
      unless: "flow_rule published is for weight divide and add_log"
    ) { $0.reward.flowRule == .tree || [.divide, .addLog].contains($0.reward.weight) },
    RecipeRule(
      \.reward.flowRule, \.objective.name,
      unless: "objective.name soft asks for the rewards of a state: flow_rule must be tree"
    ) { $0.reward.flowRule == .tree || $0.objective.name != .soft },
  ]

  private static let trajectories: [RecipeRule] = [
    RecipeRule(
      \.trajectories.count, \.objective.name,
      unless: "vargrad compares the trajectories of a prompt: trajectories.count must be at least 2"
    ) { $0.objective.name != .vargrad || $0.trajectories.count >= 2 },
    RecipeRule(
      \.trajectories.source, \.reward.smoothing, \.objective.name,
      unless: "trajectories.source policy and targets can reach every title, so reward.smoothing must be above 0"
    ) {
      $0.objective.name == .sft || $0.reward.smoothing > 0
        || !$0.trajectories.source.uses(.policy) && !$0.trajectories.source.uses(.targets)
    },
    RecipeRule(
      \.trajectories.samplers, \.trajectories.source, \.objective.name,
      unless: "trajectories.samplers write what a balance objective draws from the policy: trajectories.source must have a"
        + " share of policy, and objective.name be one of subtb, tb, db, vargrad and soft"
    ) {
      let name = $0.objective.name
      return $0.trajectories.samplers == 0
        || $0.trajectories.source.uses(.policy) && name != .sft && !name.hasReference
    },
    RecipeRule(
      \.trajectories.source,
      unless: "trajectories.source must have, at every step, a share above 0 of another source than replay"
    ) { $0.trajectories.source.alwaysDraws },
    RecipeRule(
      \.objective.prefixTitles, \.objective.flow,
      unless: "objective.prefix_titles published needs objective.flow terminating: other flows have no such titles"
    ) { $0.objective.prefixTitles == .exact || $0.objective.flow == .terminating },
    RecipeRule(
      \.replay.feed, \.trajectories.source,
      unless: "replay.feed policy remembers what the policy wrote: trajectories.source must have a share of policy"
    ) { $0.replay.feed == .all || !$0.replays || $0.trajectories.source.uses(.policy) },
    RecipeRule(
      \.objective.sftWeight, \.objective.theta, \.objective.name,
      unless: "objective.sft_weight weights the targets of SFT: objective.theta must be above 0"
    ) { $0.objective.sftWeight == Recipe().objective.sftWeight || $0.objective.name == .sft || $0.objective.theta > 0 },
    RecipeRule(
      \.trajectories.source,
      unless: "trajectories.source: the shares beside the rest must not add up to more than 1"
    ) { $0.trajectories.source.leavesARest },
    RecipeRule(
      \.trajectories.source, \.training.globalBatch,
      unless: "trajectories.source targets are those of other examples: training.global_batch must be at least 2"
    ) { !$0.trajectories.source.uses(.targets) || $0.training.globalBatch >= 2 },
    RecipeRule(
      \.trajectories.source, \.data.generated, \.data.generatedExamples,
      unless: "trajectories.source targets needs examples with histories; data.generated_examples makes some"
    ) { !$0.trajectories.source.uses(.targets) || !$0.generatesDistribution },
    RecipeRule(
      \.reward.file, \.reward.weight, unless: "reward.weight file and reward.file need each other"
    ) { ($0.reward.weight == .file) == ($0.reward.file != nil) },
  ]

  private static let reference: [RecipeRule] = [
    RecipeRule(
      \.objective.name, \.objective.reference, \.model.path,
      unless: "objective.name dpo, s_dpo, dmpo, rose_po, ppo and grpo need objective.reference or model.path, the model"
        + " that the policy is held to"
    ) { !$0.objective.name.hasReference || $0.objective.reference != nil || $0.model.path != nil },
    RecipeRule(
      \.objective.labelSmoothing, \.objective.name,
      unless: "objective.label_smoothing is for objective.name dpo and rose_po, which compare pairs"
    ) { $0.objective.labelSmoothing == 0 || [.dpo, .rosePO].contains($0.objective.name) },
    RecipeRule(
      \.trajectories.source, \.trajectories.temperature, \.objective.name,
      unless: "objective.name ppo and grpo learn from what the policy writes: trajectories.source must be policy and"
        + " trajectories.temperature 1"
    ) {
      !$0.objective.name.isPolicyGradient
        || $0.trajectories.source == .init(.policy) && $0.trajectories.temperature == 1
    },
    RecipeRule(
      \.objective.support, \.objective.name,
      unless: "objective.name ppo and grpo sample from the catalogue, so objective.support must be catalogue"
    ) { !$0.objective.name.isPolicyGradient || $0.objective.support == .catalogue },
    RecipeRule(
      \.objective.reference, \.objective.name,
      unless: "objective.reference is for objective.name dpo, s_dpo, dmpo, rose_po, ppo and grpo"
    ) { $0.objective.reference == nil || $0.objective.name.hasReference },
    RecipeRule(
      \.objective.rejected, \.objective.name,
      unless: "objective.rejected is for objective.name dpo, s_dpo, dmpo and rose_po"
    ) { $0.objective.rejected == nil || $0.objective.name.isPreference },
    RecipeRule(
      \.objective.flow, \.objective.granularity, \.objective.name,
      unless: "objective.flow terminating and objective.granularity are for objectives that balance flows"
    ) {
      !$0.objective.name.hasReference || $0.objective.flow == .tree && $0.objective.granularity == 1
    },
    RecipeRule(
      \.trajectories.count, \.objective.name,
      unless: "ppo and grpo compare the titles of a prompt: trajectories.count must be at least 2"
    ) { !$0.objective.name.isPolicyGradient || $0.trajectories.count >= 2 },
  ]

  private static let training: [RecipeRule] = [
    RecipeRule(
      \.training.globalBatch, \.training.grains, unless: "training.global_batch must be a multiple of training.grains"
    ) { $0.training.globalBatch.isMultiple(of: $0.training.grains) },
    RecipeRule(
      \.training.batching, \.data.generated, \.data.generatedExamples,
      unless: "training.batching user needs examples with histories; data.generated_examples makes some"
    ) { $0.training.batching != .user || !$0.generatesDistribution },
    RecipeRule(
      \.training.userTargets, \.prompt.historyLength,
      unless: "training.user_targets must not be above prompt.history_length: the longest prompt shows an item for each"
    ) { $0.training.batching != .user || $0.training.userTargets <= $0.prompt.historyLength },
    RecipeRule(
      \.training.epochs, \.training.steps,
      unless: "set exactly one of training.steps and training.epochs (null unsets one)"
    ) { ($0.training.steps != nil) != ($0.training.epochs != nil) },
    RecipeRule(
      \.training.epochs, \.data.generated, \.data.generatedExamples,
      unless: "training.epochs needs examples with histories; without them set training.steps"
    ) { $0.training.epochs == nil || !$0.generatesDistribution },
    RecipeRule(
      \.validation.patience, \.validation.every, unless: "validation.patience needs validation.every above 0"
    ) { $0.validation.patience == 0 || $0.validation.every > 0 },
  ]
}

extension Recipe {
  /// Whether the program makes up titles and weights only. Of data in files the reader knows nothing.
  fileprivate var generatesDistribution: Bool { data.generated > 0 && data.generatedExamples == 0 }

  fileprivate var hasItemTokens: Bool { tokenizer.path == nil && tokenizer.kind == .items }
}

/// How often `part` stands in `text`, without overlaps.
private func occurrences(of part: String, in text: String) -> Int {
  text.split(separator: part, omittingEmptySubsequences: false).count - 1
}
