// Many rows times a panel: the panel is unpacked to a buffer, where every tile of rows reads it.
//
// A buffer holds slices of TILE_VECTORS vectors of channels, one after the other; a slice holds
// its inputs, four at a time.
#pragma once

#include "layout.h"

namespace {

// How many units of some rows fit partial sums: the least of the rows' own numbers, or one for all.
struct Blocks {
  const int32_t* rows;  // a number a row, or null
  int64_t step, all;    // from a row's number to the next one's
  int64_t of(int64_t first, int64_t count) const {
    if (!rows) return all;
    int64_t most = rows[first * step];
    for (int64_t m = first + 1; m < first + count; ++m)
      most = rows[m * step] < most ? rows[m * step] : most;
    return most;
  }
};

constexpr int SLICE = TILE_VECTORS * BYTES;  // bytes of four inputs
constexpr int SLICES = 4 * PARTS / TILE_VECTORS;
constexpr int PIECE = 128;  // units at a time: a slice stays in the first cache

INLINE uint8_t* place(uint8_t* buffer, int vector, int64_t units, int64_t four) {
  return buffer + (vector / TILE_VECTORS * units * 2 + four) * SLICE +
         vector % TILE_VECTORS * BYTES;
}

template <int BITS>
void unpack_panel(const uint8_t* stream, int64_t units, uint8_t* buffer) {
  for (int64_t u = 0; u < units; ++u) {
    const uint8_t* unit = stream + u * unit_bytes(BITS);
    each<2>([&](auto h) LAMBDA {
      each<4 * PARTS>([&](auto v) LAMBDA {
        store(place(buffer, v, units, 2 * u + h), codes_of<BITS, h, v / PARTS, v % PARTS>(unit));
      });
    });
  }
}

// sums[R] (rows of 64) += R rows times a slice, in blocks of at most `most` units; `fresh` sums
// begin at 0.
template <int R>
void tile(const uint8_t* slice, int64_t units, int64_t most, const int8_t* x, int64_t stride,
          bool fresh, int32_t* sums) {
  for (int64_t u = 0; u < units; fresh = false) {
    const int64_t stop = units - u < most ? units : u + most;
    Part part[R][TILE_VECTORS] = {};
    for (; u < stop; ++u, slice += 2 * SLICE) {
      each<2>([&](auto h) LAMBDA {
        U32 w[TILE_VECTORS];
        each<TILE_VECTORS>([&](auto v) LAMBDA { w[v] = load<U32>(slice + h * SLICE + v * BYTES); });
        each<R>([&](auto r) LAMBDA {
          const U32 a = splat(x + r * stride + u * UNIT + h * 4);
          each<TILE_VECTORS>([&](auto v) LAMBDA { part[r][v] = mac(part[r][v], w[v], a); });
        });
      });
    }
    STAY;
    each<R>([&](auto r) LAMBDA {
      each<TILE_VECTORS>([&](auto v) LAMBDA {
        int32_t* at = sums + r * PANEL + v * LANES;
        store(at, widened(fresh ? I32{} : load<I32>(at), part[r][v]));
      });
    });
  }
}

// sums[rows][64] += rows times a buffer of `units` units; `fresh` sums begin at 0.
INLINE void buffered_panel(const uint8_t* buffer, int64_t units, const Blocks& blocks,
                           const int8_t* x, int64_t stride, int64_t rows, bool fresh,
                           int32_t* sums) {
  for (int s = 0; s < SLICES; ++s) {
    const uint8_t* slice = buffer + s * units * 2 * SLICE;
    int32_t* to = sums + s * TILE_VECTORS * LANES;
    int64_t m = 0;
    for (; m + TILE_ROWS <= rows; m += TILE_ROWS)
      tile<TILE_ROWS>(slice, units, blocks.of(m, TILE_ROWS), x + m * stride, stride, fresh,
                      to + m * PANEL);
    each<TILE_ROWS - 1>([&](auto r) {
      if (rows - m == r + 1)
        tile<r + 1>(slice, units, blocks.of(m, r + 1), x + m * stride, stride, fresh, to + m * PANEL);
    });
  }
}

}  // namespace
