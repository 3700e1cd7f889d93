#include "CVector.h"

#include <string.h>

// Kernels whose arithmetic, not memory, takes the time: twice as fast with the vectors of AVX-512. One source for every CPU,
// chosen when the program starts. No product and sum are fused but those that say so: all variants give the same bits.
#pragma STDC FP_CONTRACT OFF

#if defined(__x86_64__) && defined(__linux__)
#define FOR_EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EVERY_CPU
#endif
#define INLINE static inline __attribute__((always_inline))

typedef float float16 __attribute__((ext_vector_type(16), aligned(4)));
typedef float float8 __attribute__((ext_vector_type(8)));
typedef float float4 __attribute__((ext_vector_type(4)));
typedef int int16 __attribute__((ext_vector_type(16), aligned(4)));

enum { lanes = 16 };

// Vectors are handed on by address or by macros: how they are passed by value depends on the CPU.
#define AT(pointer) (*(float16 *)(pointer))
#define ALL(pointer) (*(const float16 *)(pointer))
#define CHOOSE(where, then, other) (float16)(((int16)(then) & (where)) | ((int16)(other) & ~(where)))

INLINE void exp16(float16 *value) {
  const float16 x = *value;
  // Adding 1.5 · 2^23 rounds to the nearest integer and leaves it in the low bits.
  const float16 shift = 12582912.0f;
  const float16 shifted = __builtin_elementwise_fma(x, (float16)1.44269504f, shift);
  const float16 n = shifted - shift;
  float16 r = __builtin_elementwise_fma(n, (float16)-0.693359375f, x);
  r = __builtin_elementwise_fma(n, (float16)2.12194440e-4f, r);
  float16 p = 1.98756915e-4f;
  p = __builtin_elementwise_fma(p, r, (float16)1.39819995e-3f);
  p = __builtin_elementwise_fma(p, r, (float16)8.3334519e-3f);
  p = __builtin_elementwise_fma(p, r, (float16)4.1665796e-2f);
  p = __builtin_elementwise_fma(p, r, (float16)1.66666655e-1f);
  p = __builtin_elementwise_fma(p, r, (float16)0.5f);
  p = __builtin_elementwise_fma(p, r * r, r) + 1.0f;
  const float16 power = (float16)((int16)p + ((int16)shifted << 23));
  const float16 bounded = CHOOSE(x > 88.3f, (float16)__builtin_inff(), power);
  *value = CHOOSE(x != x, x, CHOOSE(x < -87.3f, (float16)0.0f, bounded));
}

// Exponentials go to `out` unless that is null.
INLINE float exp_sum(const float *x, float maximum, long count, float *out) {
  float16 sums = 0;
  long i = 0;
  for (; i + lanes <= count; i += lanes) {
    float16 e = ALL(x + i) - maximum;
    exp16(&e);
    sums += e;
    if (out) AT(out + i) = e;
  }
  if (i < count) {
    float16 e = -__builtin_inff();
    memcpy(&e, x + i, (count - i) * sizeof(float));
    e -= maximum;
    exp16(&e);
    sums += e;
    if (out) memcpy(out + i, &e, (count - i) * sizeof(float));
  }
  const float8 eight = sums.lo + sums.hi;
  const float4 four = eight.lo + eight.hi;
  return (four.x + four.z) + (four.y + four.w);
}

FOR_EVERY_CPU float flower_exp_row(float *x, float maximum, long count) { return exp_sum(x, maximum, count, x); }

FOR_EVERY_CPU float flower_exp_sum(const float *x, float maximum, long count) { return exp_sum(x, maximum, count, 0); }

INLINE void probabilities_backward(float *scores, float *d_scores, float log_sum, float delta, float scale) {
  float16 p = ALL(scores) - log_sum;
  exp16(&p);
  AT(scores) = p;
  AT(d_scores) = p * (ALL(d_scores) - delta) * scale;
}

FOR_EVERY_CPU void flower_probabilities_backward(
    float *scores, float *d_scores, float log_sum, float delta, float scale, long count) {
  long i = 0;
  for (; i + lanes <= count; i += lanes) probabilities_backward(scores + i, d_scores + i, log_sum, delta, scale);
  if (i < count) {
    const long bytes = (count - i) * sizeof(float);
    float s[lanes] = {0}, d[lanes] = {0};
    memcpy(s, scores + i, bytes);
    memcpy(d, d_scores + i, bytes);
    probabilities_backward(s, d, log_sum, delta, scale);
    memcpy(scores + i, s, bytes);
    memcpy(d_scores + i, d, bytes);
  }
}

INLINE void silu_gate(const float *gate, const float *up, float *out) {
  const float16 g = ALL(gate);
  float16 e = -g;
  exp16(&e);
  AT(out) = g / (1.0f + e) * ALL(up);
}

FOR_EVERY_CPU void flower_silu_gate(const float *gate, const float *up, float *out, long count) {
  long i = 0;
  for (; i + lanes <= count; i += lanes) silu_gate(gate + i, up + i, out + i);
  if (i < count) {
    const long bytes = (count - i) * sizeof(float);
    float g[lanes] = {0}, u[lanes] = {0};
    memcpy(g, gate + i, bytes);
    memcpy(u, up + i, bytes);
    silu_gate(g, u, g);
    memcpy(out + i, g, bytes);
  }
}

INLINE void silu_gate_backward(const float *d_out, float *gate, float *up, float *out) {
  const float16 g = ALL(gate), u = ALL(up), d = ALL(d_out);
  float16 e = -g;
  exp16(&e);
  const float16 sigmoid = 1.0f / (1.0f + e);
  const float16 silu = g * sigmoid;
  AT(out) = silu * u;
  AT(up) = d * silu;
  AT(gate) = d * u * __builtin_elementwise_fma(silu, 1.0f - sigmoid, sigmoid);
}

FOR_EVERY_CPU void flower_silu_gate_backward(const float *d_out, float *gate, float *up, float *out, long count) {
  long i = 0;
  for (; i + lanes <= count; i += lanes) {
    // The next row's, which usually lie behind both of this one.
    __builtin_prefetch(gate + i + 2 * count, 1);
    __builtin_prefetch(up + i + 2 * count, 1);
    silu_gate_backward(d_out + i, gate + i, up + i, out + i);
  }
  if (i < count) {
    const long bytes = (count - i) * sizeof(float);
    float d[lanes] = {0}, g[lanes] = {0}, u[lanes] = {0}, a[lanes];
    memcpy(d, d_out + i, bytes);
    memcpy(g, gate + i, bytes);
    memcpy(u, up + i, bytes);
    silu_gate_backward(d, g, u, a);
    memcpy(gate + i, g, bytes);
    memcpy(up + i, u, bytes);
    memcpy(out + i, a, bytes);
  }
}

FOR_EVERY_CPU void flower_to_bfloat16(const float *x, unsigned short *out, long count) {
  for (long i = 0; i < count; i++) {
    unsigned bits;
    memcpy(&bits, x + i, sizeof bits);
    const unsigned rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    out[i] = (bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded;
  }
}

FOR_EVERY_CPU void flower_add_bfloat16(const unsigned short *x, float *y, long count) {
  for (long i = 0; i < count; i++) {
    const unsigned bits = (unsigned)x[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    y[i] += value;
  }
}
