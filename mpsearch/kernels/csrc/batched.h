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

// Four codes of up to 64 rows as unsigned ones, a word a row, from input number 4 * four on.
INLINE void gather_unsigned(const Codes& b, const int8_t* rows, int64_t count, int64_t length,
                            int64_t four, uint32_t* words) {
  memset(words, 0, PANEL * sizeof(uint32_t));
  gather(b, rows + four * 4 * b.stride, count, least(4, length - four * 4), words);
  for (int c = 0; c < PANEL; ++c) words[c] ^= 0x80808080u;
}

// Codes of up to 64 rows as unsigned ones in a buffer's order; adds the signed codes to sums.
INLINE void fill_bytes(const Codes& b, const int8_t* rows, int64_t count, int64_t length,
                       int64_t units, uint8_t* buffer, int32_t* sums) {
  for (int64_t four = 0; four < 2 * units; ++four) {
    uint32_t words[PANEL];
    gather_unsigned(b, rows, count, length, four, words);
    each<4 * PARTS>([&](auto v) LAMBDA {
      const U32 w = load<U32>(words + v * LANES), codes = w ^ 0x80808080u;
      const I32 sum = ((I32)(codes << 24) >> 24) + ((I32)(codes << 16) >> 24) +
                      ((I32)(codes << 8) >> 24) + ((I32)codes >> 24);
      store(sums + v * LANES, load<I32>(sums + v * LANES) + sum);
      store(place(buffer, v, units, four), w);
    });
  }
}

// The same as words less their zero points.
INLINE void fill_words(const Codes& b, const int8_t* rows, int64_t count, int64_t length,
                       int64_t units, const int32_t* zero, uint8_t* buffer) {
  for (int64_t four = 0; four < 2 * units; ++four) {
    uint32_t words[PANEL];
    gather_unsigned(b, rows, count, length, four, words);
    each<4 * PARTS>([&](auto v) LAMBDA {
      store_words(buffer, v, units, four, load<U32>(words + v * LANES), both(zero + v * LANES));
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
  const int16_t* words;     // of a instead, where codes are multiplied as words

  void panel(int64_t batch, int64_t p, const Scratch& own) const {
    const int64_t count = least(PANEL, b.rows - p * PANEL);
    alignas(64) int32_t sums[PANEL] = {}, zero[PANEL] = {};
    float scale[PANEL] = {};
    for (int64_t c = 0; c < count; ++c) zero[c] = b.zero[(batch * b.rows + p * PANEL + c) * b.step] + 128;
    for (int64_t c = 0; !raw && c < count; ++c)
      scale[c] = b.scale[(batch * b.rows + p * PANEL + c) * b.step];
    multiply(batch, p, count, zero, sums, own);
    for (int64_t c = 0; c < count; ++c) sums[c] -= static_cast<int32_t>(length) * (zero[c] - 128);
    for (int64_t m = 0; m < a.rows; ++m) write(batch, p, m, zero, sums, scale, count, own);
  }

  void multiply(int64_t batch, int64_t p, int64_t count, const int32_t* zero, int32_t* sums,
                const Scratch& own) const {
    const int8_t* rows = b.codes + batch * b.batch_stride + p * PANEL * b.row_stride;
    const int64_t units = up(length, UNIT) / UNIT, piece = in_words(8) ? WORDS_PIECE : PIECE;
    for (int64_t u = 0; u < units; u += piece) {
      const int64_t now = least(piece, units - u), left = length - u * UNIT;
      const int8_t* from = rows + u * UNIT * b.stride;
      const int64_t at = batch * batch_stride + u * UNIT;
      if (in_words(8)) {
        fill_words(b, from, count, left, now, zero, own.buffer);
        words_panel(own.buffer, now, count, words + at, stride, a.rows, u == 0, own.sums);
      } else {
        fill_bytes(b, from, count, left, now, own.buffer, sums);
        buffered_panel(own.buffer, now, Blocks{nullptr, 0, block(8)}, codes + at, stride, a.rows,
                       u == 0, own.sums);
      }
    }
  }

  void write(int64_t batch, int64_t p, int64_t m, const int32_t* zero, const int32_t* weight_sums,
             const float* scale, int64_t count, const Scratch& own) const {
    const int64_t row = batch * a.rows + m, at = row * b.rows + p * PANEL;
    const Zeros zeros{words ? nullptr : zero, weight_sums, row_sums[row], a.zero[row * a.step]};
    const int32_t* sums = own.sums + m * PANEL;
    if (raw) return finish_sums(zeros, sums, count, static_cast<int32_t*>(out) + at);
    finish(zeros, sums, scale, a.scale[row * a.step], nullptr, count, static_cast<float*>(out) + at);
  }
};

int batched(const Codes& a, const Codes& b, int64_t batch, int64_t length, void* out, int raw,
            int threads) {
  if (batch == 0 || a.rows == 0 || b.rows == 0) return DONE;
  const Groups groups(length, 0);
  constexpr bool wide = in_words(8);
  const bool direct = !wide && groups.whole() && a.stride == 1;
  const int64_t dense = groups.units * UNIT, rows = batch * a.rows;
  Memory copy(direct ? 0 : rows * dense * (wide ? 2 : 1)), sums(rows * sizeof(int32_t));
  if (!copy.at || !sums.at) return NO_MEMORY;
  int8_t* own = direct || wide ? nullptr : static_cast<int8_t*>(copy.at);
  int16_t* words = wide ? static_cast<int16_t*>(copy.at) : nullptr;
  int32_t* row_sums = static_cast<int32_t*>(sums.at);
  for (int64_t r = 0; r < rows; ++r) {
    const int8_t* row = a.codes + r / a.rows * a.batch_stride + r % a.rows * a.row_stride;
    if (wide) widen_row(row, a.stride, length, dense, a.zero[r * a.step], words + r * dense);
    else prepare_row(row, a.stride, groups, own ? own + r * dense : nullptr, row_sums + r);
  }
  const Pairs pairs{a, b, length, out, raw != 0, own ? own : a.codes,
                    direct ? a.batch_stride : a.rows * dense, direct ? a.row_stride : dense,
                    row_sums, words};
  const int64_t panels = (b.rows + PANEL - 1) / PANEL;
  return for_each(batch * panels, Scratch::bytes(a.rows, true), threads,
                  [&](int64_t i, char* at) {
                    pairs.panel(i / panels, i % panels, Scratch(at, a.rows));
                  });
}

}  // namespace
