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

  /// The weights of the pieces, relative to the whole trajectory's, span more than a Double can hold.
  @Test(arguments: [(10, 1000), (2, 1500), (1.5, 400)]) func lambdaAboveOneDoesNotOverflow(lambda: Double, m: Int) {
    let d = Self.residuals([m], seed: 5)[0]
    var c = [0.0]
    for residual in d { c.append(c.last! + residual) }
    var (loss, total) = (0.0, 0.0)
    var byEnd = [Double](repeating: 0, count: m + 1)
    for p in 0..<m {
      for q in p + 1...m {
        let weight = pow(lambda, Double(q - p - m))
        let change = c[q] - c[p]
        loss += weight * change * change
        total += weight
        byEnd[q] += 2 * weight * change
        byEnd[p] -= 2 * weight * change
      }
    }
    let slopes = (1...m).map { byEnd[$0...].reduce(0, +) / total }
    let (losses, gradients) = BalanceLoss.subTrajectory(lambda: lambda).evaluate([d])
    #expect(abs(losses[0] - loss / total) < 1e-10 * loss / total)
    expectAgreement(gradients[0], slopes, tolerance: 1e-9)
  }

  /// The sums as they are without any scale: what is not scaled has the same bits as if there were none.
  @Test(arguments: [0, 0.5, 0.9, 1]) func lambdaUpToOneIsNotScaled(lambda: Double) {
    for d in Self.residuals(Self.lengths, seed: 3) {
      var c = [0.0]
      for residual in d { c.append(c.last! + residual) }
      var (a, b, squares, loss, total) = (0.0, 0.0, 0.0, 0.0, 0.0)
      for q in 1...d.count {
        a = lambda * a + 1
        b = lambda * b + c[q - 1]
        squares = lambda * squares + c[q - 1] * c[q - 1]
        loss += a * c[q] * c[q] - 2 * b * c[q] + squares
        total += a
      }
      #expect(BalanceLoss.subTrajectory(lambda: lambda).evaluate([d]).losses[0] == loss / total)
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
