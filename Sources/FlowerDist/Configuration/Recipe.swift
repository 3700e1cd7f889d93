/// One training run as plain values: what a recipe file says, with every default filled in.
///
/// Keys in the file are these names in snake case, nested as here. Ranges are checked by the reader, which reports
/// every problem at once with its line and column.
public struct Recipe: Equatable, Sendable {
  /// The run's name under `runs/`; the recipe file's name without its ending unless set.
  public var name: String = ""
  /// Where runs are written.
  public var runs: String = "runs"
  public var model = Model()
  public var lora = LoRA()
  public var data = Data()
  public var prompt = Prompt()
  public var tokenizer = Tokenizer()
  public var objective = Objective()
  public var reward = Reward()
  public var trajectories = Trajectories()
  public var replay = Replay()
  public var optimizer = Optimizer()
  public var training = Training()
  public var communication = Communication()
  public var validation = Validation()
  public var checkpoint = Checkpoint()
  public var evaluation = Evaluation()

  public init() {}

  /// Which model is trained: a directory to start from, or the shape of one made from scratch.
  public struct Model: Equatable, Sendable {
    public enum Architecture: String, CaseIterable, Sendable { case qwen2, qwen3, llama }
    /// A Hugging Face model directory to start from; `nil` starts from random weights of the shape below.
    public var path: String? = nil
    public var architecture = Architecture.qwen2
    public var hiddenSize = 128
    public var layers = 3
    public var heads = 4
    public var kvHeads = 2
    /// Width of one attention head; `nil` is `hiddenSize / heads`.
    public var headDim: Int? = nil
    public var intermediateSize = 344
    public var tieEmbeddings = true
    public var ropeTheta = 10_000.0
    public var rmsNormEps = 1e-6
    /// Standard deviation of the initial weights.
    public var initialStd = 0.02
  }

  /// Low-rank adapters, which are trained in place of the model's weights.
  public struct LoRA: Equatable, Sendable {
    /// Width of the adapters; 0 trains the weights themselves.
    public var rank = 0
    /// What the adapters add is multiplied by `alpha / rank`.
    public var alpha = 16.0
    /// Modules of every layer that have one.
    public var targets = ModuleSet(Module.allCases)
  }

  /// Where the examples come from.
  public struct Data: Equatable, Sendable {
    /// A dataset directory (made by `prepare`), or one with only `title_counts.jsonl`; `nil` uses `generated`.
    public var path: String? = nil
    /// Number of titles of a catalogue that the program makes up itself; used when `path` is absent. 0: none.
    public var generated = 0
    /// Number of training examples of the generated data; 0 makes a distribution without histories.
    public var generatedExamples = 0
  }

  public struct Prompt: Equatable, Sendable {
    /// `{history}` is replaced by the titles, oldest first.
    public var template = "History: {history}\nNext:"
    public var separator = " | "
    /// Number of most recent items of the history that are shown.
    public var historyLength = 10
    /// A longer prompt drops its oldest items.
    public var maxTokens = 512
  }

  public struct Tokenizer: Equatable, Sendable {
    public enum Kind: String, CaseIterable, Sendable { case bytes, bpe, items }
    /// A `tokenizer.json` or tiktoken rank file, or `nil` to make one: `bytes` (256 tokens), `bpe` trained on catalogue and
    /// prompts, or `items`, one token per distinct title.
    public var path: String? = nil
    public var kind = Kind.bpe
    public var vocabularySize = 2048
    /// The text of the one token that ends a title.
    public var terminator = "\n"
  }

  public struct Objective: Equatable, Sendable {
    public enum Name: String, CaseIterable, Sendable {
      case sft, subtb, tb, db, vargrad, soft, dpo
      case sDPO = "s_dpo"
      case dmpo
      case rosePO = "rose_po"
      case ppo, grpo

