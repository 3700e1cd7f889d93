// The two vector instructions that Swift's SIMD types do not reach well: fused multiply-add and square root.
#pragma once

typedef float flower_float8 __attribute__((ext_vector_type(8)));

/// a * b + c, rounded once per element.
static inline __attribute__((always_inline)) flower_float8 flower_fma8(flower_float8 a, flower_float8 b, flower_float8 c) {
  return __builtin_elementwise_fma(a, b, c);
}

static inline __attribute__((always_inline)) flower_float8 flower_sqrt8(flower_float8 a) {
  return __builtin_elementwise_sqrt(a);
}
