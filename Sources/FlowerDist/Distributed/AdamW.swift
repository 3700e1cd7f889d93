import Foundation

/// AdamW (Loshchilov & Hutter 2019) on the blocks that this rank owns: the optimizer state is sharded (ZeRO stage 1).
public final class AdamW {
  public var beta1: Double
  public var beta2: Double
  public var epsilon: Double
  public var weightDecay: Double

  private let list: ParameterList
  /// A part of the arena with its two moments.
  final class Shard {
    let range: Range<Int>
    let mean: FloatArena
    let variance: FloatArena

    init(_ range: Range<Int>) {
      self.range = range
      mean = FloatArena(count: range.count)
      variance = FloatArena(count: range.count)
    }

    private init(_ range: Range<Int>, mean: FloatArena, variance: FloatArena) {
      (self.range, self.mean, self.variance) = (range, mean, variance)
    }

    func copy() -> Shard { Shard(range, mean: mean.copy(), variance: variance.copy()) }
  }
  /// Ascending, as the plan's owners.
  let shards: [Shard]

  public init(_ recipe: Recipe.Optimizer, list: ParameterList, plan: ReductionPlan, rank: Int) {
    beta1 = recipe.beta1
    beta2 = recipe.beta2
    epsilon = recipe.epsilon
    weightDecay = recipe.weightDecay
    self.list = list
    shards = plan.owned(by: rank).map { Shard(plan.floats($0.blocks)) }
  }

  /// One update of the owned part of `weights`; `step` counts from 1, the gradient is multiplied by `scale` first.
  ///
  /// m ← β1 m + (1-β1) g, v ← β2 v + (1-β2) g², w ← w − η (m̂ / (√v̂ + ε) + decay · w).
  ///
  /// - Returns: whether all that it wrote is finite.
  @discardableResult
  public func update(
    _ weights: FloatArena, _ gradient: ReducedGradient, step: Int, learningRate: Double, scale: Double
  ) -> Bool {
    var isFinite = true
    let correction1 = 1 - pow(beta1, Double(step))
    let correction2 = 1 - pow(beta2, Double(step))
    for (shard, part) in zip(shards, gradient.parts) {
      for parameter in list.parameters {
        let range = parameter.range.clamped(to: shard.range)
        if range.isEmpty { continue }
        let offset = range.lowerBound - shard.range.lowerBound
        let stepped = step8(
          weights.base + range.lowerBound, part.values.baseAddress! + offset, shard.mean.base + offset,
          shard.variance.base + offset, count: range.count,
          rate: Float(learningRate / correction1), rootCorrection: Float(1 / correction2.squareRoot()),
          decay: Float(parameter.decays ? learningRate * weightDecay : 0), scale: Float(scale))
        isFinite = isFinite && stepped
      }
    }
    return isFinite
  }

  private func step8(
    _ w: MutableFloatPointer, _ g: FloatPointer, _ m: MutableFloatPointer, _ v: MutableFloatPointer, count: Int,
    rate: Float, rootCorrection: Float, decay: Float, scale: Float
  ) -> Bool {
    let (b1, b2, eps) = (Float(beta1), Float(beta2), Float(epsilon))
    let (a1, a2) = (Float(1 - beta1), Float(1 - beta2))
    // Zero for finite numbers, and never again once one was not.
    var finite = Float8.zero
    var i = 0
    while i &+ 8 <= count {
      let gi = load8(g, i) * scale
      let mi = fma8(gi, Float8(repeating: a1), load8(m, i) * b1)
      let vi = fma8(gi * gi, Float8(repeating: a2), load8(v, i) * b2)
      let denominator = fma8(sqrt8(vi), Float8(repeating: rootCorrection), Float8(repeating: eps))
      let wi = load8(w, i)
      store8(mi, m, i)
      store8(vi, v, i)
      let updated = wi - wi * decay - mi / denominator * rate
      store8(updated, w, i)
      finite = fma8(vi, .zero, fma8(updated, .zero, finite))
      i &+= 8
    }
    while i < count {
      // The same operations as in a full vector: where a parameter ends must not depend on how the arena is cut.
      let gi = g[i] * scale
      m[i] = gi.fma(a1, m[i] * b1)
      v[i] = (gi * gi).fma(a2, v[i] * b2)
      let denominator = v[i].squareRoot().fma(rootCorrection, eps)
      w[i] = w[i] - w[i] * decay - m[i] / denominator * rate
      finite[0] += w[i] * 0 + v[i] * 0
      i &+= 1
    }
    return sum8(finite) == 0
  }
}

extension Float {
  /// self · b + c, rounded once.
  fileprivate func fma(_ b: Float, _ c: Float) -> Float { c.addingProduct(self, b) }
}