      /// Whether it compares a chosen title with rejected ones.
      public var isPreference: Bool { [.dpo, .sDPO, .dmpo, .rosePO].contains(self) }
      /// Whether it pays for titles that the policy samples.
      public var isPolicyGradient: Bool { [.ppo, .grpo].contains(self) }
      /// Whether the policy is held to a frozen model.
      public var hasReference: Bool { isPreference || isPolicyGradient }
    }
    public enum Flow: String, CaseIterable, Sendable { case tree, terminating }
    /// What the terminating flow takes for a title that ends inside another: its reward, or, as published, none.
    public enum PrefixTitles: String, CaseIterable, Sendable { case exact, published }
    public enum Support: String, CaseIterable, Sendable { case catalogue, vocabulary }
    /// What a target of SFT counts: the same as any other, or by its popularity group (``Catalogue/groupWeights``).
    public enum SFTWeight: String, CaseIterable, Sendable { case equal, ifairlrs }
    /// The term beside SFT; `sft` means none (θ is then ignored).
    public var name = Name.subtb
    /// λ of SubTB.
    public var lambda = 1.0
    public var flow = Flow.tree
    /// For `terminating` only.
    public var prefixTitles = PrefixTitles.exact
    /// Tokens between the states whose balance is asked for.
    public var granularity = 1
    /// Over which tokens the flow term's policy is normalised.
    public var support = Support.catalogue
    /// Over which tokens SFT's policy is normalised.
    public var sftSupport = Support.vocabulary
    public var sftWeight = SFTWeight.equal
    /// Weight of SFT in the loss `θ · SFT + (1-θ) · flow`.
    public var theta = 0.0
    /// How closely the policy is held to its reference by `dpo` to `grpo`: β of their papers.
    public var beta = 0.3
    /// Rejected titles per prompt; `nil`: as published, 3 of `s_dpo` and `dmpo`, 1 of `dpo` and `rose_po`.
    public var rejected: Int? = nil
    /// ε of `dpo` and `rose_po`: the probability that a pair is the wrong way round.
    public var labelSmoothing = 0.0
    /// The frozen model of `dpo` to `grpo`: a model directory, a checkpoint or a run. `nil`: the model without its adapters,
    /// else the one at `model.path`.
    public var reference: String? = nil
  }

  public struct Reward: Equatable, Sendable {
    public enum Weight: String, CaseIterable, Sendable {
      case popularity, uniform, power, divide
      case addLog = "add_log"
      case file

      /// Whether it needs a preference score.
      public var isPersonal: Bool { [.power, .divide, .addLog].contains(self) }
    }
    /// `tree` sums leaf weights up the tree; `published` keeps `divide` and `add_log` as the published code applies them,
    /// to every token of a trajectory by the score of the item that it ends in.
    public enum FlowRule: String, CaseIterable, Sendable { case tree, published }
    public var weight = Weight.popularity
    public var flowRule = FlowRule.tree
    /// Titles and their weights for `file`, in the form of `title_counts.jsonl`.
    public var file: String? = nil
    /// Added once to every leaf's training count.
    public var smoothing = 1.0
    /// β of `power`: sharpness of the preference score.
    public var beta = 1.5
    /// γ of `power`: penalty on popularity.
    public var gamma = 0.5
    /// c of `add_log`: strength of the preference score.
    public var c = 1.0

    /// The preference score p(u, i) of personal weights. `cooccurrence`: what followed the user's items in training.
    /// `model`: a model of ours, on the fly. `file`: computed elsewhere.
    public enum Score: String, CaseIterable, Sendable {
      case cooccurrence, popularity, model, file

      /// Whether it comes from somewhere else than the dataset.
      public var hasPath: Bool { self == .model || self == .file }
    }
    /// What a file's numbers are: in proportion to probabilities, or logits, of which the softmax is taken.
    public enum ScoreValues: String, CaseIterable, Sendable { case probabilities, logits }
    public var score = Score.cooccurrence
    /// Of `model`: a model directory, a checkpoint or a run; of `file`: `.npy`, safetensors, or a directory of `.npy`.
    public var scorePath: String? = nil
    /// Of `file`.
    public var scoreValues = ScoreValues.probabilities
  }

  public struct Trajectories: Equatable, Sendable {
    /// `weight`: by leaf weight (personal if the reward is). `uniform`: over leaves. `length`: by number of tokens.
    /// `targets`: other next items of the batch. `policy`: sampled from the model over the catalogue. `replay`: from the
    /// replay buffer.
    public enum Source: String, CaseIterable, Sendable { case weight, uniform, length, targets, policy, replay }
    public var source = Mixture.coin
    /// K, trajectories per prompt.
    public var count = 8
    /// Temperature of `policy`.
    public var temperature = 1.0
    /// Ranks that only write the titles of `policy`, for the step after the one that the others compute; 0: every rank
    /// writes its own, with the weights of the step.
    public var samplers = 0
  }

