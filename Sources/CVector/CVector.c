#include "CVector.h"

typedef float float8 __attribute__((ext_vector_type(8), aligned(4)));
typedef float float16 __attribute__((ext_vector_type(16), aligned(4)));

// Terms of a cold b that are asked for before they are needed.
enum { ahead = 32 };

// Makes the compiler forget how a variable was computed.
#if defined(__x86_64__)
#define HIDE(variable) __asm__("" : "+r"(variable))
#else
#define HIDE(variable)
#endif

// Where row i, 0 to 6, of a is from the first one or the eighth, in bytes: an x86 address is a register and 1, 2, 4 or 8 times
// another.
#define ROW_OFFSET(i)       \
  (i == 0   ? 0             \
   : i == 1 ? stride        \
   : i == 2 ? 2 * stride    \
   : i == 3 ? stride3       \
   : i == 4 ? 4 * stride    \
   : i == 5 ? stride5       \
            : 2 * stride3)

// The loops over R have a constant count and are unrolled, so that `sum` lives in registers: 2 R of the 32 of AVX-512, or of
// the 16 of AVX2, with two for b and one for a. The terms come in R parts, between which the next tile's memory is asked for:
// all at once would wait for each other.
//
// Strides and pointers are hidden, because a compiler that knows them walks from row to row, an addition for each: 60
// instructions a term instead of 48. That costs time when the core's other thread is busy as well.
#define TILE(R, VECTOR, COLD)                                                                                  \
  case R: {                                                                                                    \
    VECTOR sum[R][2];                                                                                          \
    const long lanes = sizeof(VECTOR) / sizeof(float);                                                         \
    long stride = row_stride * sizeof(float), stride3 = 3 * stride, stride5 = 5 * stride;                      \
    const char *first = (const char *)a, *eighth = first + 7 * stride;                                         \
    _Pragma("unroll") for (int i = 0; i < R; i++) sum[i][0] = sum[i][1] = (VECTOR)(0);                         \
    for (int part = 0; part < R; part++) {                                                                     \
      __builtin_prefetch(next->c + part * c_stride, 1);                                                        \
      __builtin_prefetch(next->c + part * c_stride + lanes, 1);                                                \
      for (long line = 0; line < next->lines; line++) {                                                        \
        __builtin_prefetch(next->a + part * row_stride + line * (64 / sizeof(float)));                         \
      }                                                                                                        \
      _Pragma("clang loop unroll_count(2)") for (long k = depth * part / R; k < depth * (part + 1) / R; k++) { \
        if (COLD) {                                                                                            \
          __builtin_prefetch(b + ahead * b_stride);                                                            \
          __builtin_prefetch(b + ahead * b_stride + lanes);                                                    \
        }                                                                                                      \
        HIDE(stride);                                                                                          \
        HIDE(stride3);                                                                                         \
        HIDE(stride5);                                                                                         \
        HIDE(first);                                                                                           \
        if (R > 7) HIDE(eighth);                                                                               \
        const VECTOR b0 = *(const VECTOR *)b, b1 = *(const VECTOR *)(b + lanes);                               \
        _Pragma("unroll") for (int i = 0; i < R; i++) {                                                        \
          const VECTOR x = (VECTOR)(*(const float *)((i < 7 ? first : eighth) + ROW_OFFSET(i % 7)));           \
          sum[i][0] = __builtin_elementwise_fma(x, b0, sum[i][0]);                                             \
          sum[i][1] = __builtin_elementwise_fma(x, b1, sum[i][1]);                                             \
        }                                                                                                      \
        first += term_stride * sizeof(float);                                                                  \
        eighth += term_stride * sizeof(float);                                                                 \
        b += b_stride;                                                                                         \
      }                                                                                                        \
    }                                                                                                          \
    _Pragma("unroll") for (int i = 0; i < R; i++) {                                                            \
      VECTOR *left = (VECTOR *)(c + i * c_stride), *right = (VECTOR *)(c + i * c_stride + lanes);              \
      const VECTOR x = (VECTOR)(alpha);                                                                        \
      *left = __builtin_elementwise_fma(x, sum[i][0], accumulate ? *left : (VECTOR)(0));                       \
      *right = __builtin_elementwise_fma(x, sum[i][1], accumulate ? *right : (VECTOR)(0));                     \
    }                                                                                                          \
    break;                                                                                                     \
  }

#define PARAMETERS                                                                                                     \
  long rows, long depth, float alpha, const float *a, long row_stride, long term_stride, const float *b, long b_stride, \
    float *c, long c_stride, bool accumulate, const flower_next *next

#define SIX_ROWS(VECTOR, COLD)                                                             \
  switch (rows) {                                                                          \
    TILE(1, VECTOR, COLD) TILE(2, VECTOR, COLD) TILE(3, VECTOR, COLD)                      \
    TILE(4, VECTOR, COLD) TILE(5, VECTOR, COLD) TILE(6, VECTOR, COLD)                      \
  }
#define FOURTEEN_ROWS(VECTOR, COLD)                                                        \
  switch (rows) {                                                                          \
    TILE(1, VECTOR, COLD) TILE(2, VECTOR, COLD) TILE(3, VECTOR, COLD)                      \
    TILE(4, VECTOR, COLD) TILE(5, VECTOR, COLD) TILE(6, VECTOR, COLD)                      \
    TILE(7, VECTOR, COLD) TILE(8, VECTOR, COLD) TILE(9, VECTOR, COLD)                      \
    TILE(10, VECTOR, COLD) TILE(11, VECTOR, COLD) TILE(12, VECTOR, COLD)                   \
    TILE(13, VECTOR, COLD) TILE(14, VECTOR, COLD)                                          \
  }

void flower_tile_portable(PARAMETERS) { SIX_ROWS(float8, 0) }

#if defined(__x86_64__)

// The loops for a cold b are functions of their own, so that those for the other stay where they are best.
#define COLD_TILE(NAME, ROWS, VECTOR, TARGET) \
  __attribute__((target(TARGET), noinline)) static void NAME(PARAMETERS) { ROWS(VECTOR, 1) }
COLD_TILE(cold_avx2, SIX_ROWS, float8, "avx2,fma")
COLD_TILE(cold_avx512, FOURTEEN_ROWS, float16, "avx512f")

#define ARGUMENTS rows, depth, alpha, a, row_stride, term_stride, b, b_stride, c, c_stride, accumulate, next

__attribute__((target("avx2,fma"))) void flower_tile_avx2(PARAMETERS) {
  if (next->is_cold) return cold_avx2(ARGUMENTS);
  SIX_ROWS(float8, 0)
}

__attribute__((target("avx512f"))) void flower_tile_avx512(PARAMETERS) {
  if (next->is_cold) return cold_avx512(ARGUMENTS);
  FOURTEEN_ROWS(float16, 0)
}

bool flower_has_avx512(void) { return __builtin_cpu_supports("avx512f"); }
bool flower_has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

#else

void flower_tile_avx2(PARAMETERS) { __builtin_trap(); }
void flower_tile_avx512(PARAMETERS) { __builtin_trap(); }
bool flower_has_avx512(void) { return false; }
bool flower_has_avx2(void) { return false; }

#endif
