import FlowerDist

extension FuzzTarget {
  /// What the verb `score` is asked for, then the scores of a small model.
  static let score = FuzzTarget(
    name: "score",
    seeds: [
      #"{"sequences":[{"tokens":[1,2,3]},{"tokens":[0]}],"top":2}"#,
      #"""
      {"trajectories":{"prompt":[7,8],"terminator":10,"catalogue":[{"tokens":[1,2],"weight":3},{"tokens":[1],"weight":0.5},
      {"tokens":[4,5,6],"weight":1e-3},{"tokens":[1,2],"weight":2}],"items":[0,1,2,3],"scores":[0.1,0.2,0,3]},
      "objective":{"name":"subtb","lambda":0.9,"flow":"terminating","prefix_titles":"exact","support":"vocabulary",
      "granularity":1,"weight":"divide"},"gradients":true}
      """#,
      #"""
      {"trajectories":{"prompts":[[7],[8,9]],"terminator":10,"catalogue":[{"tokens":[1,2],"weight":3},
      {"tokens":[1,3],"weight":1}],"items":[[0,1],[1,1]],"targets":[1,0],"weights":[[1,2],[3,4]]},
      "objective":{"name":"vargrad","theta":0.5,"sft_support":"catalogue","beta":1.5,"gamma":0.5,"c":1}}
      """#,
    ].map { FuzzInput("input.json", $0) },
    mutate: { seed, donor, random in
      FuzzInput("input.json", JSONMutation.apply(to: seed["input.json"], donor: donor["input.json"], &random))
    },
    read: { directory in
      let request = try ScoreRequest(
        contentsOf: "\(directory)/input.json", vocabularySize: SampleModel.configuration.vocabularySize)
      let sizes =
        (request.sequences ?? []).map(\.count)
        + (request.trajectories?.prompts ?? []).map { $0.tokens.count + $0.leaves.count }
      // Attention is quadratic, an answer longer than the request, and it is the reading that is under attack.
      guard sizes.reduce(0, +) <= 1000 else { return }
      let transformer = Transformer(SampleModel.configuration)
      transformer.initialize(seed: 1, std: 0.1)
      // A loss need not be finite.
      let result = try? Scorer(LanguageModel(transformer)).score(request)
      _ = result?.json.serialized()
    })
}
