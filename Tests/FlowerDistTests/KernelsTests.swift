import CVector
import Foundation
import Testing

@testable import FlowerDist

/// The vector kernels against plain loops in double precision, at widths with and without a tail.
@Suite struct KernelsTests {
  static let widths = [1, 5, 8, 10, 16, 20, 27, 64]
  static let rows = 3

  /// Numbers with room behind them that no kernel may touch.
  final class Guarded {
    static let guardCount = 16
    let count: Int
    private var storage: [Float]

    init(_ values: [Float]) {
      count = values.count
      storage = values + [Float](repeating: 123, count: Self.guardCount)
    }

    convenience init(zeros count: Int) { self.init([Float](repeating: 0, count: count)) }

    var values: [Float] { Array(storage.prefix(count)) }
    var isIntact: Bool { storage.suffix(Self.guardCount).allSatisfy { $0 == 123 } }

    func write(_ body: (UnsafeMutablePointer<Float>) -> Void) {
      storage.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    }
  }

  static func random(_ count: Int, seed: Int) -> [Float] {
    var random = SeededRandom(seed)
    return random.floats(count, in: -2...2)
  }

  static func expectEqual(_ result: Guarded, _ expected: [Double], tolerance: Double = 2e-6) {
    expectAgreement(result.values, expected, tolerance: tolerance)
    #expect(result.isIntact)
  }

  @Test(arguments: widths) func rmsNorm(width: Int) {
    let x = Self.random(Self.rows * width, seed: 1)
    let weight = Self.random(width, seed: 2)
    let dy = Self.random(Self.rows * width, seed: 3)
    let before = Self.random(Self.rows * width + width, seed: 4)
    let epsilon = 1e-3
    let out = Guarded(zeros: Self.rows * width)
    let again = Guarded(zeros: Self.rows * width)
    let inverse = Guarded(zeros: Self.rows)
    let dx = Guarded(Array(before.prefix(Self.rows * width)))
    let dWeight = Guarded(Array(before.suffix(width)))
    out.write { out in
      inverse.write {
        Kernels.rmsNorm(
          x, weight: weight, epsilon: Float(epsilon), out: out, inverse: $0, rows: Self.rows, width: width)
      }
    }
    again.write {
      Kernels.rmsNormAgain(x, weight: weight, inverse: inverse.values, out: $0, rows: Self.rows, width: width)
    }
    dx.write { dx in
      dWeight.write {
        Kernels.rmsNormBackward(
          dy, x: x, weight: weight, inverse: inverse.values, dx: dx, dWeight: $0, rows: Self.rows, width: width)
      }
    }

    func norm(_ x: [Double], _ weight: [Double]) -> [Double] {
      (0..<Self.rows).flatMap { row in
        let line = x[row * width..<(row + 1) * width]
        let scale = 1 / (line.reduce(0) { $0 + $1 * $1 } / Double(width) + epsilon).squareRoot()
        return zip(line, weight).map { $0 * scale * $1 }
      }
    }
    let (xd, wd) = (x.map { Double($0) }, weight.map { Double($0) })
    Self.expectEqual(out, norm(xd, wd))
    let same = again.values == out.values
    #expect(same && again.isIntact && inverse.isIntact)
    func loss(_ x: [Double], _ weight: [Double]) -> Double {
      zip(norm(x, weight), dy).reduce(0) { $0 + $1.0 * Double($1.1) }
    }
    let slopesX = BalanceLossTests.slopes(xd) { loss($0, wd) }
    let slopesWeight = BalanceLossTests.slopes(wd) { loss(xd, $0) }
    Self.expectEqual(dx, zip(before, slopesX).map { Double($0) + $1 }, tolerance: 2e-5)
    Self.expectEqual(dWeight, zip(before.suffix(width), slopesWeight).map { Double($0) + $1 }, tolerance: 2e-5)
  }

  /// Heads in rows that are wider than they are; half a head may end inside a vector.
  @Test(arguments: [2, 6, 10, 16, 20, 32]) func rope(headDim: Int) {
    let heads = 2
    let stride = heads * headDim + 3
    let positions: [Int32] = [0, 4, 2]
    let half = headDim / 2
    let angles = (0..<5 * half).map { Double($0 / half) * pow(100, -2 * Double($0 % half) / Double(headDim)) }
    let cosine = angles.map { Float(cos($0)) }
    let sine = angles.map { Float(sin($0)) }
    let x = Self.random(Self.rows * stride, seed: 5)
    var expected = x.map { Double($0) }
    for row in 0..<Self.rows {
      for head in 0..<heads {
        for i in 0..<half {
          let angle = angles[Int(positions[row]) * half + i]
          let low = row * stride + head * headDim + i
          // A turn of the complex number whose parts are half a head apart.
          let (a, b) = (Double(x[low]), Double(x[low + half]))
          expected[low] = a * cos(angle) - b * sin(angle)
          expected[low + half] = a * sin(angle) + b * cos(angle)
        }
      }
    }
    let turned = Guarded(x)
    func rotate(inverse: Bool) {
      turned.write {
        Kernels.rope(
          $0, stride: stride, heads: heads, headDim: headDim, positions: positions, cosine: cosine, sine: sine,
          rows: Self.rows, inverse: inverse)
      }
    }
    rotate(inverse: false)
    Self.expectEqual(turned, expected)
    rotate(inverse: true)
    Self.expectEqual(turned, x.map { Double($0) })
  }

