// A few rows times a panel: codes are unpacked in registers and used at once.
#pragma once

#include "layout.h"

namespace {

// sums[R][64] += rows times `units` units of a panel, quarters FIRST to FIRST + SPAN - 1.
template <int BITS, int R, int FIRST, int SPAN>
void fused_quarters(const uint8_t* stream, int64_t units, const int8_t* x, int64_t stride,
                    int32_t* sums) {
  constexpr int V = SPAN * PARTS, SPLIT = planes(BITS);
  for (int64_t u = 0; u < units;) {
    const int64_t stop = units - u < block(BITS) ? units : u + block(BITS);
    Part part[SPLIT][R][V] = {};
    for (; u < stop; ++u) {
      const uint8_t* unit = stream + u * unit_bytes(BITS);
      each<2>([&](auto h) LAMBDA {
        U32 a[R];
        each<R>([&](auto r) LAMBDA { a[r] = splat(x + r * stride + u * UNIT + h * 4); });
        each<V>([&](auto v) LAMBDA {
          const U32 w = codes_of<BITS, h, FIRST + v / PARTS, v % PARTS>(unit);
          each<SPLIT>([&](auto p) LAMBDA {
            const U32 own = SPLIT == 1 ? w : (p ? w >> 4 : w) & 0x0f0f0f0fu;
            each<R>([&](auto r) LAMBDA { part[p][r][v] = mac(part[p][r][v], own, a[r]); });
          });
        });
      });
    }
    each<R>([&](auto r) LAMBDA {
      each<V>([&](auto v) LAMBDA {
        int32_t* at = sums + r * PANEL + (FIRST * PARTS + v) * LANES;
        I32 acc = load<I32>(at);
        each<SPLIT>([&](auto p) LAMBDA { acc = widened(acc, part[p][r][v], p ? 16 : 1); });
        store(at, acc);
      });
    });
  }
}

template <int BITS, int R>
void fused_rows(const uint8_t* stream, int64_t units, const int8_t* x, int64_t stride,
                int32_t* sums) {
  constexpr int SPAN = fused_span(R, planes(BITS));
  each<4 / SPAN>([&](auto s) {
    fused_quarters<BITS, R, s * SPAN, SPAN>(stream, units, x, stride, sums);
  });
}

// The most rows that are done at once, then what is left.
template <int BITS>
void fused_panel(const uint8_t* stream, int64_t units, const int8_t* x, int64_t stride,
                 int64_t rows, int32_t* sums) {
  for (int64_t m = 0; m < rows;) {
    const int8_t* at = x + m * stride;
    int32_t* to = sums + m * PANEL;
    const int64_t left = rows - m;
    if (FUSED_ROWS >= 6 && left >= 6) {
      fused_rows<BITS, FUSED_ROWS >= 6 ? 6 : 1>(stream, units, at, stride, to);
      m += 6;
    } else if (FUSED_ROWS >= 3 && left >= 3) {
      fused_rows<BITS, FUSED_ROWS >= 3 ? 3 : 1>(stream, units, at, stride, to);
      m += 3;
    } else if (FUSED_ROWS >= 2 && left == 2) {
      fused_rows<BITS, FUSED_ROWS >= 2 ? 2 : 1>(stream, units, at, stride, to);
      m += 2;
    } else {
      fused_rows<BITS, 1>(stream, units, at, stride, to);
      m += 1;
    }
  }
}

}  // namespace
