import Foundation
import Testing

@testable import FlowerDist

@Suite struct PreferenceLossTests {
  static let policy = [-3.1, -2.4, -5.7, -4.2]
  static let reference = [-3.6, -2.9, -4.4, -4.9]
  static let logRatios = zip(policy, reference).map(-)

  /// Losses and gradients of PyTorch 2.13 in float64, from the formulas of the authors' trainers:
  /// `-logsigmoid(-logsumexp(beta * (rejected - chosen)))` for S-DPO, and so on; β .3.
  static let golden: [(PreferenceLoss.Form, loss: Double, gradient: [Double])] = [
    (
      .pairwise(labelSmoothing: 0), 0.6253023433023266,
      [-0.13831830838833084, 0.049999999999999996, 0.03681875822638984, 0.051499550161941]
    ),
    (
      .pairwise(labelSmoothing: 0.1), 0.6413023433023266,
      [-0.10831830838833084, 0.04, 0.026818758226389836, 0.04149955016194101]
    ),
    (
      .softmax, 1.2932424492109165,
      [-0.21768609689395818, 0.08231390310604174, 0.047968283181127745, 0.08740391060678872]
    ),
    (
      .mean, 0.6163437730407396,
      [-0.13802553463333028, 0.04600851154444343, 0.04600851154444343, 0.04600851154444343]
    ),
  ]

  @Test func agreesWithPyTorch() {
    for (form, loss, gradient) in Self.golden {
      let result = PreferenceLoss(form, beta: 0.3).evaluate(Self.logRatios)
      #expect(abs(result.loss - loss) < 1e-14, "\(form)")
      expectAgreement(result.gradient, gradient, tolerance: 1e-14)
    }
  }

  @Test(arguments: 1...6) func gradientsAreSlopes(rejected: Int) {
    var random = SeededRandom(rejected)
    let logRatios = random.doubles(rejected + 1, in: -4...4)
    for (form, _, _) in Self.golden {
      let loss = PreferenceLoss(form, beta: 0.8)
      let slopes = BalanceLossTests.slopes(logRatios) { loss.evaluate($0).loss }
      #expect(agree(loss.evaluate(logRatios).gradient, slopes, tolerance: 1e-7), "\(form)")
    }
  }

  @Test func oneRejectedTitleMakesThemDPO() {
    let dpo = PreferenceLoss(.pairwise(labelSmoothing: 0), beta: 0.3).evaluate([0.5, -2])
    for form in [PreferenceLoss.Form.softmax, .mean] {
      let other = PreferenceLoss(form, beta: 0.3).evaluate([0.5, -2])
      #expect(abs(other.loss - dpo.loss) < 1e-15)
      expectAgreement(other.gradient, dpo.gradient, tolerance: 1e-15)
    }
    #expect(abs(dpo.loss - log(1 + exp(-0.75))) < 1e-15)
  }

  /// Where exponentials would overflow, losses are lines.
  @Test(arguments: [1e4, 1e200]) func farAway(distance: Double) {
    for (form, loss, slope) in [
      (PreferenceLoss.Form.pairwise(labelSmoothing: 0), distance, -1), (.softmax, distance + log(2), -1),
      (.mean, distance, -1), (.pairwise(labelSmoothing: 0.25), 0.75 * distance, -0.75),
    ] {
      let wrong = PreferenceLoss(form, beta: 1).evaluate([-distance, 0, 0])
      #expect(abs(wrong.loss - loss) <= 1e-12 * loss)
      expectAgreement(wrong.gradient, [slope, -slope / 2, -slope / 2], tolerance: 1e-12)
    }
    let right = PreferenceLoss(.softmax, beta: 1).evaluate([distance, 0])
    #expect(right.loss == 0 && right.gradient == [0, 0])
  }
}
