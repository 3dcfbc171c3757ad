// From sums of codes to results: less what zero points add, times scales, plus a bias.
//
// Every float32 operation is rounded by itself and in this order on all paths.
#pragma once

#include "layout.h"
#include "work.h"

namespace {

// What a row's sums with a panel hold beside the product: tables [64] of the panel, and of the row
// the sum of its codes and its zero point. No table of zero points: there is nothing to take away.
struct Zeros {
  const int32_t *zero, *sums;
  int32_t row_sum, row_zero;
  // Sums of lanes `v` less that: the exact product, modulo 2**32.
  INLINE I32 exact(const int32_t* from, int v) const {
    const I32 own = load<I32>(from + v * LANES);
    if (!zero) return own;
    return own - load<I32>(zero + v * LANES) * row_sum - load<I32>(sums + v * LANES) * row_zero;
  }
};

// store(v, f(v)) for the vectors of 64 numbers; of the last ones only what `count` leaves.
template <class T, class F>
INLINE void store_panel(T* out, int64_t count, F f) {
  if (count == PANEL) {
    for (int v = 0; v < 4 * PARTS; ++v) store(out + v * LANES, f(v));
    return;
  }
  alignas(64) T all[PANEL];
  for (int v = 0; v < 4 * PARTS; ++v) store(all + v * LANES, f(v));
  memcpy(out, all, count * sizeof(T));
}

INLINE void finish_sums(const Zeros& zeros, const int32_t* sums, int64_t count, int32_t* out) {
  store_panel(out, count, [&](int v) LAMBDA { return zeros.exact(sums, v); });
}

INLINE F32 scaled(const Zeros& zeros, const int32_t* sums, const float* scale, int v) {
  return __builtin_convertvector(zeros.exact(sums, v), F32) * load<F32>(scale + v * LANES);
}

// out = sums * scale [64] * row_scale + bias.
INLINE void finish(const Zeros& zeros, const int32_t* sums, const float* scale, float row_scale,
                   const float* bias, int64_t count, float* out) {
  alignas(64) float own[PANEL];
  if (bias && count < PANEL) bias = static_cast<float*>(memcpy(own, bias, count * sizeof(float)));
  if (bias)
    store_panel(out, count, [&](int v) LAMBDA {
      return scaled(zeros, sums, scale, v) * row_scale + load<F32>(bias + v * LANES);
    });
  else
    store_panel(out, count,
                [&](int v) LAMBDA { return scaled(zeros, sums, scale, v) * row_scale; });
}

// totals [64] of the groups before, plus those of this one.
INLINE void add_scaled(float* totals, const Zeros& zeros, const int32_t* sums, const float* scale,
                       bool first) {
  for (int v = 0; v < 4 * PARTS; ++v) {
    const F32 own = scaled(zeros, sums, scale, v);
    store(totals + v * LANES, first ? own : load<F32>(totals + v * LANES) + own);
  }
}

INLINE void finish_totals(const float* totals, float scale, const float* bias, int64_t count,
                          float* out) {
  if (bias)
    for (int64_t c = 0; c < count; ++c) out[c] = totals[c] * scale + bias[c];
  else
    for (int64_t c = 0; c < count; ++c) out[c] = totals[c] * scale;
}

}  // namespace
