#include "CVector.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define FOR_EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EVERY_CPU __attribute__((noinline))
#endif
#define INLINE static inline __attribute__((always_inline))

// Only what says so is fused: the thirds of a number are the same on every CPU.
#pragma STDC FP_CONTRACT OFF

typedef float float16 __attribute__((ext_vector_type(16), aligned(4)));
typedef unsigned uint32x16 __attribute__((ext_vector_type(16), aligned(4)));
typedef unsigned short ushort32 __attribute__((ext_vector_type(32), aligned(2)));

enum {
  width = flower_thirds_width,
  // Numbers of a square, which is a tile register, and of one third of a block.
  square = 16 * width,
  third = 2 * square,
};

// The thirds of 16 numbers, each in the upper half of its lane: rounded to nearest twice, then what is left, 8 bits. No test
// for what is not finite: what rounding makes of it, the rests are NaN.
#define THIRDS(x, high, middle, low)                                       \
  const uint32x16 high = ((uint32x16)(x) + 0x8000) & 0xffff0000;           \
  const float16 high##_rest = (x) - (float16)high;                         \
  const uint32x16 middle = ((uint32x16)high##_rest + 0x8000) & 0xffff0000; \
  const uint32x16 low = (uint32x16)(high##_rest - (float16)middle) & 0xffff0000;

// The upper halves of the lanes of x, then of y.
#define UPPER(x, y)                                                                                                        \
  __builtin_shufflevector(                                                                                                 \
      (ushort32)(x), (ushort32)(y), 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45, \
      47, 49, 51, 53, 55, 57, 59, 61, 63)

// 32 rows of 32 numbers, `stride` apart, as the left side of a product: two squares of 16 rows a third.
INLINE void split_rows(const float *x, long stride, unsigned short *out) {
  for (int row = 0; row < width; row++, x += stride, out += width) {
    // Of the next block but one, which need not be there: rows lie too far apart for the CPU to see them coming.
    const uintptr_t ahead = (uintptr_t)x + 2 * width * sizeof(float);
    __builtin_prefetch((const void *)ahead);
    __builtin_prefetch((const void *)(ahead + 64));
    THIRDS(*(const float16 *)x, high, middle, low)
    THIRDS(*(const float16 *)(x + 16), high2, middle2, low2)
    *(ushort32 *)out = UPPER(high, high2);
    *(ushort32 *)(out + third) = UPPER(middle, middle2);
    *(ushort32 *)(out + 2 * third) = UPPER(low, low2);
  }
}

// As the right side: two squares of 16 columns a third, in which pairs of terms lie together.
INLINE void split_columns(const float *x, long stride, unsigned short *out) {
  for (int pair = 0; pair < 16; pair++, x += 2 * stride, out += width) {
    for (int side = 0; side < 2; side++) {
      THIRDS(*(const float16 *)(x + 16 * side), high, middle, low)
      THIRDS(*(const float16 *)(x + stride + 16 * side), high2, middle2, low2)
      unsigned short *target = out + side * square;
      *(uint32x16 *)target = high >> 16 | high2;
      *(uint32x16 *)(target + third) = middle >> 16 | middle2;
      *(uint32x16 *)(target + 2 * third) = low >> 16 | low2;
    }
  }
}

// The transpose of 16 x 16 floats, in four rounds that each exchange halves of pairs of rows.
#define EXCHANGE(FROM, TO, DISTANCE, LEFT, RIGHT)                                   \
  _Pragma("unroll") for (int i = 0; i < 16; i++) {                                  \
    if (i & DISTANCE) continue;                                                     \
    TO[i] = __builtin_shufflevector(FROM[i], FROM[i + DISTANCE], LEFT);             \
    TO[i + DISTANCE] = __builtin_shufflevector(FROM[i], FROM[i + DISTANCE], RIGHT); \
  }
#define LIST(...) __VA_ARGS__

INLINE void transpose(const float *x, long stride, float *out) {
  float16 r[16], s[16];
  _Pragma("unroll") for (int i = 0; i < 16; i++) r[i] = *(const float16 *)(x + i * stride);
  EXCHANGE(r, s, 1, LIST(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
           LIST(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
  EXCHANGE(s, r, 2, LIST(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
           LIST(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
  EXCHANGE(r, s, 4, LIST(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
           LIST(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
  EXCHANGE(s, r, 8, LIST(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
           LIST(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
  _Pragma("unroll") for (int i = 0; i < 16; i++) *(float16 *)(out + i * width) = r[i];
}

// Calls SPLIT for every block of 32 x 32 numbers of x; those that x has only a part of, or transposed, by way of a copy.
#define FOR_EACH_BLOCK(SPLIT, X, STRIDE, TRANSPOSED, ROWS, COLUMNS, NEXT)                                         \
  {                                                                                                               \
    float copy[width * width];                                                                                    \
    const long rows_here = (ROWS) < width ? (ROWS) : width, columns_here = (COLUMNS) < width ? (COLUMNS) : width; \
    const float *block = X;                                                                                       \
    long distance = STRIDE;                                                                                       \
    if (rows_here < width || columns_here < width) {                                                              \
      memset(copy, 0, sizeof copy);                                                                               \
      for (long i = 0; i < rows_here; i++) {                                                                      \
        if (TRANSPOSED) {                                                                                         \
          for (long j = 0; j < columns_here; j++) copy[i * width + j] = block[j * distance + i];                  \
        } else {                                                                                                  \
          memcpy(copy + i * width, block + i * distance, columns_here * sizeof(float));                           \
        }                                                                                                         \
      }                                                                                                           \
      block = copy;                                                                                               \
      distance = width;                                                                                           \
    } else if (TRANSPOSED) {                                                                                      \
      for (int i = 0; i < width; i += 16) {                                                                       \
        for (int j = 0; j < width; j += 16) transpose(block + j * distance + i, distance, copy + i * width + j);  \
      }                                                                                                           \
      block = copy;                                                                                               \
      distance = width;                                                                                           \
    }                                                                                                             \
    SPLIT(block, distance, NEXT);                                                                                 \
  }

FOR_EVERY_CPU void flower_thirds_of_rows(
    const float *x, long stride, bool transposed, long rows, long terms, unsigned short *out) {
  const long row_step = transposed ? 1 : stride, term_step = transposed ? stride : 1;
  for (long row = 0; row < rows; row += width) {
    for (long term = 0; term < terms; term += width, out += flower_thirds_block) {
      FOR_EACH_BLOCK(
          split_rows, x + row * row_step + term * term_step, stride, transposed, rows - row, terms - term, out)
    }
  }
}

FOR_EVERY_CPU void flower_thirds_of_columns(
    const float *x, long stride, bool transposed, long terms, long columns, unsigned short *out) {
  const long column_step = transposed ? stride : 1, term_step = transposed ? 1 : stride;
  for (long column = 0; column < columns; column += width) {
    for (long term = 0; term < terms; term += width, out += flower_thirds_block) {
      FOR_EACH_BLOCK(
          split_columns, x + column * column_step + term * term_step, stride, transposed, terms - term, columns - column,
          out)
    }
  }
}

// c = alpha · sums (+ c); sums are `[32, 32]`.
INLINE void add_sums_inline(
    const float *sums, long rows, long columns, float alpha, float *c, long c_stride, bool accumulate) {
  for (long row = 0; row < rows; row++, sums += width, c += c_stride) {
    if (columns == width) {
      for (int half = 0; half < width; half += 16) {
        float16 *target = (float16 *)(c + half);
        *target = __builtin_elementwise_fma(
            (float16)alpha, *(const float16 *)(sums + half), accumulate ? *target : (float16)0);
      }
    } else {
      for (long column = 0; column < columns; column++) {
        c[column] = __builtin_elementwise_fma(alpha, sums[column], accumulate ? c[column] : 0.0f);
      }
    }
  }
}

// The six products of a block: third of a, third of b. Each differs from the one before by one third, which is loaded.
#define FOR_EACH_PRODUCT(DO) DO(2, 0) DO(1, 0) DO(1, 1) DO(0, 1) DO(0, 0) DO(0, 2)

#define SQUARE_OF(thirds, index, number) ((thirds) + (index) * third + (number) * square)

FOR_EVERY_CPU static void add_sums(
    const float *sums, long rows, long columns, float alpha, float *c, long c_stride, bool accumulate) {
  add_sums_inline(sums, rows, columns, alpha, c, c_stride, accumulate);
}

FOR_EVERY_CPU static void multiply_square(
    const unsigned short *restrict a, const unsigned short *restrict b, float *restrict sums) {
  for (int row = 0; row < 16; row++) {
    float16 even = 0, odd = 0;
    for (int pair = 0; pair < 16; pair++) {
      const uint32x16 both = *(const uint32x16 *)(b + pair * width);
      const float16 x = (float16)(uint32x16)((unsigned)a[row * width + 2 * pair] << 16);
      const float16 y = (float16)(uint32x16)((unsigned)a[row * width + 2 * pair + 1] << 16);
      even = __builtin_elementwise_fma(x, (float16)(both << 16), even);
      odd = __builtin_elementwise_fma(y, (float16)(both & 0xffff0000), odd);
    }
    *(float16 *)(sums + row * width) += even + odd;
  }
}

#define EMULATED(A, B)                                                                         \
  for (int i = 0; i < 2; i++) {                                                                \
    for (int j = 0; j < 2; j++) {                                                              \
      multiply_square(SQUARE_OF(a, A, i), SQUARE_OF(b, B, j), sums + i * 16 * width + j * 16); \
    }                                                                                          \
  }

void flower_thirds_emulated(FLOWER_THIRDS_PARAMETERS) {
#if defined(__x86_64__)
  // As the tile registers do: what is too small to be a normal number is 0. The compiler may move operations over the change
  // of the mode, but no call, and those of `multiply_square` are never inlined.
  const unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040);
#endif
  float sums[width * width] = {0};
  for (; blocks > 0; blocks--, a += flower_thirds_block, b += flower_thirds_block) { FOR_EACH_PRODUCT(EMULATED) }
#if defined(__x86_64__)
  _mm_setcsr(mode);
#endif
  add_sums(sums, rows, columns, alpha, c, c_stride, accumulate);
}

#if defined(__x86_64__) && defined(__linux__)

#define AMX __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl")))

bool flower_has_amx(void) {
  enum { request_permission = 0x1023, tile_data = 18 };
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

AMX void flower_amx_begin(void) {
  struct {
    unsigned char palette, start_row, reserved[14];
    unsigned short row_bytes[16];
    unsigned char rows[16];
  } shape = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    shape.row_bytes[i] = 64;
    shape.rows[i] = 16;
  }
  _tile_loadconfig(&shape);
}

AMX void flower_amx_end(void) { _tile_release(); }

// Registers 0 to 3 are the sums, 4 and 5 two squares of rows, 6 and 7 two of columns; a second square that has no rows or
// columns to give is left out.
#define LOAD_A(A)                         \
  _tile_loadd(4, SQUARE_OF(a, A, 0), 64); \
  if (LOWER) _tile_loadd(5, SQUARE_OF(a, A, 1), 64);
#define LOAD_B(B)                         \
  _tile_loadd(6, SQUARE_OF(b, B, 0), 64); \
  if (RIGHT) _tile_loadd(7, SQUARE_OF(b, B, 1), 64);
#define MULTIPLY                      \
  _tile_dpbf16ps(0, 4, 6);            \
  if (RIGHT) _tile_dpbf16ps(1, 4, 7); \
  if (LOWER) _tile_dpbf16ps(2, 5, 6); \
  if (LOWER && RIGHT) _tile_dpbf16ps(3, 5, 7);

// The products of FOR_EACH_PRODUCT in its order.
#define BLOCKS                                                                                        \
  for (long block = 0; block < blocks; block++, a += flower_thirds_block, b += flower_thirds_block) { \
    for (long row = rows * block / blocks; row < rows * (block + 1) / blocks; row++) {                \
      __builtin_prefetch(c + row * c_stride, 1);                                                      \
      __builtin_prefetch(c + row * c_stride + columns / 2, 1);                                        \
      __builtin_prefetch(c + row * c_stride + columns - 1, 1);                                        \
    }                                                                                                 \
    LOAD_A(2) LOAD_B(0) MULTIPLY LOAD_A(1) MULTIPLY LOAD_B(1) MULTIPLY                                \
    LOAD_A(0) MULTIPLY LOAD_B(0) MULTIPLY LOAD_B(2) MULTIPLY                                          \
  }

AMX void flower_thirds_amx(FLOWER_THIRDS_PARAMETERS) {
  float sums[width * width] __attribute__((aligned(64)));
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  if (rows > 16 && columns > 16) {
    enum { LOWER = 1, RIGHT = 1 };
    BLOCKS
  } else if (rows > 16) {
    enum { LOWER = 1, RIGHT = 0 };
    BLOCKS
  } else if (columns > 16) {
    enum { LOWER = 0, RIGHT = 1 };
    BLOCKS
  } else {
    enum { LOWER = 0, RIGHT = 0 };
    BLOCKS
  }
  _tile_stored(0, sums, 4 * width);
  _tile_stored(1, sums + 16, 4 * width);
  _tile_stored(2, sums + 16 * width, 4 * width);
  _tile_stored(3, sums + 16 * width + 16, 4 * width);
  add_sums_inline(sums, rows, columns, alpha, c, c_stride, accumulate);
}

#else

bool flower_has_amx(void) { return false; }
void flower_amx_begin(void) {}
void flower_amx_end(void) {}
void flower_thirds_amx(FLOWER_THIRDS_PARAMETERS) { __builtin_trap(); }

#endif
