// Numbers as digits: for each the nearest of rising levels, and what tables say of that level.
#pragma once

#include "work.h"

namespace {

constexpr int SOME = 64;        // numbers at a time
constexpr int64_t RUN = 4096;   // numbers of an item of work
constexpr int COARSE = 4;       // bits of a rank that are counted; the others are searched for

// rank[i] = bounds below (number - shift) / scale, which is the rank of its level.
INLINE void ranks(const Levels& l, const float* numbers, int64_t count, float scale, int32_t* rank,
                  bool& finite) {
  float steps[SOME] = {};
  memcpy(steps, numbers, count * sizeof(float));
  int32_t wrong = 0;
  for (int i = 0; i < SOME; ++i) {
    wrong |= !(steps[i] - steps[i] == 0.0f);
    steps[i] = (steps[i] - l.shift) / scale;
    rank[i] = 0;
  }
  finite = finite && !wrong;
  const int fine = l.bits > COARSE ? static_cast<int>(l.bits) - COARSE : 0;
  const int pivots = (1 << (l.bits - fine)) - 1;
  for (int t = 1; t <= pivots; ++t) {
    const float bound = l.bounds[(t << fine) - 1];
    for (int i = 0; i < SOME; ++i) rank[i] += steps[i] > bound;
  }
  for (int i = 0; i < SOME; ++i) rank[i] <<= fine;
  for (int half = 1 << fine >> 1; half; half >>= 1)
    for (int i = 0; i < SOME; ++i)
      rank[i] += steps[i] > l.bounds[rank[i] + half - 1] ? half : 0;
}

int levels(const Levels& l, int threads) {
  const int64_t total = l.count * l.length, runs = (l.length + RUN - 1) / RUN;
  int unfit = 0;
  const int status = for_each(l.count * runs, 0, threads, [&](int64_t item, char*) {
    const int64_t row = item / runs, first = item % runs * RUN;
    const int64_t stop = least(l.length, first + RUN);
    bool finite = true;
    int32_t rank[SOME];
    for (int64_t k = first; k < stop; k += SOME) {
      const int64_t own = least(SOME, stop - k);
      ranks(l, l.numbers + row * l.stride + k, own, l.scale[row * l.scale_step], rank, finite);
      for (int64_t p = 0; p < l.planes; ++p) {
        const int8_t* digits = l.digits + (p << l.bits);
        int8_t* out = l.out + p * total + row * l.length + k;
        for (int64_t i = 0; i < own; ++i) out[i] = digits[rank[i]];
      }
    }
    if (!finite) __atomic_store_n(&unfit, 1, __ATOMIC_RELAXED);
  });
  return status ? status : unfit ? NOT_FINITE : DONE;
}

}  // namespace
