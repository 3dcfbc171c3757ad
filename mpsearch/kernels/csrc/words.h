// Codes as int16, for processors whose products of bytes saturate: two inputs a lane, added to int32.
//
// Both factors come less their zero points, so that sums need no correction (a few rows correct them
// at once). Of four inputs, words hold 0 and 2, then 1 and 3: from bytes, one mask and one shift.
// Inputs filled up are 0 in rows.
#pragma once

#include "buffered.h"
#include "fused.h"
#include "work.h"

namespace {

constexpr int WORDS_PIECE = 64;  // units at a time: a slice stays in the first cache
constexpr int PAIRS = UNIT / 2;

typedef uint16_t U16 __attribute__((vector_size(BYTES)));

// One code in both words of every lane, from an int32 a lane.
INLINE U32 both(const int32_t* numbers) {
  const U32 low = load<U32>(numbers) & 0xffffu;
  return low | low << 16;
}

INLINE U32 minus(U32 words, U32 zero) { return (U32)((U16)words - (U16)zero); }
INLINE U32 even_words(U32 codes) { return codes & 0x00ff00ffu; }
INLINE U32 odd_words(U32 codes) { return (U32)((U16)codes >> 8); }

INLINE uint8_t* words_place(uint8_t* buffer, int vector, int64_t units, int64_t pair) {
  return buffer + (vector / TILE_VECTORS * units * PAIRS + pair) * SLICE +
         vector % TILE_VECTORS * BYTES;
}

// Where four codes a lane go as two vectors of words.
INLINE void store_words(uint8_t* buffer, int vector, int64_t units, int64_t four, U32 codes,
                        U32 zero) {
  store(words_place(buffer, vector, units, 2 * four), minus(even_words(codes), zero));
  store(words_place(buffer, vector, units, 2 * four + 1), minus(odd_words(codes), zero));
}

template <int BITS>
void unpack_words(const uint8_t* stream, int64_t units, const int32_t* zero, uint8_t* buffer) {
  each<4 * PARTS>([&](auto v) LAMBDA {
    const U32 own = both(zero + v * LANES);
    for (int64_t u = 0; u < units; ++u)
      each<2>([&](auto h) LAMBDA {
        store_words(buffer, v, units, 2 * u + h,
                    codes_of<BITS, h, v / PARTS, v % PARTS>(stream + u * unit_bytes(BITS)),
                    own);
      });
  });
}

// sums[R] (rows of 64) += R rows times a slice; `fresh` sums begin at 0.
template <int R>
void words_tile(const uint8_t* slice, int64_t units, const int16_t* x, int64_t stride,
                bool fresh, int32_t* sums) {
  I32 part[R][TILE_VECTORS];
  each<R>([&](auto r) LAMBDA {
    each<TILE_VECTORS>([&](auto v) LAMBDA {
      part[r][v] = fresh ? I32{} : load<I32>(sums + r * PANEL + v * LANES);
    });
  });
  for (int64_t u = 0; u < units; ++u, x += UNIT, slice += PAIRS * SLICE) {
    each<PAIRS>([&](auto p) LAMBDA {
      U32 w[TILE_VECTORS];
      each<TILE_VECTORS>([&](auto v) LAMBDA { w[v] = load<U32>(slice + p * SLICE + v * BYTES); });
      each<R>([&](auto r) LAMBDA {
        const U32 a = splat(x + r * stride + p * 2);
        each<TILE_VECTORS>([&](auto v) LAMBDA { part[r][v] = mac_words(part[r][v], w[v], a); });
      });
    });
  }
  each<R>([&](auto r) LAMBDA {
    each<TILE_VECTORS>([&](auto v) LAMBDA { store(sums + r * PANEL + v * LANES, part[r][v]); });
  });
}

// sums[rows][64] += rows times a buffer of `units` units, for the slices that hold the first `count`
// channels; `fresh` sums begin at 0.
INLINE void words_panel(const uint8_t* buffer, int64_t units, int64_t count, const int16_t* x,
                        int64_t stride, int64_t rows, bool fresh, int32_t* sums) {
  for (int s = 0; s * TILE_VECTORS * LANES < count; ++s) {
    const uint8_t* slice = buffer + s * units * PAIRS * SLICE;
    int32_t* to = sums + s * TILE_VECTORS * LANES;
    int64_t m = 0;
    for (; m + TILE_ROWS <= rows; m += TILE_ROWS)
      words_tile<TILE_ROWS>(slice, units, x + m * stride, stride, fresh, to + m * PANEL);
    each<TILE_ROWS - 1>([&](auto r) {
      if (rows - m == r + 1)
        words_tile<r + 1>(slice, units, x + m * stride, stride, fresh, to + m * PANEL);
    });
  }
}

// sums[R][64] += R rows times `units` units of a panel, quarters FIRST to FIRST + SPAN - 1.
template <int BITS, int R, int FIRST, int SPAN>
INLINE void words_block(const uint8_t* unit, int64_t units, const int16_t* x, int64_t stride,
                        int32_t* sums) {
  constexpr int V = SPAN * PARTS;
  I32 part[R][V];
  each<V>([&](auto v) LAMBDA {
    each<R>([&](auto r) LAMBDA {
      part[r][v] = load<I32>(sums + r * PANEL + (FIRST * PARTS + v) * LANES);
    });
  });
  for (int64_t u = 0; u < units; ++u, unit += unit_bytes(BITS), x += UNIT) {
    if constexpr (FIRST == 0) foresee<BITS>(unit);
    each<2>([&](auto h) LAMBDA {
      each<V>([&](auto v) LAMBDA {
        const U32 codes = codes_of<BITS, h, FIRST + v / PARTS, v % PARTS>(unit);
        const U32 even = even_words(codes), odd = odd_words(codes);
        each<R>([&](auto r) LAMBDA {
          const int16_t* at = x + r * stride + h * 4;
          part[r][v] = mac_words(mac_words(part[r][v], even, splat(at)), odd, splat(at + 2));
        });
      });
    });
  }
  each<R>([&](auto r) LAMBDA {
    each<V>([&](auto v) LAMBDA {
      store(sums + r * PANEL + (FIRST * PARTS + v) * LANES, part[r][v]);
    });
  });
}

// sums[64] less what the zero points of a panel add: the sum of the row times each.
INLINE void less_zeros(const int16_t* x, int64_t length, const int32_t* zero, int32_t* sums) {
  int32_t total = 0;
  for (int64_t k = 0; k < length; ++k) total += x[k];
  each<4 * PARTS>([&](auto v) LAMBDA {
    store(sums + v * LANES, load<I32>(sums + v * LANES) - load<I32>(zero + v * LANES) * total);
  });
}

// Zero points are taken from sums, not from codes: with a few rows, codes are what takes the time.
template <int BITS, int R>
void words_rows(const uint8_t* stream, int64_t units, const int16_t* x, int64_t stride,
                const int32_t* zero, int32_t* sums) {
  constexpr int SPAN = R == 1 ? 4 : R == 2 ? 2 : 1;
  for (int64_t u = 0; u < units; u += STRIDE)
    each<4 / SPAN>([&](auto s) LAMBDA {
      words_block<BITS, R, s * SPAN, SPAN>(stream + u * unit_bytes(BITS), least(STRIDE, units - u),
                                           x + u * UNIT, stride, sums);
    });
  for (int r = 0; r < R; ++r) less_zeros(x + r * stride, units * UNIT, zero, sums + r * PANEL);
}

// sums[rows][64] = rows times `units` units of a packed panel.
template <int BITS>
void add_words(const uint8_t* stream, int64_t units, const int16_t* x, int64_t stride,
               int64_t rows, bool fused, const int32_t* zero, int32_t* sums, uint8_t* buffer) {
  if (!fused) {
    for (int64_t u = 0; u < units; u += WORDS_PIECE) {
      const int64_t now = least(WORDS_PIECE, units - u);
      unpack_words<BITS>(stream + u * unit_bytes(BITS), now, zero, buffer);
      words_panel(buffer, now, PANEL, x + u * UNIT, stride, rows, u == 0, sums);
    }
    return;
  }
  memset(sums, 0, rows * PANEL * sizeof(int32_t));
  int64_t m = 0;
  for (; m + 3 <= rows; m += 3)
    words_rows<BITS, 3>(stream, units, x + m * stride, stride, zero, sums + m * PANEL);
  if (rows - m == 2)
    words_rows<BITS, 2>(stream, units, x + m * stride, stride, zero, sums + m * PANEL);
  else if (rows - m == 1)
    words_rows<BITS, 1>(stream, units, x + m * stride, stride, zero, sums + m * PANEL);
}

// A row of codes less its zero point, in the order that words have, and zeros up to `full`.
INLINE void widen_row(const int8_t* row, int64_t stride, int64_t length, int64_t full,
                      int32_t zero, int16_t* to) {
  int64_t k = stride == 1 ? widen_fours(row, length, zero, to) : 0;
  for (; k < length; ++k) {
    const int64_t at = k & 3, place = at == 1 ? 2 : at == 2 ? 1 : at;
    to[k - at + place] = static_cast<int16_t>(row[k * stride] - zero);
  }
  for (; k < full; ++k) {
    const int64_t at = k & 3, place = at == 1 ? 2 : at == 2 ? 1 : at;
    to[k - at + place] = 0;
  }
}

// The same for every group of a row.
INLINE void widen_groups(const int8_t* row, const Groups& groups, int32_t zero, int16_t* to) {
  for (int64_t g = 0; g < groups.count; ++g)
    widen_row(row + g * groups.size, 1, least(groups.size, groups.length - g * groups.size),
              groups.units * UNIT, zero, to + g * groups.units * UNIT);
}

}  // namespace
