import Testing

/// Whether two lists agree entry by entry to `tolerance` times the larger of 1 and the expectation. Not a number never agrees.
func agree(_ a: [Double], _ b: [Double], tolerance: Double) -> Bool { firstDifference(a, b, tolerance) == nil }

/// Expects that two lists agree; names the first difference, since printing long lists takes minutes.
func expectAgreement(
  _ a: [Double], _ b: [Double], tolerance: Double, sourceLocation: SourceLocation = #_sourceLocation
) {
  let difference = firstDifference(a, b, tolerance)
  #expect(difference == nil, sourceLocation: sourceLocation)
}

func expectAgreement(
  _ a: [Float], _ b: [Double], tolerance: Double, sourceLocation: SourceLocation = #_sourceLocation
) {
  expectAgreement(a.map { Double($0) }, b, tolerance: tolerance, sourceLocation: sourceLocation)
}

private func firstDifference(_ a: [Double], _ b: [Double], _ tolerance: Double) -> String? {
  if a.count != b.count { return "\(a.count) numbers, expected \(b.count)" }
  for (index, (a, b)) in zip(a, b).enumerated() where a != b && !(abs(a - b) <= tolerance * max(1, abs(b))) {
    return "[\(index)] is \(a), expected \(b)"
  }
  return nil
}
