import Foundation

@testable import FlowerDist

/// The Qwen2 / Qwen3 / Llama decoder written down once more, on one plain sequence, in double precision and without any trick:
/// what forests are measured against, and precise enough for finite differences.
struct ReferenceTransformer {
  let configuration: ModelConfiguration
  let layout: ParameterLayout
  /// All weights as the arena lays them out.
  var weights: [Double]

  init(_ transformer: Transformer) {
    configuration = transformer.configuration
    layout = transformer.layout
    weights = transformer.weights.all.map { Double($0) }
  }

  private func offset(_ name: String) -> Int { layout.parameters.first { $0.name == name }!.offset }

  /// W x (+ b) for each row of x.
  private func linear(_ x: [Double], _ name: String, _ input: Int, _ output: Int, bias: Bool = false) -> [Double] {
    let weight = offset(name + ".weight")
    let shift = bias ? offset(name + ".bias") : nil
    var y = [Double](repeating: 0, count: x.count / input * output)
    for row in 0..<x.count / input {
      for o in 0..<output {
        var sum = shift.map { weights[$0 + o] } ?? 0
        for i in 0..<input { sum += weights[weight + o * input + i] * x[row * input + i] }
        y[row * output + o] = sum
      }
    }
    return y
  }

  /// Normalises every `width` numbers.
  private func norm(_ x: [Double], _ name: String, width: Int) -> [Double] {
    let weight = offset(name + ".weight")
    var y = x
    for row in 0..<x.count / width {
      let squares = (0..<width).reduce(0) { $0 + x[row * width + $1] * x[row * width + $1] }
      let scale = 1 / (squares / Double(width) + configuration.rmsNormEps).squareRoot()
      for i in 0..<width { y[row * width + i] *= scale * weights[weight + i] }
    }
    return y
  }

  /// As `transformers` scales frequencies, by wavelengths.
  private func scaled(_ frequency: Double) -> Double {
    switch configuration.ropeScaling {
    case .none: return frequency
    case .linear(let factor): return frequency / factor
    case .llama3(let factor, let low, let high, let original):
      let wavelength = 2 * .pi / frequency
      if wavelength > original / low { return frequency / factor }
      if wavelength < original / high { return frequency }
      let smooth = (original / wavelength - low) / (high - low)
      return (1 - smooth) * frequency / factor + smooth * frequency
    }
  }

  private func rotate(_ x: inout [Double], heads: Int) {
    let (d, half) = (configuration.headDim, configuration.headDim / 2)
    for row in 0..<x.count / (heads * d) {
      for head in 0..<heads {
        for i in 0..<half {
          let angle = Double(row) * scaled(pow(configuration.ropeTheta, -2 * Double(i) / Double(d)))
          let low = row * heads * d + head * d + i
          let (a, b) = (x[low], x[low + half])
          x[low] = a * cos(angle) - b * sin(angle)
          x[low + half] = b * cos(angle) + a * sin(angle)
        }
      }
    }
  }

  private func attend(_ q: [Double], _ k: [Double], _ v: [Double]) -> [Double] {
    let c = configuration
    var out = [Double](repeating: 0, count: q.count)
    for row in 0..<q.count / c.queryDim {
      for head in 0..<c.heads {
        let column = head / (c.heads / c.kvHeads) * c.headDim
        let start = row * c.queryDim + head * c.headDim
        var scores = (0...row).map { other in
          (0..<c.headDim).reduce(0) { $0 + q[start + $1] * k[other * c.kvDim + column + $1] }
            / Double(c.headDim).squareRoot()
        }
        let maximum = scores.max()!
        scores = scores.map { exp($0 - maximum) }
        let total = scores.reduce(0, +)
        for (other, score) in scores.enumerated() {
          for i in 0..<c.headDim { out[start + i] += score / total * v[other * c.kvDim + column + i] }
        }
      }
    }
    return out
  }

  /// Logits after each token, `[tokens][vocabulary]`.
  func logits(_ tokens: [Int32]) -> [[Double]] {
    let c = configuration
    let h = c.hiddenSize
    let embedding = offset("model.embed_tokens.weight")
    var x = tokens.flatMap { token in (0..<h).map { weights[embedding + Int(token) * h + $0] } }
    for layer in 0..<c.layers {
      let prefix = "model.layers.\(layer)."
      let n = norm(x, prefix + "input_layernorm", width: h)
      var q = linear(n, prefix + "self_attn.q_proj", h, c.queryDim, bias: c.attentionBias)
      var k = linear(n, prefix + "self_attn.k_proj", h, c.kvDim, bias: c.attentionBias)
      let v = linear(n, prefix + "self_attn.v_proj", h, c.kvDim, bias: c.attentionBias)
      if c.qkNorm {
        q = norm(q, prefix + "self_attn.q_norm", width: c.headDim)
        k = norm(k, prefix + "self_attn.k_norm", width: c.headDim)
      }
      rotate(&q, heads: c.heads)
      rotate(&k, heads: c.kvHeads)
      let attended = linear(attend(q, k, v), prefix + "self_attn.o_proj", c.queryDim, h, bias: c.outputBias)
      x = zip(x, attended).map(+)
      let m = norm(x, prefix + "post_attention_layernorm", width: h)
      let gate = linear(m, prefix + "mlp.gate_proj", h, c.intermediateSize)
      let up = linear(m, prefix + "mlp.up_proj", h, c.intermediateSize)
      let inner = zip(gate, up).map { $0 / (1 + exp(-$0)) * $1 }
      x = zip(x, linear(inner, prefix + "mlp.down_proj", c.intermediateSize, h)).map(+)
    }
    let hidden = norm(x, "model.norm", width: h)
    let head = linear(hidden, c.tieEmbeddings ? "model.embed_tokens" : "lm_head", h, c.vocabularySize)
    return tokens.indices.map { Array(head[$0 * c.vocabularySize..<($0 + 1) * c.vocabularySize]) }
  }
}