  /// The replay buffer, for `replay` among the sources of trajectories.
  public struct Replay: Equatable, Sendable {
    /// Which trajectories are put into it: those of the policy, or all.
    public enum Feed: String, CaseIterable, Sendable { case policy, all }
    public var feed = Feed.all
    /// Most titles, of all prompts together.
    public var capacity = 10_000
    /// Steps after its last visit in which a title may be drawn.
    public var staleness = 1000
    /// Titles are drawn in proportion to this power of their residual; 0: evenly.
    public var priorityExponent = 1.0
  }

  public struct Optimizer: Equatable, Sendable {
    public enum Schedule: String, CaseIterable, Sendable { case constant, linear, cosine }
    public var learningRate = 1e-3
    public var schedule = Schedule.cosine
    public var warmupSteps = 20
    /// The rate at the last step as a fraction of `learningRate`.
    public var finalFraction = 0.0
    public var weightDecay = 0.01
    public var beta1 = 0.9
    public var beta2 = 0.95
    public var epsilon = 1e-8
    /// Largest global gradient norm; 0 does not clip.
    public var clipNorm = 1.0
  }

  public struct Training: Equatable, Sendable {
    public enum Batching: String, CaseIterable, Sendable {
      /// Every example has a prompt of its own.
      case window
      /// Examples of a user that follow each other share one prompt, from which their titles branch.
      case user
    }
    /// Examples per step over all ranks.
    public var globalBatch = 32
    /// V, a power of two that divides `globalBatch`; at most V ranks can work.
    public var grains = 8
    public var batching = Batching.window
    /// Most examples that share a prompt, where `batching` is `user`.
    public var userTargets = 8
    /// Most examples of a grain computed at once; 0: the whole grain.
    public var microBatch = 0
    /// Keep only each layer's input for the backward pass and compute the layer again: less memory, a third more work.
    public var activationCheckpointing = false
    /// How the matrices of the model and of its reference are multiplied, also when the run is evaluated.
    public var arithmetic = Arithmetic.fma
    /// Number of steps; `nil` follows from `epochs`.
    public var steps: Int? = nil
    public var epochs: Int? = nil
    public var seed: UInt64 = 1
    /// A progress line every n steps (every step is in metrics.jsonl).
    public var logEvery = 10
    /// Steps in a row without an update, because loss or gradient is not finite, that end the run.
    public var nonfiniteLimit = 3
    /// Seconds in which nothing happens on any rank that end the run; 0: never.
    public var deadline = 600
    /// Compare the weights of the ranks every n steps, besides before each checkpoint; 0: only then.
    public var checkWeightsEvery = 100
  }

  /// What the ranks send to each other.
  public struct Communication: Equatable, Sendable {
    /// How gradients travel: as they are, or rounded to bfloat16, half as many bytes. Rounded ones give other bits on other
    /// numbers of ranks.
    public enum Compression: String, CaseIterable, Sendable { case none, bf16 }
    /// Add gradients over the ranks while those of earlier layers are still computed and, without samplers, bring new weights
    /// to them while the first layers of the next step are computed.
    public var overlap = true
    public var compress = Compression.none
  }

  public struct Validation: Equatable, Sendable {
    public enum Metric: String, CaseIterable, Sendable {
      case loss
      case ndcgAt10 = "ndcg@10"
      case hrAt10 = "hr@10"
      case totalVariation = "total_variation"
    }
    /// Every n steps; 0: never.
    public var every = 0
    public var metric = Metric.loss
    /// Number of validation examples, fixed.
    public var examples = 256
    /// Stop after this many validations without a new best; 0: never.
    public var patience = 0
  }

  public struct Checkpoint: Equatable, Sendable {
    /// Every n steps and at the end; 0: only at the end.
    public var every = 200
    /// How many of the newest are kept, at least 2 (the best is kept besides).
    public var keep = 2
    public var keepBest = true
    /// Write from a copy in memory while training goes on.
    public var background = true
  }

  public struct Evaluation: Equatable, Sendable {
    public var beam = 20
    public var excludeHistory = false
    /// Number of test examples, the first n of a fixed permutation; 0: all.
    public var examples = 0
    /// What follows says how lists are made (``Decoding``); validation ranks by log π.
    public var score = Decoding.Score.policy
    public var lengthPenalty = 0.0
    public var guidance = 1.0
    public var temperature = 1.0

    public init() {}

    public var decoding: Decoding {
      Decoding(score: score, lengthPenalty: lengthPenalty, guidance: guidance, temperature: temperature)
    }
  }
}
