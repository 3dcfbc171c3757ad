// Activation codes [M, K] times a packed weight [N, K].
#pragma once

#include "buffered.h"
#include "finish.h"
#include "functions.h"
#include "fused.h"
#include "words.h"
#include "work.h"

namespace {

constexpr int64_t CHUNK = 256;    // rows that share an unpacked panel
constexpr int64_t FEW = 16;       // rows of a chunk that is not buffered

struct Scratch {
  int32_t* sums;   // [rows][64]
  float* totals;   // [rows][64]
  uint8_t* buffer;
  static int64_t bytes(int64_t rows, bool buffered) {
    return rows * PANEL * 8 + (buffered ? int64_t(PIECE) * 2 * 256 : 0);
  }
  Scratch(char* at, int64_t rows)
      : sums(reinterpret_cast<int32_t*>(at)),
        totals(reinterpret_cast<float*>(at + rows * PANEL * 4)),
        buffer(reinterpret_cast<uint8_t*>(at + rows * PANEL * 8)) {}
};

// Rows of a chunk as they are multiplied: bytes, or words where the path has them.
struct Ready {
  const int8_t* bytes;
  const int16_t* words;
  int64_t stride;
  Blocks blocks;
};

// sums = rows times a group of a panel.
template <int BITS>
void add_group(const uint8_t* stream, int64_t units, const Ready& x, int64_t rows, bool fused,
               const int32_t* zero, const Scratch& own) {
  if constexpr (in_words(BITS))
    return add_words<BITS>(stream, units, x.words, x.stride, rows, fused, zero, own.sums,
                           own.buffer);
  if (fused) {
    memset(own.sums, 0, rows * PANEL * sizeof(int32_t));
    return fused_panel<BITS>(stream, units, x.blocks, x.bytes, x.stride, rows, own.sums);
  }
  for (int64_t u = 0; u < units; u += PIECE) {
    const int64_t now = least(PIECE, units - u);
    unpack_panel<BITS>(stream + u * unit_bytes(BITS), now, own.buffer);
    buffered_panel(own.buffer, now, x.blocks, x.bytes + u * UNIT, x.stride, rows, u == 0,
                   own.sums);
  }
}

typedef void (*AddGroup)(const uint8_t*, int64_t, const Ready&, int64_t, bool, const int32_t*,
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

// All rows as they are multiplied, and what is known of each and its groups.
struct Prepared {
  const Rows& rows;
  Groups groups;
  bool words, bounded;
  int64_t dense;
  Memory copy, sums, reaches;

  Prepared(const Rows& from, const Weight& weight)
      : rows(from),
        groups(weight.inputs, weight.group),
        words(in_words(static_cast<int>(weight.bits))),
        bounded(::bounded(static_cast<int>(weight.bits))),
        dense(groups.count * groups.units * UNIT),
        copy(words ? rows.count * dense * 2 : groups.whole() ? 0 : rows.count * dense),
        sums(words ? 0 : rows.count * groups.count * sizeof(int32_t)),
        reaches(bounded ? rows.count * groups.count * sizeof(int32_t) : 0) {}

  bool there() const { return copy.at && sums.at && reaches.at; }
  int32_t* row_sums(int64_t m) const { return static_cast<int32_t*>(sums.at) + m * groups.count; }
  int32_t* row_reaches(int64_t m) const {
    return static_cast<int32_t*>(reaches.at) + m * groups.count;
  }
  float scale_of(int64_t m) const { return rows.scale[m * rows.scale_step]; }
  int32_t zero_of(int64_t m) const { return rows.zero ? rows.zero[m * rows.zero_step] : 0; }

  void prepare(int64_t m, int bits) const {
    const int8_t* row = rows.codes + m * rows.stride;
    if (words)
      return widen_groups(row, groups, zero_of(m), static_cast<int16_t*>(copy.at) + m * dense);
    int8_t* own = groups.whole() ? nullptr : static_cast<int8_t*>(copy.at) + m * dense;
    prepare_row(row, 1, groups, own, row_sums(m));
    for (int64_t g = 0; bounded && g < groups.count; ++g)
      row_reaches(m)[g] = reach((own ? own : row) + g * groups.units * UNIT, groups.units, bits);
  }

  // Group g of the rows from `first` on.
  Ready ready(int64_t first, int64_t g, int bits) const {
    const int64_t at = g * groups.units * UNIT;
    const Blocks blocks{bounded ? row_reaches(first) + g : nullptr, groups.count, block(bits)};
    if (words) return {nullptr, static_cast<int16_t*>(copy.at) + first * dense + at, dense, blocks};
    if (groups.whole()) return {rows.codes + first * rows.stride + at, nullptr, rows.stride, blocks};
    return {static_cast<int8_t*>(copy.at) + first * dense + at, nullptr, dense, blocks};
  }
};

struct Product {
  const Prepared& x;
  const Weight& weight;
  const After& after;
  void* out;
  bool raw, fused;
  int* unfit;

  void panel(int64_t p, int64_t first, int64_t count, const Scratch& own) const {
    const Groups& groups = x.groups;
    const int bits = static_cast<int>(weight.bits);
    const int64_t bytes = groups.units * unit_bytes(bits);
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t place = p * groups.count + g, table = place * PANEL;
      ADD_GROUP[bits - 2](weight.stream + place * bytes, groups.units, x.ready(first, g, bits),
                          count, fused, weight.zero + table, own);
      for (int64_t m = 0; m < count; ++m) {
        const int64_t row = first + m;
        const Zeros zeros{x.words ? nullptr : weight.zero + table, weight.sums + table,
                          x.words ? 0 : x.row_sums(row)[g], x.zero_of(row)};
        int32_t* sums = own.sums + m * PANEL;
        if (groups.count == 1) write(p, row, zeros, sums);
        else add_scaled(own.totals + m * PANEL, zeros, sums, weight.scale + table, g == 0);
      }
    }
    for (int64_t m = 0; groups.count > 1 && m < count; ++m) write_totals(p, first + m, m, own);
  }

  void write(int64_t p, int64_t row, const Zeros& zeros, const int32_t* sums) const {
    const int64_t n = p * PANEL, count = least(PANEL, weight.outputs - n);
    const int64_t at = row * weight.outputs + n;
    if (raw) return finish_sums(zeros, sums, count, static_cast<int32_t*>(out) + at);
    follow(row, n, count, [&](float* to) LAMBDA {
      finish(zeros, sums, weight.scale + n, x.scale_of(row), after.bias ? after.bias + n : nullptr,
             count, to);
    });
  }

  void write_totals(int64_t p, int64_t row, int64_t m, const Scratch& own) const {
    const int64_t n = p * PANEL, count = least(PANEL, weight.outputs - n);
    follow(row, n, count, [&](float* to) LAMBDA {
      finish_totals(own.totals + m * PANEL, x.scale_of(row), after.bias ? after.bias + n : nullptr,
                    count, to);
    });
  }

  // What follows the bias in `count` outputs from n on, which made(to) writes.
  template <class F>
  INLINE void follow(int64_t row, int64_t n, int64_t count, F made) const {
    const int64_t at = row * weight.outputs + n;
    float* numbers = static_cast<float*>(out) + at;
    if (!after.gelu && !after.add && !after.coding) return made(numbers);
    alignas(64) float own[PANEL] = {};
    made(own);
    if (after.gelu) gelu_row(own, PANEL);
    if (after.coding) {
      float scale;
      int32_t zero;
      if (!coded(*after.coding, own, count, static_cast<int8_t*>(out) + at, &scale, &zero))
        __atomic_store_n(unfit, 1, __ATOMIC_RELAXED);
      return;
    }
    const float* add = after.add ? after.add + row * after.add_stride + n : nullptr;
    if (add)
      for (int64_t c = 0; c < count; ++c) own[c] += add[c];
    memcpy(numbers, own, count * sizeof(float));
  }
};

int linear(const Rows& rows, const Weight& weight, const After& after, void* out, int raw, int way,
           int threads) {
  const int64_t m = rows.count;
  if (m == 0 || weight.outputs == 0) return DONE;
  const Prepared prepared(rows, weight);
  if (!prepared.there()) return NO_MEMORY;
  for (int64_t r = 0; r < m; ++r) prepared.prepare(r, static_cast<int>(weight.bits));
  const bool fused = way == FUSED || (way == AUTOMATIC && m <= FUSED_MOST);
  int unfit = 0;
  const Product product{prepared, weight, after, out, raw != 0, fused, &unfit};
  const int64_t panels = (weight.outputs + PANEL - 1) / PANEL;
  const int64_t chunk = fused ? least(m, FEW) : chunk_of(m, CHUNK, TILE_ROWS);
  const int64_t chunks = (m + chunk - 1) / chunk;
  const int status =
      for_each(panels * chunks, Scratch::bytes(chunk, !fused), threads, [&](int64_t i, char* at) {
        const int64_t first = i % chunks * chunk;
        product.panel(i / chunks, first, least(chunk, m - first), Scratch(at, chunk));
      });
  return status ? status : unfit ? NOT_FINITE : DONE;
}

}  // namespace
