import Foundation

/// Cosines and sines of RoPE by position: angle = position · θ^(-2i/headDim) (Su et al. 2021), scaled.
final class RotaryTable {
  private let half: Int
  private let frequencies: [Double]
  private(set) var cosine = FloatArena(count: 0)
  private(set) var sine = FloatArena(count: 0)
  private var positions = 0

  init(headDim: Int, theta: Double, scaling: RopeScaling) {
    half = headDim / 2
    frequencies = (0..<headDim / 2).map { scaling.apply(to: pow(theta, -2 * Double($0) / Double(headDim))) }
  }

  /// Makes the table cover positions below `count`.
  func reserve(_ count: Int) {
    if count <= positions { return }
    positions = max(count, 2 * positions, 256)
    cosine = FloatArena(count: positions * half)
    sine = FloatArena(count: positions * half)
    for position in 0..<positions {
      for i in 0..<half {
        let angle = Double(position) * frequencies[i]
        cosine.base[position * half + i] = Float(cos(angle))
        sine.base[position * half + i] = Float(sin(angle))
      }
    }
  }
}
