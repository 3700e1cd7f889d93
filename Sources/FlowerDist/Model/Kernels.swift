import CVector

/// Row-wise kernels of a decoder layer. Matrices are row-major; `rows` is the number of rows.
///
/// What they read has often left the near caches since it was written, and the hardware's own prefetching hides only part of
/// what that costs: so norms and rotations ask for rows ahead.
enum Kernels {
  /// Rows from the one that is computed to the one that is asked for.
  private static let ahead = 2

  /// Asks for the cache lines of a row.
  @inline(__always) static func prefetch(_ x: FloatPointer, width: Int) {
    for i in stride(from: 0, to: width, by: 16) { flower_prefetch(x + i) }
  }

  /// out = x / rms(x) · weight per row of `width`; `inverse` keeps 1 / rms(x) for the backward pass.
  ///
  /// rms(x) = √(mean(x²) + ε) (Zhang & Sennrich 2019).
  static func rmsNorm(
    _ x: FloatPointer, weight: FloatPointer, epsilon: Float, out: MutableFloatPointer, inverse: MutableFloatPointer,
    rows: Int, width: Int
  ) {
    Threads.perform(rows: rows, width: width) { rows in
      for row in rows {
        let source = x + row * width
        prefetch(source + ahead * width, width: width)
        let scale = 1 / (dot(source, source, width) / Float(width) + epsilon).squareRoot()
        inverse[row] = scale
        scaleRow(source, weight: weight, scale: scale, out: out + row * width, width: width)
      }
    }
  }

  /// The normalised rows once more, from the kept 1 / rms(x).
  static func rmsNormAgain(
    _ x: FloatPointer, weight: FloatPointer, inverse: FloatPointer, out: MutableFloatPointer, rows: Int, width: Int
  ) {
    Threads.perform(rows: rows, width: width) { rows in
      for row in rows {
        let source = x + row * width
        prefetch(source + ahead * width, width: width)
        scaleRow(source, weight: weight, scale: inverse[row], out: out + row * width, width: width)
      }
    }
  }

  @inline(__always) private static func scaleRow(
    _ x: FloatPointer, weight: FloatPointer, scale: Float, out: MutableFloatPointer, width: Int
  ) {
    let s = Float8(repeating: scale)
    var i = 0
    while i &+ 8 <= width {
      store8(load8(x, i) * s * load8(weight, i), out, i)
      i &+= 8
    }
    while i < width {
      out[i] = x[i] * scale * weight[i]
      i &+= 1
    }
  }

  /// Adds the gradient through ``rmsNorm`` to `dx` (or writes it there, even over `dy`) and, unless the weight is frozen,
  /// to `dWeight`.
  ///
  /// With n = x / rms: dx = (w∘dy − n · mean(w∘dy∘n)) / rms, dw = Σ_rows dy∘n.
  static func rmsNormBackward(
    _ dy: FloatPointer, x: FloatPointer, weight: FloatPointer, inverse: FloatPointer, dx: MutableFloatPointer,
    dWeight: MutableFloatPointer?, rows: Int, width: Int, accumulate: Bool = true
  ) {
    for row in 0..<rows {
      let g = dy + row * width
      let v = x + row * width
      let d = dx + row * width
      prefetch(v + ahead * width, width: width)
      if accumulate { prefetch(d + ahead * width, width: width) }
      let scale = inverse[row]
      let s = Float8(repeating: scale)
      var products = Float8.zero
      var tail: Float = 0
      var i = 0
      while i &+ 8 <= width {
        let n = load8(v, i) * s
        let gi = load8(g, i)
        if let dWeight { store8(fma8(gi, n, load8(dWeight, i)), dWeight, i) }
        products = fma8(gi * load8(weight, i), n, products)
        i &+= 8
      }
      while i < width {
        let n = v[i] * scale
        dWeight?[i] += g[i] * n
        tail += g[i] * weight[i] * n
        i &+= 1
      }
      let mean = (sum8(products) + tail) / Float(width)
      let m = Float8(repeating: mean)
      i = 0
      while i &+ 8 <= width {
        let n = load8(v, i) * s
        let direction = load8(g, i) * load8(weight, i) - n * m
        store8(accumulate ? fma8(direction, s, load8(d, i)) : direction * s, d, i)
        i &+= 8
      }
      while i < width {
        d[i] = (accumulate ? d[i] : 0) + (g[i] * weight[i] - v[i] * scale * mean) * scale
        i &+= 1
      }
    }
  }

  /// Normalises each head of x in place as ``rmsNorm`` does a row; `raw` keeps x as it was, `[rows, heads · width]`, and
  /// `inverse` 1 / rms, `[rows, heads]`.
  static func normHeads(
    _ x: MutableFloatPointer, stride: Int, heads: Int, width: Int, weight: FloatPointer, epsilon: Float,
    raw: MutableFloatPointer, inverse: MutableFloatPointer, rows: Int
  ) {
    for row in 0..<rows {
      let kept = raw + row * heads * width
      kept.update(from: x + row * stride, count: heads * width)
      rmsNorm(
        kept, weight: weight, epsilon: epsilon, out: x + row * stride, inverse: inverse + row * heads, rows: heads,
        width: width)
    }
  }

