import CVector

/// Eight floats in one register.
typealias Float8 = SIMD8<Float>

typealias FloatPointer = UnsafePointer<Float>
typealias MutableFloatPointer = UnsafeMutablePointer<Float>

@inline(__always) func load8(_ pointer: FloatPointer, _ index: Int) -> Float8 {
  UnsafeRawPointer(pointer + index).loadUnaligned(as: Float8.self)
}

@inline(__always) func store8(_ value: Float8, _ pointer: MutableFloatPointer, _ index: Int) {
  UnsafeMutableRawPointer(pointer + index).storeBytes(of: value, as: Float8.self)
}

/// Calls `body` with room for `count` floats, at least one, that begins where a cache line does.
func withFloats(_ count: Int, _ body: (MutableFloatPointer) -> Void) {
  withUnsafeTemporaryAllocation(byteCount: 4 * count, alignment: 64) {
    body($0.baseAddress!.assumingMemoryBound(to: Float.self))
  }
}

@inline(__always) func fma8(_ a: Float8, _ b: Float8, _ c: Float8) -> Float8 { flower_fma8(a, b, c) }

@inline(__always) func sqrt8(_ a: Float8) -> Float8 { flower_sqrt8(a) }

/// The sum of the lanes, in a fixed order.
@inline(__always) func sum8(_ v: Float8) -> Float {
  let four = v.lowHalf + v.highHalf
  let two = four.lowHalf + four.highHalf
  return two[0] + two[1]
}

/// Σ a_i b_i with two running vectors, then lane by lane, then the tail.
@inline(__always) func dot(_ a: FloatPointer, _ b: FloatPointer, _ count: Int) -> Float {
  var s0 = Float8.zero
  var s1 = Float8.zero
  var i = 0
  while i &+ 16 <= count {
    s0 = fma8(load8(a, i), load8(b, i), s0)
    s1 = fma8(load8(a, i &+ 8), load8(b, i &+ 8), s1)
    i &+= 16
  }
  if i &+ 8 <= count {
    s0 = fma8(load8(a, i), load8(b, i), s0)
    i &+= 8
  }
  var sum = sum8(s0 + s1)
  while i < count {
    sum += a[i] * b[i]
    i &+= 1
  }
  return sum
}

/// y += alpha x.
@inline(__always) func axpy(_ alpha: Float, _ x: FloatPointer, _ y: MutableFloatPointer, _ count: Int) {
  let a = Float8(repeating: alpha)
  var i = 0
  while i &+ 8 <= count {
    store8(fma8(a, load8(x, i), load8(y, i)), y, i)
    i &+= 8
  }
  while i < count {
    y[i] += alpha * x[i]
    i &+= 1
  }
}

/// y += x.
@inline(__always) func add(_ x: FloatPointer, to y: MutableFloatPointer, _ count: Int) {
  var i = 0
  while i &+ 8 <= count {
    store8(load8(y, i) + load8(x, i), y, i)
    i &+= 8
  }
  while i < count {
    y[i] += x[i]
    i &+= 1
  }
}

/// Σ x_i² in double precision, in a fixed order.
func sumOfSquares(_ x: FloatPointer, _ count: Int) -> Double {
  var total = SIMD4<Double>.zero
  var i = 0
  while i &+ 4 <= count {
    let v = SIMD4<Double>(UnsafeRawPointer(x + i).loadUnaligned(as: SIMD4<Float>.self))
    total += v * v
    i &+= 4
  }
  var sum = (total[0] + total[1]) + (total[2] + total[3])
  while i < count {
    sum += Double(x[i]) * Double(x[i])
    i &+= 1
  }
  return sum
}
