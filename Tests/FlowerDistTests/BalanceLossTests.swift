import Foundation
import Testing

@testable import FlowerDist

@Suite struct BalanceLossTests {
  static let lengths = [1, 2, 3, 7, 40]

  static func residuals(_ lengths: [Int], seed: Int = 1) -> [[Double]] {
    var random = SeededRandom(seed)
    return lengths.map { random.doubles($0, in: -3...3) }
  }

  /// SubTB from its definition: every piece p..<q of the trajectory, weighted by λ^(its length - 1).
  static func pieces(_ d: [Double], _ lambda: Double) -> Double {
    var (loss, total) = (0.0, 0.0)
    for p in 0..<d.count {
      for q in p + 1...d.count {
        let weight = pow(lambda, Double(q - p - 1))
        let change = d[p..<q].reduce(0, +)
        loss += weight * change * change
        total += weight
      }
    }
    return loss / total
  }

  /// Central differences of a loss by each residual; exact for squares but for rounding.
  static func slopes(_ d: [Double], _ loss: ([Double]) -> Double) -> [Double] {
    d.indices.map { index in
      let step = 1e-4
      var (up, down) = (d, d)
      up[index] += step
      down[index] -= step
      return (loss(up) - loss(down)) / (2 * step)
    }
  }

  @Test(arguments: [0, 0.5, 0.9, 1, 1.1]) func subTrajectoryIsTheSumOverAllPieces(lambda: Double) {
    let residuals = Self.residuals(Self.lengths)
    let (losses, gradients) = BalanceLoss.subTrajectory(lambda: lambda).evaluate(residuals)
    expectAgreement(losses, residuals.map { Self.pieces($0, lambda) }, tolerance: 1e-12)
    for (d, gradient) in zip(residuals, gradients) {
      expectAgreement(gradient, Self.slopes(d) { Self.pieces($0, lambda) }, tolerance: 1e-8)
    }
  }

  @Test func trajectoryBalanceLooksAtTheEnds() {
    let residuals = Self.residuals(Self.lengths)
    func loss(_ d: [Double]) -> Double { pow(d.reduce(0, +), 2) }
    let (losses, gradients) = BalanceLoss.trajectory.evaluate(residuals)
    expectAgreement(losses, residuals.map(loss), tolerance: 1e-14)
    for (d, gradient) in zip(residuals, gradients) { expectAgreement(gradient, Self.slopes(d, loss), tolerance: 1e-8) }
  }

  @Test func detailedBalanceIsTheMeanOverSteps() {
    let residuals = Self.residuals(Self.lengths)
    func loss(_ d: [Double]) -> Double { d.reduce(0) { $0 + $1 * $1 } / Double(d.count) }
    let (losses, gradients) = BalanceLoss.detailed.evaluate(residuals)
    expectAgreement(losses, residuals.map(loss), tolerance: 1e-14)
    for (d, gradient) in zip(residuals, gradients) { expectAgreement(gradient, Self.slopes(d, loss), tolerance: 1e-8) }
  }

  /// log Z is the mean over the prompt's trajectories and has no gradient.
  @Test func varGradComparesTheTrajectoriesOfAPrompt() {
    let residuals = Self.residuals(Self.lengths)
    let mean = residuals.reduce(0) { $0 + $1.reduce(0, +) } / Double(residuals.count)
    func loss(_ d: [Double]) -> Double { pow(d.reduce(0, +) - mean, 2) }
    let (losses, gradients) = BalanceLoss.logVariance.evaluate(residuals)
    expectAgreement(losses, residuals.map(loss), tolerance: 1e-13)
    for (d, gradient) in zip(residuals, gradients) { expectAgreement(gradient, Self.slopes(d, loss), tolerance: 1e-8) }
    // A constant that all trajectories share is log Z, and costs nothing.
    let shifted = residuals.map { [$0[0] + 5] + $0.dropFirst() }
    expectAgreement(BalanceLoss.logVariance.evaluate(shifted).losses, losses, tolerance: 1e-12)
  }

  /// With one transition there is one piece, so all but VarGrad are the same.
  @Test func aSingleTransition() {
    for loss: BalanceLoss in [.subTrajectory(lambda: 0.9), .subTrajectory(lambda: 0), .trajectory, .detailed] {
      let (losses, gradients) = loss.evaluate([[0.5], [-2]])
      #expect(losses == [0.25, 4] && gradients == [[1], [-4]])
    }
    #expect(BalanceLoss.logVariance.evaluate([[0.5], [-2]]).losses == [1.5625, 1.5625])
  }

  @Test func nothingIsLostWhereNothingIsLeft() {
    for loss: BalanceLoss in [.subTrajectory(lambda: 0.9), .trajectory, .detailed, .logVariance] {
      let (losses, gradients) = loss.evaluate([[0, 0, 0], [0]])
      #expect(losses == [0, 0] && gradients == [[0, 0, 0], [0]])
    }
    #expect(BalanceLoss.trajectory.evaluate([]).losses.isEmpty)
  }
}
