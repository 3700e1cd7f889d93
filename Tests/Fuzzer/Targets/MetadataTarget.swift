import FlowerDist

extension FuzzTarget {
  /// `flower.json`, and the weights of titles that may be beside it.
  static let metadata = FuzzTarget(
    name: "flower",
    seeds: [FuzzInput(FlowerMetadata.fileName, SampleModel.metadata), withTitleWeights],
    mutate: { seed, donor, random in
      var input = seed
      if random.chance(1, in: 3), !input[weightsOfTitles].isEmpty {
        mutateObjects(&input[weightsOfTitles], donor: donor[weightsOfTitles], &random)
      } else {
        input[FlowerMetadata.fileName] = JSONMutation.apply(
          to: input[FlowerMetadata.fileName], donor: donor[FlowerMetadata.fileName], &random)
      }
      return input
    },
    read: { directory in _ = try FlowerMetadata(directory: directory) })

  private static let weightsOfTitles = "title_weights.jsonl"

  private static let withTitleWeights: FuzzInput = {
    let metadata = SampleModel.metadata.replacing("\"weight\": \"power\"", with: "\"weight\": \"file\"")
    var input = FuzzInput(FlowerMetadata.fileName, metadata)
    input[weightsOfTitles] = Array("{\"title\":\"One\",\"count\":17}\n{\"title\":\"Two\",\"count\":0.5}\n".utf8)
    return input
  }()
}
