// Rows of float32 numbers to codes: the nearest, ties to even, clipped.
#pragma once

#include <math.h>

#include "work.h"
#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace {

constexpr int64_t ROWS_AT_ONCE = 8;
constexpr float EVEN = 12582912.0f;  // 1.5 * 2**23: adding it rounds to a whole number
constexpr float FAR = 4194304.0f;    // 2**22, beyond every code; below it EVEN works
constexpr uint32_t INFINITE = 0x7f800000u;

struct Extremes {
  float low, high;
  bool finite;
};

#if defined(__AVX2__) && BYTES == 32
INLINE F32 smaller(F32 a, F32 b) { return (F32)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE F32 larger(F32 a, F32 b) { return (F32)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE U32 larger(U32 a, U32 b) { return (U32)_mm256_max_epu32((__m256i)a, (__m256i)b); }
#else
INLINE F32 smaller(F32 a, F32 b) { return a < b ? a : b; }
INLINE F32 larger(F32 a, F32 b) { return a > b ? a : b; }
INLINE U32 larger(U32 a, U32 b) { return a > b ? a : b; }
#endif

INLINE void widen(const float* x, F32* low, F32* high, U32* most) {
  const F32 v = load<F32>(x);
  *low = smaller(v, *low);
  *high = larger(v, *high);
  *most = larger(load<U32>(x) & 0x7fffffffu, *most);
}

INLINE Extremes extremes_of(const float* x, int64_t count) {
  constexpr int WIDE = 4;  // vectors at a time: a minimum waits for the one before it
  F32 lows[WIDE] = {}, highs[WIDE] = {};
  U32 mosts[WIDE] = {};
  int64_t k = 0;
  for (; k + WIDE * LANES <= count; k += WIDE * LANES)
    each<WIDE>([&](auto i) LAMBDA { widen(x + k + i * LANES, &lows[i], &highs[i], &mosts[i]); });
  for (; k + LANES <= count; k += LANES) widen(x + k, &lows[0], &highs[0], &mosts[0]);
  F32 low = lows[0], high = highs[0];
  U32 most = mosts[0];
  for (int i = 1; i < WIDE; ++i) {
    low = smaller(low, lows[i]);
    high = larger(high, highs[i]);
    most = larger(most, mosts[i]);
  }
  Extremes all{0, 0, true};
  for (int i = 0; i < LANES; ++i) {
    all.low = low[i] < all.low ? low[i] : all.low;
    all.high = high[i] > all.high ? high[i] : all.high;
    all.finite = all.finite && most[i] < INFINITE;
  }
  for (; k < count; ++k) {
    uint32_t bits;
    memcpy(&bits, x + k, sizeof bits);
    all.low = x[k] < all.low ? x[k] : all.low;
    all.high = x[k] > all.high ? x[k] : all.high;
    all.finite = all.finite && (bits & 0x7fffffffu) < INFINITE;
  }
  return all;
}

INLINE bool any(U32 mask) {
#if defined(__AVX2__) && BYTES == 32
  return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
  uint32_t all = 0;
  for (int i = 0; i < LANES; ++i) all |= mask[i];
  return all != 0;
#endif
}

// Whether all numbers are: cheaper than their extremes.
INLINE bool finite(const float* x, int64_t count) {
  U32 most[2] = {};
  int64_t k = 0;
  for (; k + 2 * LANES <= count; k += 2 * LANES)
    each<2>([&](auto i) LAMBDA {
      most[i] = larger(load<U32>(x + k + i * LANES) & 0x7fffffffu, most[i]);
    });
  uint32_t rest = 0;
  for (; k < count; ++k) {
    uint32_t bits;
    memcpy(&bits, x + k, sizeof bits);
    rest |= (bits & 0x7fffffffu) >= INFINITE;
  }
  return !rest && !any((U32)(larger(most[0], most[1]) >= INFINITE));
}

INLINE float within(float x, float low, float high) {
  const float above = x < low ? low : x;
  return above > high ? high : above;
}

INLINE int8_t code_of(float x, float scale, float zero, float first, float last, int offset) {
  const float whole = (within(x / scale, -FAR, FAR) + EVEN) - EVEN;
  return static_cast<int8_t>(static_cast<int>(within(whole + zero, first, last)) - offset);
}

// How far codes lie from the zero point, nearest to x: clipping whole numbers before or after
// rounding is the same.
INLINE I32 steps_of(const float* x, F32 scale, F32 low, F32 high) {
  const F32 own = smaller(larger(load<F32>(x) / scale, low), high);
#if defined(__AVX2__) && BYTES == 32
  return (I32)_mm256_cvtps_epi32((__m256)own);
#else
  return __builtin_convertvector((own + EVEN) - EVEN, I32);
#endif
}

// Codes of four vectors.
INLINE void store_codes(const float* x, F32 scale, F32 low, F32 high, int more, int8_t* codes) {
#if defined(__AVX2__) && BYTES == 32
  __m256i own[4];
  for (int i = 0; i < 4; ++i) own[i] = (__m256i)steps_of(x + i * LANES, scale, low, high);
  const __m256i add = _mm256_set1_epi16(static_cast<int16_t>(more));
  const __m256i a = _mm256_add_epi16(_mm256_packs_epi32(own[0], own[1]), add);
  const __m256i b = _mm256_add_epi16(_mm256_packs_epi32(own[2], own[3]), add);
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes),
                      _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b), order));
