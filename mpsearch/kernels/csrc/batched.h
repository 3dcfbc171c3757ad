// Products of two activations: [B, M, K] times [B, N, K].
#pragma once

#include "linear.h"

namespace {

// Four codes of `count` rows as words, the first in the lowest byte.
INLINE void gather(const Codes& b, const int8_t* from, int64_t count, int64_t own,
                   uint32_t* words) {
  if (b.stride == 1 && own == 4) {
    for (int64_t c = 0; c < count; ++c) memcpy(words + c, from + c * b.row_stride, 4);
    return;
  }
  for (int64_t i = 0; i < own; ++i, from += b.stride)
    if (b.row_stride == 1)
      for (int64_t c = 0; c < count; ++c)
        words[c] |= static_cast<uint32_t>(static_cast<uint8_t>(from[c])) << (8 * i);
    else
      for (int64_t c = 0; c < count; ++c)
        words[c] |= static_cast<uint32_t>(static_cast<uint8_t>(from[c * b.row_stride])) << (8 * i);
}

// Codes of up to 64 rows as unsigned ones in a buffer's order; adds the signed codes to sums.
INLINE void fill_buffer(const Codes& b, const int8_t* rows, int64_t count, int64_t length,
                        int64_t units, uint8_t* buffer, int32_t* sums) {
  constexpr int SPLIT = planes(8);
  for (int64_t four = 0; four < 2 * units; ++four) {
    const int64_t own = least(4, length - four * 4);
    uint32_t words[PANEL] = {};
    gather(b, rows + four * 4 * b.stride, count, own, words);
    each<4 * PARTS>([&](auto v) LAMBDA {
      const U32 codes = load<U32>(words + v * LANES), w = codes ^ 0x80808080u;
      const I32 sum = ((I32)(codes << 24) >> 24) + ((I32)(codes << 16) >> 24) +
                      ((I32)(codes << 8) >> 24) + ((I32)codes >> 24);
      store(sums + v * LANES, load<I32>(sums + v * LANES) + sum);
      each<SPLIT>([&](auto p) LAMBDA {
        const U32 half = SPLIT == 1 ? w : (p ? w >> 4 : w) & 0x0f0f0f0fu;
        store(place(buffer, v, p, SPLIT, units, four), half);
      });
    });
  }
}

struct Pairs {
  const Codes &a, &b;
  int64_t length;
  void* out;
  bool raw;
  const int8_t* codes;  // of a in whole units, [batch][rows]
  int64_t batch_stride, stride;
  const int32_t* row_sums;  // [batch][rows]

  void panel(int64_t batch, int64_t p, const Scratch& own) const {
    const int64_t count = least(PANEL, b.rows - p * PANEL);
    const int8_t* rows = b.codes + batch * b.batch_stride + p * PANEL * b.row_stride;
    int32_t sums[PANEL] = {}, zero[PANEL] = {};
    memset(own.sums, 0, a.rows * PANEL * sizeof(int32_t));
    const int64_t units = up(length, UNIT) / UNIT;
    for (int64_t u = 0; u < units; u += PIECE) {
      const int64_t now = least(PIECE, units - u);
      fill_buffer(b, rows + u * UNIT * b.stride, count, length - u * UNIT, now, own.buffer, sums);
      buffered_panel(own.buffer, now, planes(8), block(8),
                     codes + batch * batch_stride + u * UNIT, stride, a.rows, own.sums);
    }
    for (int64_t c = 0; c < count; ++c) {
      const int32_t signed_zero = b.zero[batch * b.rows + p * PANEL + c];
      zero[c] = signed_zero + 128;
      sums[c] -= static_cast<int32_t>(length) * signed_zero;
    }
    for (int64_t m = 0; m < a.rows; ++m) write(batch, p, m, zero, sums, count, own);
  }

  void write(int64_t batch, int64_t p, int64_t m, const int32_t* zero, const int32_t* weight_sums,
             int64_t count, const Scratch& own) const {
    const int64_t row = batch * a.rows + m, at = row * b.rows + p * PANEL;
    int32_t* sums = own.sums + m * PANEL;
    less_zeros(sums, zero, weight_sums, row_sums[row], a.zero[row]);
    if (raw) {
      memcpy(static_cast<int32_t*>(out) + at, sums, count * sizeof(int32_t));
      return;
    }
    const float *scale = b.scale + batch * b.rows + p * PANEL, of_row = a.scale[row];
    float* to = static_cast<float*>(out) + at;
    for (int64_t c = 0; c < count; ++c) to[c] = static_cast<float>(sums[c]) * scale[c] * of_row;
  }
};

int batched(const Codes& a, const Codes& b, int64_t batch, int64_t length, void* out, int raw,
            int threads) {
  if (batch == 0 || a.rows == 0 || b.rows == 0) return DONE;
  const Groups groups(length, 0);
  const bool direct = groups.whole() && a.stride == 1;
  const int64_t dense = groups.units * UNIT, rows = batch * a.rows;
  Memory copy(direct ? 0 : rows * dense), sums(rows * sizeof(int32_t));
  if (!copy.at || !sums.at) return NO_MEMORY;
  int8_t* own = direct ? nullptr : static_cast<int8_t*>(copy.at);
  int32_t* row_sums = static_cast<int32_t*>(sums.at);
  for (int64_t r = 0; r < rows; ++r)
    prepare_row(a.codes + r / a.rows * a.batch_stride + r % a.rows * a.row_stride, a.stride,
                groups, own ? own + r * dense : nullptr, row_sums + r);
  const Pairs pairs{a, b, length, out, raw != 0, own ? own : a.codes,
                    own ? a.rows * dense : a.batch_stride, own ? dense : a.row_stride, row_sums};
  const int64_t panels = (b.rows + PANEL - 1) / PANEL;
  return for_each(batch * panels, Scratch::bytes(a.rows, true), threads,
                  [&](int64_t i, char* at) {
                    pairs.panel(i / panels, i % panels, Scratch(at, a.rows));
                  });
}

}  // namespace
