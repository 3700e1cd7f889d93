import FlowerDist

extension FuzzTarget {
  /// `flower.json`.
  static let metadata = FuzzTarget(
    name: "flower",
    seeds: [FuzzInput(FlowerMetadata.fileName, SampleModel.metadata)],
    mutate: { seed, donor, random in
      FuzzInput(
        FlowerMetadata.fileName,
        JSONMutation.apply(to: seed[FlowerMetadata.fileName], donor: donor[FlowerMetadata.fileName], &random))
    },
    read: { directory in _ = try FlowerMetadata(directory: directory) })
}
