// A few rows times a panel: codes are unpacked in registers and used at once.
#pragma once

#include "buffered.h"

namespace {

constexpr int64_t AHEAD = 2048;  // bytes
constexpr int64_t STRIDE = 32;  // units at most before the next quarters: memory is read in order

// Asks for the unit that lies AHEAD: left to itself, the processor waits for weights that come from
// memory. Beyond the stream this does nothing.
template <int BITS>
INLINE void foresee(const uint8_t* unit) {
  each<BITS>([&](auto line) LAMBDA { __builtin_prefetch(unit + AHEAD + line * 64); });
}

// sums[R][64] += R rows times a block of units, quarters FIRST to FIRST + SPAN - 1.
template <int BITS, int R, int FIRST, int SPAN>
INLINE void fused_block(const uint8_t* unit, int64_t units, const int8_t* x, int64_t stride,
                        int32_t* sums) {
  constexpr int V = SPAN * PARTS;
  Part part[R][V] = {};
  for (int64_t u = 0; u < units; ++u, unit += unit_bytes(BITS), x += UNIT) {
    if constexpr (FIRST == 0) foresee<BITS>(unit);
    each<2>([&](auto h) LAMBDA {
      U32 a[R];
      each<R>([&](auto r) LAMBDA { a[r] = splat(x + r * stride + h * 4); });
      each<V>([&](auto v) LAMBDA {
        const U32 w = codes_of<BITS, h, FIRST + v / PARTS, v % PARTS>(unit);
        each<R>([&](auto r) LAMBDA { part[r][v] = mac(part[r][v], w, a[r]); });
      });
    });
  }
  STAY;
  each<R>([&](auto r) LAMBDA {
    each<V>([&](auto v) LAMBDA {
      int32_t* at = sums + r * PANEL + (FIRST * PARTS + v) * LANES;
      store(at, widened(load<I32>(at), part[r][v]));
    });
  });
}

// sums[R][64] += R rows times `units` units of a panel.
template <int BITS, int R>
void fused_rows(const uint8_t* stream, int64_t units, int64_t most, const int8_t* x,
                int64_t stride, int32_t* sums) {
  constexpr int SPAN = fused_span(R);
  const int64_t step = most < STRIDE ? most : STRIDE;
  for (int64_t u = 0; u < units; u += step)
    each<4 / SPAN>([&](auto s) LAMBDA {
      fused_block<BITS, R, s * SPAN, SPAN>(stream + u * unit_bytes(BITS),
                                           units - u < step ? units - u : step, x + u * UNIT,
                                           stride, sums);
    });
}

// The most rows that are done at once, then what is left.
template <int BITS>
void fused_panel(const uint8_t* stream, int64_t units, const Blocks& blocks, const int8_t* x,
                 int64_t stride, int64_t rows, int32_t* sums) {
  for (int64_t m = 0; m < rows;) {
    const int8_t* at = x + m * stride;
    int32_t* to = sums + m * PANEL;
    const int64_t left = rows - m;
    if (FUSED_ROWS >= 6 && left >= 6) {
      fused_rows<BITS, FUSED_ROWS >= 6 ? 6 : 1>(stream, units, blocks.of(m, 6), at, stride, to);
      m += 6;
    } else if (FUSED_ROWS >= 3 && left >= 3) {
      fused_rows<BITS, FUSED_ROWS >= 3 ? 3 : 1>(stream, units, blocks.of(m, 3), at, stride, to);
      m += 3;
    } else if (FUSED_ROWS >= 2 && left == 2) {
      fused_rows<BITS, FUSED_ROWS >= 2 ? 2 : 1>(stream, units, blocks.of(m, 2), at, stride, to);
      m += 2;
    } else {
      fused_rows<BITS, 1>(stream, units, blocks.of(m, 1), at, stride, to);
      m += 1;
    }
  }
}

}  // namespace
