// Rows of float32 numbers to codes: the nearest, ties to even, clipped.
#pragma once

#include <math.h>

#include "work.h"

namespace {

constexpr int64_t ROWS_AT_ONCE = 8;
constexpr float EVEN = 12582912.0f;  // 1.5 * 2**23: adding it rounds to a whole number
constexpr float FAR = 4194304.0f;    // 2**22, beyond every code; below it EVEN works
constexpr uint32_t INFINITE = 0x7f800000u;

struct Extremes {
  float low, high;
  bool finite;
};

INLINE Extremes extremes_of(const float* x, int64_t count) {
  F32 low{}, high{};
  U32 most{};
  int64_t k = 0;
  for (; k + LANES <= count; k += LANES) {
    const F32 v = load<F32>(x + k);
    const U32 size = load<U32>(x + k) & 0x7fffffffu;
    low = v < low ? v : low;
    high = v > high ? v : high;
    most = size > most ? size : most;
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

INLINE float within(float x, float low, float high) {
  const float above = x < low ? low : x;
  return above > high ? high : above;
}

INLINE int8_t code_of(float x, float scale, float zero, float first, float last, int offset) {
  const float whole = (within(x / scale, -FAR, FAR) + EVEN) - EVEN;
  return static_cast<int8_t>(static_cast<int>(within(whole + zero, first, last)) - offset);
}

INLINE F32 within(F32 x, F32 low, F32 high) {
  const F32 above = x < low ? low : x;
  return above > high ? high : above;
}

// One row. Vectors do what code_of does: compilers do not find that by themselves. Whole words
// wait in a block, which they do know how to narrow.
INLINE void code_row(const float* row, int64_t length, float scale, float zero, float first,
                     float last, int offset, int8_t* codes) {
  constexpr int64_t BLOCK = 256;
  const F32 none{};
  int64_t k = 0;
  while (k + LANES <= length) {
    int32_t block[BLOCK];
    const int64_t count = least(BLOCK, (length - k) / LANES * LANES);
    for (int64_t i = 0; i < count; i += LANES) {
      const F32 whole =
          (within(load<F32>(row + k + i) / (none + scale), none - FAR, none + FAR) + EVEN) - EVEN;
      const F32 code = within(whole + zero, none + first, none + last);
      store(block + i, __builtin_convertvector(code, I32) - offset);
    }
    for (int64_t i = 0; i < count; ++i) codes[k + i] = static_cast<int8_t>(block[i]);
    k += count;
  }
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

int quantize(const Numbers& x, int dynamic, int symmetric, int threads) {
  const int offset = x.last > 127 ? 128 : 0;
  const float first = x.first, last = x.last;
  Memory flags(x.count);
  if (!flags.at) return NO_MEMORY;
  char* bad = static_cast<char*>(flags.at);
  const int status = for_each(
      (x.count + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, 0, threads, [&](int64_t i, char*) {
        for (int64_t m = i * ROWS_AT_ONCE; m < least(x.count, (i + 1) * ROWS_AT_ONCE); ++m) {
          const float* row = x.numbers + m * x.stride;
          const Extremes own = extremes_of(row, x.length);
          bad[m] = !own.finite;
          if (!own.finite) continue;
          float scale = x.scale[dynamic ? m : 0], zero = 0;
          if (dynamic) {
            choose(own, x.first, x.last, symmetric != 0, &scale, &zero);
            x.scale[m] = scale;
            x.zero[m] = static_cast<int32_t>(zero) - offset;
          } else {
            zero = static_cast<float>(x.zero[0] + offset);
          }
          code_row(row, x.length, scale, zero, first, last, offset, x.codes + m * x.length);
        }
      });
  for (int64_t m = 0; status == DONE && m < x.count; ++m)
    if (bad[m]) return NOT_FINITE;
  return status;
}

}  // namespace