  /// Replaces the gradient of ``normHeads``' output by that of its input.
  static func normHeadsBackward(
    _ dx: MutableFloatPointer, stride: Int, heads: Int, width: Int, weight: FloatPointer, raw: FloatPointer,
    inverse: FloatPointer, dWeight: MutableFloatPointer?, rows: Int
  ) {
    for row in 0..<rows {
      let gradient = dx + row * stride
      rmsNormBackward(
        gradient, x: raw + row * heads * width, weight: weight, inverse: inverse + row * heads, dx: gradient,
        dWeight: dWeight, rows: heads, width: width, accumulate: false)
    }
  }

  /// Rotates pairs (i, i + headDim/2) of every head in place (RoPE in Hugging Face's layout).
  ///
  /// `positions[row]` picks a row of `cosine` and `sine`, each `[positions, headDim/2]`; `inverse` rotates back, which is
  /// the gradient of the rotation.
  static func rope(
    _ x: MutableFloatPointer, stride: Int, heads: Int, headDim: Int, positions: UnsafePointer<Int32>,
    cosine: FloatPointer, sine: FloatPointer, rows: Int, inverse: Bool
  ) {
    let half = headDim / 2
    let sign: Float = inverse ? -1 : 1
    let s8 = Float8(repeating: sign)
    for row in 0..<rows {
      let c = cosine + Int(positions[row]) * half
      let s = sine + Int(positions[row]) * half
      prefetch(x + (row + ahead) * stride, width: heads * headDim)
      for head in 0..<heads {
        let low = x + row * stride + head * headDim
        let high = low + half
        var i = 0
        while i &+ 8 <= half {
          let a = load8(low, i)
          let b = load8(high, i)
          let ci = load8(c, i)
          let si = load8(s, i) * s8
          store8(a * ci - b * si, low, i)
          store8(fma8(b, ci, a * si), high, i)
          i &+= 8
        }
        while i < half {
          let a = low[i]
          let b = high[i]
          low[i] = a * c[i] - b * s[i] * sign
          high[i] = b * c[i] + a * s[i] * sign
          i &+= 1
        }
      }
    }
  }

  /// out = silu(gate) · up, where a row of `gateUp` is `width` gates, then `width` ups; silu(g) = g / (1 + e^-g).
  static func siluGate(_ gateUp: FloatPointer, out: MutableFloatPointer, rows: Int, width: Int) {
    Threads.perform(rows: rows, width: width) { rows in
      for row in rows {
        let gate = gateUp + row * 2 * width
        flower_silu_gate(gate, gate + width, out + row * width, width)
      }
    }
  }

  /// Replaces `gateUp` by its gradient, given the gradient of ``siluGate``'s output, and writes that output once more
  /// to `activation` (the gradient of the next matrix needs it).
  static func siluGateBackward(
    _ dActivation: FloatPointer, gateUp: MutableFloatPointer, activation: MutableFloatPointer, rows: Int, width: Int
  ) {
    Threads.perform(rows: rows, width: width) { rows in
      for row in rows {
        let gate = gateUp + row * 2 * width
        flower_silu_gate_backward(dActivation + row * width, gate, gate + width, activation + row * width, width)
      }
    }
  }

  /// Adds `bias` to every row.
  static func addBias(_ bias: FloatPointer, to x: MutableFloatPointer, rows: Int, width: Int) {
    for row in 0..<rows { add(bias, to: x + row * width, width) }
  }

  /// Adds the sum of all rows to `total`.
  static func addColumnSums(_ x: FloatPointer, to total: MutableFloatPointer, rows: Int, width: Int) {
    for row in 0..<rows { add(x + row * width, to: total, width) }
  }

  /// Replaces x_0…x_{count-1} by e^{x - maximum} and returns their sum.
  @inline(__always) static func expRow(_ x: MutableFloatPointer, maximum: Float, count: Int) -> Float {
    flower_exp_row(x, maximum, count)
  }

  /// The largest of x_0…x_{count-1}; -∞ when there is none.
  @inline(__always) static func maximum(_ x: FloatPointer, count: Int) -> Float {
    var best8 = Float8(repeating: -.infinity)
    var i = 0
    while i &+ 8 <= count {
      let v = load8(x, i)
      best8.replace(with: v, where: v .> best8)
      i &+= 8
    }
    var best = -Float.infinity
    for lane in 0..<8 where best8[lane] > best { best = best8[lane] }
    while i < count {
      if x[i] > best { best = x[i] }
      i &+= 1
    }
    return best
  }

  /// x *= factor.
  @inline(__always) static func scale(_ x: MutableFloatPointer, by factor: Float, count: Int) {
    let f = Float8(repeating: factor)
    var i = 0
    while i &+ 8 <= count {
      store8(load8(x, i) * f, x, i)
      i &+= 8
    }
    while i < count {
      x[i] *= factor
      i &+= 1
    }
  }
}
