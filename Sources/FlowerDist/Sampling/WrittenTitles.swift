/// Titles that the policy wrote ahead of the step that they are for, K for each example of its batch.
struct WrittenTitles: Equatable {
  /// Steps done before the one that they are for.
  var step: Int
  /// Steps done by the weights that wrote them.
  var weightsStep: Int
  /// By position in the batch and k.
  var leaves: [Int32]

  /// Steps that the weights were behind.
  var age: Int { step - weightsStep }
}