  @Test(arguments: widths) func siluGate(width: Int) {
    // Some gates are far out, where e^-g is zero or infinite.
    var gateUp = Self.random(Self.rows * 2 * width, seed: 6).map { 4 * $0 }
    gateUp[0] = 200
    gateUp[2 * width] = -200
    let d = Self.random(Self.rows * width, seed: 7)
    func gate(_ x: [Double]) -> [Double] {
      (0..<Self.rows * width).map { index in
        let (row, i) = (index / width, index % width)
        let g = x[row * 2 * width + i]
        return g / (1 + exp(-g)) * x[row * 2 * width + width + i]
      }
    }
    let expected = gate(gateUp.map { Double($0) })
    let out = Guarded(zeros: Self.rows * width)
    out.write { Kernels.siluGate(gateUp, out: $0, rows: Self.rows, width: width) }
    Self.expectEqual(out, expected)
    let gradient = Guarded(gateUp)
    let activation = Guarded(zeros: Self.rows * width)
    gradient.write { gradient in
      activation.write {
        Kernels.siluGateBackward(d, gateUp: gradient, activation: $0, rows: Self.rows, width: width)
      }
    }
    Self.expectEqual(activation, expected)
    let slopes = BalanceLossTests.slopes(gateUp.map { Double($0) }) { x in
      zip(gate(x), d).reduce(0) { $0 + $1.0 * Double($1.1) }
    }
    Self.expectEqual(gradient, slopes, tolerance: 2e-5)
  }

  @Test(arguments: widths) func rowsAndSums(width: Int) {
    let x = Self.random(Self.rows * width, seed: 8)
    let y = Self.random(Self.rows * width, seed: 9)
    let bias = Self.random(width, seed: 10)
    let xd = x.map { Double($0) }

    let biased = Guarded(x)
    biased.write { Kernels.addBias(bias, to: $0, rows: Self.rows, width: width) }
    Self.expectEqual(biased, xd.indices.map { xd[$0] + Double(bias[$0 % width]) })
    let sums = Guarded(bias)
    sums.write { Kernels.addColumnSums(x, to: $0, rows: Self.rows, width: width) }
    Self.expectEqual(sums, (0..<width).map { i in (0..<Self.rows).reduce(Double(bias[i])) { $0 + xd[$1 * width + i] } })
    let added = Guarded(y)
    added.write { axpy(0.7, x, $0, x.count) }
    Self.expectEqual(added, zip(xd, y).map { 0.7 * $0 + Double($1) })
    let scaled = Guarded(x)
    scaled.write { Kernels.scale($0, by: -3, count: x.count) }
    Self.expectEqual(scaled, xd.map { -3 * $0 })

    let product = zip(xd, y).reduce(0) { $0 + $1.0 * Double($1.1) }
    #expect(abs(Double(dot(x, y, x.count)) - product) < 1e-6 * Double(x.count))
    let squares = xd.reduce(0) { $0 + $1 * $1 }
    #expect(abs(sumOfSquares(x, x.count) - squares) < 1e-12 * squares)
    #expect(Kernels.maximum(x, count: width) == x[..<width].max())
    #expect(Kernels.maximum(x, count: 0) == -.infinity)
    let exponentials = Guarded(x)
    var sum: Float = 0
    exponentials.write { sum = Kernels.expRow($0, maximum: 1.5, count: x.count) }
    Self.expectEqual(exponentials, xd.map { exp($0 - 1.5) })
    #expect(abs(Double(sum) / xd.reduce(0) { $0 + exp($1 - 1.5) } - 1) < 1e-6)

    let (probabilities, slopes) = (Guarded(x), Guarded(y))
    probabilities.write { p in
      slopes.write { flower_probabilities_backward(p, $0, 1.5, 0.3, 0.25, x.count) }
    }
    Self.expectEqual(probabilities, xd.map { exp($0 - 1.5) })
    Self.expectEqual(slopes, zip(xd, y).map { exp($0 - 1.5) * (Double($1) - 0.3) * 0.25 })
  }
}

@Suite struct ExponentialTests {
  private func exponentials(_ x: [Float]) -> [Float] {
    var x = x
    _ = x.withUnsafeMutableBufferPointer { Kernels.expRow($0.baseAddress!, maximum: 0, count: $0.count) }
    return x
  }

  private func exponential(_ x: Float) -> Float { exponentials([Float](repeating: x, count: 16))[5] }

  @Test func isWithinTwoUnitsInTheLastPlace() {
    // Small steps over the whole range, and the neighbourhood of zero.
    var worst = 0.0
    var x: Float = -87.3
    while x <= 88.3 {
      let v = [x, x + 1e-5, x + 2e-5, x + 3e-5, x * 1e-3, x * 1e-5, x * 1e-9, -x]
      for (value, result) in zip(v, exponentials(v)) where value >= -87.3 && value <= 88.3 {
        let expected = exp(Double(value))
        worst = max(worst, abs(Double(result) - expected) / Double(Float(expected).ulp))
      }
      x += 0.000_731
    }
    #expect(worst <= 2, "\(worst) ulp")
  }

  @Test func ends() {
    #expect(exponential(0) == 1 && exponential(-0.0) == 1)
    for x: Float in [-87.4, -88, -1000, -.greatestFiniteMagnitude, -.infinity] { #expect(exponential(x) == 0) }
    for x: Float in [88.4, 89, 1000, .greatestFiniteMagnitude, .infinity] { #expect(exponential(x) == .infinity) }
    #expect(exponential(.nan).isNaN && exponentials([.nan])[0].isNaN && exponential(-.nan).isNaN)
    #expect(exponentials([.nan, 0, -.infinity, 1])[1] == 1, "lanes do not mix")
  }

  @Test func aTailHasTheBitsOfAVector() {
    var random = SeededRandom(3)
    let x = random.floats(1000, in: -90...90)
    #expect(x.flatMap { exponentials([$0]) } == exponentials(x))
  }
}
