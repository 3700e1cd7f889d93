// Vector code that Swift does not reach well: single instructions, shuffles, the innermost loops of matrix products, and row
// kernels that choose among vectors of 8 and 16 floats when the program runs.
#pragma once

#include <stdbool.h>

typedef float flower_float8 __attribute__((ext_vector_type(8)));

/// a * b + c, rounded once per element.
static inline __attribute__((always_inline)) flower_float8 flower_fma8(flower_float8 a, flower_float8 b, flower_float8 c) {
  return __builtin_elementwise_fma(a, b, c);
}

static inline __attribute__((always_inline)) flower_float8 flower_sqrt8(flower_float8 a) {
  return __builtin_elementwise_sqrt(a);
}

/// Asks for the cache line of `address`, which need not be readable.
static inline __attribute__((always_inline)) void flower_prefetch(const float *address) { __builtin_prefetch(address); }

/// Writes the transpose of 8 x 8 floats; strides are those of rows.
static inline __attribute__((always_inline)) void flower_transpose8(
    const float *source, long stride, float *target, long target_stride) {
  typedef flower_float8 __attribute__((aligned(4))) unaligned;
  flower_float8 r[8], s[8];
  for (int i = 0; i < 8; i++) r[i] = *(const unaligned *)(source + i * stride);
  for (int i = 0; i < 8; i += 2) {
    s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int j = i; j < i + 2; j++) {
      r[j] = __builtin_shufflevector(s[j], s[j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[j + 2] = __builtin_shufflevector(s[j], s[j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int j = 0; j < 4; j++) {
    *(unaligned *)(target + j * target_stride) = __builtin_shufflevector(r[j], r[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    *(unaligned *)(target + (j + 4) * target_stride) = __builtin_shufflevector(r[j], r[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/// Memory of the tile that comes next, so that it is on its way while one computes: where its rows of c begin, and a place in
/// each row of a with a number of cache lines there. It need not exist.
typedef struct {
  const float *c;
  const float *a;
  long lines;
  /// Whether this tile's b comes from beyond the second-level cache.
  bool is_cold;
} flower_next;

/// c = alpha · a · b (+ c) for a few rows of c that stay in registers: a is `[rows, depth]` with any strides, b and c are as
/// wide as the tile.
///
/// Every element is one chain of fused multiply-adds from 0 over `depth`, then one with alpha: all tiles give the same bits.
typedef void flower_tile(
    long rows, long depth, float alpha, const float *a, long row_stride, long term_stride, const float *b, long b_stride,
    float *c, long c_stride, bool accumulate, const flower_next *next);

/// 6 rows of 16 columns, for any CPU.
flower_tile flower_tile_portable;
/// 14 rows of 32 columns, where `flower_has_avx512`.
flower_tile flower_tile_avx512;
/// 6 rows of 16 columns, where `flower_has_avx2`.
flower_tile flower_tile_avx2;

bool flower_has_avx512(void);
bool flower_has_avx2(void);

/// Replaces x_0 … x_{count-1} by e^{x - maximum} and returns their sum: 16 running sums, halved in turn.
///
/// e^x to 1.1 ulp: x = n ln 2 + r, a polynomial of degree 6 in r, and n added to the exponent. Below -87.3 (where the result
/// would be denormal) it is 0, above 88.3 it is infinite; NaN stays NaN.
float flower_exp_row(float *x, float maximum, long count);

/// The sum of the same exponentials.
float flower_exp_sum(const float *x, float maximum, long count);

/// The backward pass of a softmax whose log Σ exp is known: scores s become p = e^{s - log_sum}, and the derivatives d of
/// p those of what `scale` made the scores of, p (d - delta) · scale, where delta = Σ p d.
void flower_probabilities_backward(
    float *scores, float *d_scores, float log_sum, float delta, float scale, long count);

/// out = silu(gate) · up, silu(g) = g / (1 + e^-g).
void flower_silu_gate(const float *gate, const float *up, float *out, long count);

/// Replaces gates and ups by their gradients, given that of `flower_silu_gate`'s output, and writes that output once more.
void flower_silu_gate_backward(const float *d_out, float *gate, float *up, float *out, long count);

/// Rounds floats to bfloat16, their upper halves: to nearest, ties to even; a NaN stays one.
void flower_to_bfloat16(const float *x, unsigned short *out, long count);

/// y += x, x in bfloat16.
void flower_add_bfloat16(const unsigned short *x, float *y, long count);

/// Products of fp32 matrices by way of bfloat16 ("bf16x6"). A float x with 2^-103 ≤ |x| < 2^128 (1 - 2^-9) is the sum of three
/// bfloat16, its thirds: x rounded, what that leaves rounded, and the rest. Smaller ones lose their last bits, larger ones and
/// what is not finite become NaN. Of the nine products of two numbers' thirds the six largest are added; what is left out is
/// at most the rounding of an fp32 product (Henry, Tang & Heinecke 2019, "Leveraging the bfloat16 artificial intelligence
/// datatype for higher-precision computations").
///
/// Thirds lie in blocks of 32 rows (or columns) and 32 terms, three times two squares of 16 x 32, in the order in which tile
/// registers read them; the blocks of 32 rows follow each other along the terms. What is missing at the edges is 0.
enum { flower_thirds_width = 32, flower_thirds_block = 3 * 32 * 32 };

/// Writes the thirds of x `[rows, terms]`, or of x's transpose where x is `[terms, rows]`, as the left side of a product.
void flower_thirds_of_rows(const float *x, long stride, bool transposed, long rows, long terms, unsigned short *out);

/// Writes the thirds of x `[terms, columns]`, or of x's transpose where x is `[columns, terms]`, as the right side.
void flower_thirds_of_columns(const float *x, long stride, bool transposed, long terms, long columns, unsigned short *out);

#define FLOWER_THIRDS_PARAMETERS                                                                                   \
  long blocks, const unsigned short *a, const unsigned short *b, long rows, long columns, float alpha, float *c,    \
    long c_stride, bool accumulate

/// c = alpha · a · b (+ c) for at most 32 rows and columns of c, and `blocks` blocks of terms.
///
/// A sum starts at 0. For each block and each of the six products in turn, two chains of fused multiply-adds from 0 over the
/// block's even and odd terms are added to each other, and that to the sum; numbers too small to be normal are 0, in the
/// emulation only on x86. Both variants do this, the second in software; the last step, with alpha, is a fused multiply-add.
typedef void flower_thirds(FLOWER_THIRDS_PARAMETERS);

/// With tile registers, between `flower_amx_begin` and `flower_amx_end` of the same thread, where `flower_has_amx`.
flower_thirds flower_thirds_amx;
flower_thirds flower_thirds_emulated;

/// Whether this CPU has tile registers for bfloat16 and the system lets this process use them.
bool flower_has_amx(void);
void flower_amx_begin(void);
void flower_amx_end(void);