#else
  int32_t block[4 * LANES];
  for (int i = 0; i < 4; ++i)
    store(block + i * LANES, steps_of(x + i * LANES, scale, low, high) + more);
  for (int i = 0; i < 4 * LANES; ++i) codes[i] = static_cast<int8_t>(block[i]);
#endif
}

// One row. Vectors do what code_of does: compilers do not find that by themselves.
INLINE void code_row(const float* row, int64_t length, float scale, float zero, float first,
                     float last, int offset, int8_t* codes) {
  const F32 none{}, of{none + scale}, low{none + (first - zero)}, high{none + (last - zero)};
  const int more = static_cast<int>(zero) - offset;
  int64_t k = 0;
  for (; k + 4 * LANES <= length; k += 4 * LANES)
    store_codes(row + k, of, low, high, more, codes + k);
  for (; k < length; ++k) codes[k] = code_of(row[k], scale, zero, first, last, offset);
}

// The smallest scale that clips nothing, and its zero point: in double, then rounded once, like
// the calibrated scales of the same format.
INLINE void choose(const Extremes& of, int first, int last, bool symmetric, float* scale,
                   float* zero) {
  const double low = of.low, high = of.high;
  double exact;
  if (symmetric)
    exact = high / last >= low / first ? high / last : -low / -first;
  else
    exact = (high - low) / (last - first);
  exact = exact > 0 ? exact : 1.0;
  int exponent;
  frexp(exact, &exponent);
  exponent -= 15;  // the scale counts between 2**14 and 2**15 units
  exponent = exponent < -125 ? -125 : exponent > 112 ? 112 : exponent;
  const double unit = ldexp(1.0, exponent);
  const float units = within(static_cast<float>(exact / unit), 0x1p-24f, 65504.0f);
  *scale = static_cast<float>(units * unit);
  const double start = nearbyint(-(low / unit) / units);
  *zero = symmetric ? 0.0f
                    : static_cast<float>(start < first ? first : start > last ? last : start);
}

INLINE const float* row_of(const Numbers& x, int64_t m) {
  const int64_t inner = m / x.sizes[2];
  return x.numbers + inner / x.sizes[1] * x.strides[0] + inner % x.sizes[1] * x.strides[1] +
         m % x.sizes[2] * x.strides[2];
}

// Codes of one row; scale and zero point are given, or chosen and written. False: not finite.
INLINE bool coded(const Coding& how, const float* row, int64_t length, int8_t* codes,
                  float* scale, int32_t* zero) {
  const int offset = how.last > 127 ? 128 : 0;
  float start = static_cast<float>(how.zero + offset);
  *scale = how.scale;
  *zero = how.zero;
  if (!how.dynamic) {
    if (!finite(row, length)) return false;
  } else {
    const Extremes own = extremes_of(row, length);
    if (!own.finite) return false;
    choose(own, how.first, how.last, how.symmetric != 0, scale, &start);
    *zero = static_cast<int32_t>(start) - offset;
  }
  code_row(row, length, *scale, start, static_cast<float>(how.first),
           static_cast<float>(how.last), offset, codes);
  return true;
}

int quantize(const Numbers& x, const Coding& how, int threads) {
  const int64_t count = x.sizes[0] * x.sizes[1] * x.sizes[2];
  int unfit = 0;
  const int status = for_each(
      (count + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, 0, threads, [&](int64_t i, char*) {
        for (int64_t m = i * ROWS_AT_ONCE; m < least(count, (i + 1) * ROWS_AT_ONCE); ++m) {
          float scale;
          int32_t zero;
          if (!coded(how, row_of(x, m), x.length, x.codes + m * x.length, &scale, &zero)) {
            __atomic_store_n(&unfit, 1, __ATOMIC_RELAXED);
          } else if (how.dynamic) {
            x.scale[m] = scale;
            x.zero[m] = zero;
          }
        }
      });
  return status ? status : unfit ? NOT_FINITE : DONE;
}

}  // namespace
