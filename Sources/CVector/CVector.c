#include "CVector.h"

typedef float float8 __attribute__((ext_vector_type(8), aligned(4)));
typedef float float16 __attribute__((ext_vector_type(16), aligned(4)));

// The loops over R have a constant count and are unrolled, so that `sum` lives in registers: 2 R of the 32 of AVX-512, or of
// the 16 of AVX2, with two for b and one for a. The terms come in R parts, between which the next tile's memory is asked for:
// all at once would wait for each other.
#define TILE(R, VECTOR)                                                                                            \
  case R: {                                                                                                        \
    VECTOR sum[R][2];                                                                                              \
    const long lanes = sizeof(VECTOR) / sizeof(float);                                                             \
    _Pragma("unroll") for (int i = 0; i < R; i++) sum[i][0] = sum[i][1] = (VECTOR)(0);                             \
    for (int part = 0; part < R; part++) {                                                                         \
      __builtin_prefetch(next->c + part * c_stride, 1);                                                            \
      __builtin_prefetch(next->c + part * c_stride + lanes, 1);                                                    \
      for (long line = 0; line < next->lines; line++) {                                                            \
        __builtin_prefetch(next->a + part * row_stride + line * (64 / sizeof(float)));                             \
      }                                                                                                            \
      for (long k = depth * part / R; k < depth * (part + 1) / R; k++) {                                           \
        const VECTOR b0 = *(const VECTOR *)b, b1 = *(const VECTOR *)(b + lanes);                                   \
        _Pragma("unroll") for (int i = 0; i < R; i++) {                                                            \
          const VECTOR x = (VECTOR)(a[i * row_stride]);                                                            \
          sum[i][0] = __builtin_elementwise_fma(x, b0, sum[i][0]);                                                 \
          sum[i][1] = __builtin_elementwise_fma(x, b1, sum[i][1]);                                                 \
        }                                                                                                          \
        a += term_stride;                                                                                          \
        b += b_stride;                                                                                             \
      }                                                                                                            \
    }                                                                                                              \
    _Pragma("unroll") for (int i = 0; i < R; i++) {                                                                \
      VECTOR *left = (VECTOR *)(c + i * c_stride), *right = (VECTOR *)(c + i * c_stride + lanes);                  \
      const VECTOR x = (VECTOR)(alpha);                                                                            \
      *left = __builtin_elementwise_fma(x, sum[i][0], accumulate ? *left : (VECTOR)(0));                           \
      *right = __builtin_elementwise_fma(x, sum[i][1], accumulate ? *right : (VECTOR)(0));                         \
    }                                                                                                              \
    break;                                                                                                         \
  }

#define PARAMETERS                                                                                                     \
  long rows, long depth, float alpha, const float *a, long row_stride, long term_stride, const float *b, long b_stride, \
    float *c, long c_stride, bool accumulate, const flower_next *next

#define SIX_ROWS(VECTOR) \
  switch (rows) { TILE(1, VECTOR) TILE(2, VECTOR) TILE(3, VECTOR) TILE(4, VECTOR) TILE(5, VECTOR) TILE(6, VECTOR) }

void flower_tile_portable(PARAMETERS) { SIX_ROWS(float8) }

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) void flower_tile_avx2(PARAMETERS) { SIX_ROWS(float8) }

__attribute__((target("avx512f"))) void flower_tile_avx512(PARAMETERS) {
  switch (rows) {
    TILE(1, float16) TILE(2, float16) TILE(3, float16) TILE(4, float16) TILE(5, float16) TILE(6, float16) TILE(7, float16)
    TILE(8, float16) TILE(9, float16) TILE(10, float16) TILE(11, float16) TILE(12, float16) TILE(13, float16)
    TILE(14, float16)
  }
}

bool flower_has_avx512(void) { return __builtin_cpu_supports("avx512f"); }
bool flower_has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

#else

void flower_tile_avx2(PARAMETERS) { __builtin_trap(); }
void flower_tile_avx512(PARAMETERS) { __builtin_trap(); }
bool flower_has_avx512(void) { return false; }
bool flower_has_avx2(void) { return false; }

#endif
