// Activation codes [M, K] times a packed weight [N, K].
#pragma once

#include "buffered.h"
#include "fused.h"
#include "work.h"

namespace {

constexpr int64_t CHUNK = 192;    // rows that share an unpacked panel
constexpr int64_t FEW = 16;       // rows of a chunk that is not buffered

struct Scratch {
  int32_t* sums;   // [rows][64]
  float* totals;   // [rows][64]
  uint8_t* buffer;
  static int64_t bytes(int64_t rows, bool buffered) {
    return rows * PANEL * 8 + (buffered ? int64_t(2) * PIECE * 2 * 256 : 0);
  }
  Scratch(char* at, int64_t rows)
      : sums(reinterpret_cast<int32_t*>(at)),
        totals(reinterpret_cast<float*>(at + rows * PANEL * 4)),
        buffer(reinterpret_cast<uint8_t*>(at + rows * PANEL * 8)) {}
};

template <int BITS>
void add_group(const uint8_t* stream, int64_t units, const int8_t* x, int64_t stride,
               int64_t rows, bool fused, const Scratch& own) {
  if (fused) return fused_panel<BITS>(stream, units, x, stride, rows, own.sums);
  for (int64_t u = 0; u < units; u += PIECE) {
    const int64_t now = least(PIECE, units - u);
    unpack_panel<BITS>(stream + u * unit_bytes(BITS), now, own.buffer);
    buffered_panel(own.buffer, now, planes(BITS), block(BITS), x + u * UNIT, stride, rows,
                   own.sums);
  }
}

typedef void (*AddGroup)(const uint8_t*, int64_t, const int8_t*, int64_t, int64_t, bool,
                         const Scratch&);
// ONLY_BITS leaves one width: sanitizers take a minute to compile all.
template <int BITS>
constexpr AddGroup add_group_of() {
#ifdef ONLY_BITS
  if constexpr (BITS != ONLY_BITS) return nullptr;
  else
#endif
    return add_group<BITS>;
}

constexpr AddGroup ADD_GROUP[] = {add_group_of<2>(), add_group_of<3>(), add_group_of<4>(),
                                  add_group_of<5>(), add_group_of<6>(), add_group_of<7>(),
                                  add_group_of<8>()};

// sums less what the zero points contribute: the exact product, modulo 2**32.
INLINE void less_zeros(int32_t* sums, const int32_t* zero, const int32_t* weight_sums,
                       int32_t row_sum, int32_t row_zero) {
  for (int c = 0; c < PANEL; ++c)
    sums[c] = sums[c] - zero[c] * row_sum - row_zero * weight_sums[c];
}

INLINE void add_scaled(float* totals, const int32_t* sums, const float* scale, bool first) {
  for (int c = 0; c < PANEL; ++c) {
    const float scaled = static_cast<float>(sums[c]) * scale[c];
    totals[c] = first ? scaled : totals[c] + scaled;
  }
}

INLINE void finish(const float* totals, float scale, const float* bias, int64_t count,
                   float* out) {
  if (bias)
    for (int64_t c = 0; c < count; ++c) out[c] = totals[c] * scale + bias[c];
  else
    for (int64_t c = 0; c < count; ++c) out[c] = totals[c] * scale;
}

struct Product {
  const Rows& rows;
  const Weight& weight;
  const float* bias;
  void* out;
  bool raw, fused;
  Groups groups;
  const int8_t* codes;  // in whole units
  int64_t stride;
  const int32_t* row_sums;  // [rows][groups]

  void panel(int64_t p, int64_t first, int64_t count, const Scratch& own) const {
    const int64_t bytes = groups.units * unit_bytes(weight.bits);
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t place = p * groups.count + g, table = place * PANEL;
      memset(own.sums, 0, count * PANEL * sizeof(int32_t));
      ADD_GROUP[weight.bits - 2](weight.stream + place * bytes, groups.units,
                                 codes + first * stride + g * groups.units * UNIT, stride, count,
                                 fused, own);
      for (int64_t m = 0; m < count; ++m) {
        int32_t* sums = own.sums + m * PANEL;
        less_zeros(sums, weight.zero + table, weight.sums + table,
                   row_sums[(first + m) * groups.count + g], zero_of(first + m));
        if (!raw) add_scaled(own.totals + m * PANEL, sums, weight.scale + table, g == 0);
      }
    }
    for (int64_t m = 0; m < count; ++m) write(p, first + m, m, own);
  }

  int32_t zero_of(int64_t m) const { return rows.zero ? rows.zero[m * rows.zero_step] : 0; }

  void write(int64_t p, int64_t row, int64_t m, const Scratch& own) const {
    const int64_t n = p * PANEL, count = least(PANEL, weight.outputs - n);
    const int64_t at = row * weight.outputs + n;
    if (raw)
      memcpy(static_cast<int32_t*>(out) + at, own.sums + m * PANEL, count * sizeof(int32_t));
    else
      finish(own.totals + m * PANEL, rows.scale[row * rows.scale_step], bias ? bias + n : bias,
             count, static_cast<float*>(out) + at);
  }
};

int linear(const Rows& rows, const Weight& weight, const float* bias, void* out, int raw, int way,
           int threads) {
  const int64_t m = rows.count;
  if (m == 0 || weight.outputs == 0) return DONE;
  const Groups groups(weight.inputs, weight.group);
  const bool direct = groups.whole();
  const int64_t dense = groups.count * groups.units * UNIT;
  Memory copy(direct ? 0 : m * dense), sums(m * groups.count * sizeof(int32_t));
  if (!copy.at || !sums.at) return NO_MEMORY;
  int8_t* own = direct ? nullptr : static_cast<int8_t*>(copy.at);
  int32_t* row_sums = static_cast<int32_t*>(sums.at);
  for (int64_t r = 0; r < m; ++r)
    prepare_row(rows.codes + r * rows.stride, 1, groups, own ? own + r * dense : nullptr,
                row_sums + r * groups.count);
  const bool fused = way == FUSED || (way == AUTOMATIC && m <= FUSED_MOST);
  const Product product{rows,  weight, bias, out, raw != 0, fused, groups, own ? own : rows.codes,
                        own ? dense : rows.stride, row_sums};
  const int64_t panels = (weight.outputs + PANEL - 1) / PANEL;
  const int64_t chunk = fused ? least(m, FEW) : chunk_of(m, CHUNK, TILE_ROWS);
  const int64_t chunks = (m + chunk - 1) / chunk;
  return for_each(panels * chunks, Scratch::bytes(chunk, !fused), threads,
                  [&](int64_t i, char* at) {
                    const int64_t first = i % chunks * chunk;
                    product.panel(i / chunks, first, least(chunk, m - first), Scratch(at, chunk));
                  });
}

}  // namespace
