// Attention of one head after the other: queries times keys, softmax, chances times values, with every
// factor in codes. Some rows at a time, so that what lies between the products stays in the cache.
//
// Results are those of quantize, batched and softmax in turn, to the bit.
#pragma once

#include <time.h>

#include "batched.h"
#include "functions.h"

namespace {

constexpr int64_t ROWS_OF_HEAD = 4 * TILE_ROWS;  // queries at a time
constexpr bool WORDS = in_words(8);

// Memory that is handed out in aligned pieces; without a start it only counts.
struct Pool {
  char* at;
  int64_t used = 0;
  template <class T>
  T* take(int64_t count) {
    T* own = at ? reinterpret_cast<T*>(at + used) : nullptr;
    used += up(count * static_cast<int64_t>(sizeof(T)), 64);
    return own;
  }
};

// One side of a product: `rows` of `length` codes in panels, as both products read it.
struct Packed {
  int64_t rows, length, units, panels;
  int8_t* codes;   // [rows][units * 8] or turned, [length][rows]
  float* scale;    // [panels * 64], as zero and sums
  int32_t *zero, *sums;
  uint8_t* buffer;

  Packed(Pool& pool, int64_t r, int64_t k)
      : rows(r), length(k), units(up(k, UNIT) / UNIT), panels((r + PANEL - 1) / PANEL),
        codes(pool.take<int8_t>(r * units * UNIT)), scale(pool.take<float>(panels * PANEL)),
        zero(pool.take<int32_t>(panels * PANEL)), sums(pool.take<int32_t>(panels * PANEL)),
        buffer(pool.take<uint8_t>(panels * panel_bytes())) {}

  int64_t panel_bytes() const { return units * UNIT * PANEL * (WORDS ? 2 : 1); }

  void clear() {
    memset(scale, 0, panels * PANEL * sizeof(float));
    memset(zero, 0, panels * PANEL * sizeof(int32_t));
    memset(sums, 0, panels * PANEL * sizeof(int32_t));
  }

  // From codes at `row_stride` and `stride`: zero points become those of unsigned codes.
  void pack(int64_t row_stride, int64_t stride) {
    const Codes all{codes, rows, 0, row_stride, stride, scale, zero, 1};
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t count = least(PANEL, rows - p * PANEL);
      const int8_t* from = codes + p * PANEL * row_stride;
      int32_t *zeros = zero + p * PANEL, *own = sums + p * PANEL;
      for (int64_t c = 0; c < count; ++c) zeros[c] += 128;
      uint8_t* to = buffer + p * panel_bytes();
      if (WORDS) fill_words(all, from, count, length, units, zeros, to);
      else fill_bytes(all, from, count, length, units, to, own);
      for (int64_t c = 0; c < count; ++c)
        own[c] -= static_cast<int32_t>(length) * (zeros[c] - 128);
    }
  }
};

// The other side: some rows of codes, ready to be multiplied.
struct RowsOfHead {
  int64_t length, dense;
  int8_t* codes;   // [rows][dense], filled up with 0
  int16_t* words;
  float* scale;
  int32_t *zero, *sums;

  RowsOfHead(Pool& pool, int64_t k)
      : length(k), dense(up(k, UNIT)), codes(pool.take<int8_t>(ROWS_OF_HEAD * dense)),
        words(pool.take<int16_t>(WORDS ? ROWS_OF_HEAD * dense : 0)),
        scale(pool.take<float>(ROWS_OF_HEAD)), zero(pool.take<int32_t>(ROWS_OF_HEAD)),
        sums(pool.take<int32_t>(ROWS_OF_HEAD)) {}

  bool code(const Coding& how, int64_t m, const float* row) const {
    int8_t* own = codes + m * dense;
    if (!coded(how, row, length, own, scale + m, zero + m)) return false;
    memset(own + length, 0, dense - length);
    if (WORDS) widen_row(own, 1, length, dense, zero[m], words + m * dense);
    else prepare_row(own, 1, Groups(length, 0), nullptr, sums + m);
    return true;
  }

  // sums_of [count][64] of `count` rows and panel p.
  void multiply(const Packed& with, int64_t p, int64_t count, int32_t* sums_of) const {
    const uint8_t* buffer = with.buffer + p * with.panel_bytes();
    if (WORDS)
      words_panel(buffer, with.units, least(PANEL, with.rows - p * PANEL), words, dense, count,
                  true, sums_of);
    else
      buffered_panel(buffer, with.units, Blocks{nullptr, 0, block(8)}, codes, dense, count, true,
                     sums_of);
  }

  Zeros zeros(const Packed& with, int64_t p, int64_t m) const {
    return {WORDS ? nullptr : with.zero + p * PANEL, with.sums + p * PANEL, WORDS ? 0 : sums[m],
            zero[m]};
  }
};

// Adds what each of three parts took to numbers that are shared, if there are any.
struct Clock {
  int64_t* shared;
  int64_t last;
  static int64_t now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
  }
  explicit Clock(int64_t* to) : shared(to), last(to ? now() : 0) {}
  void done(int part) {
    if (!shared) return;
    const int64_t then = last;
    last = now();
    __atomic_fetch_add(shared + part, last - then, __ATOMIC_RELAXED);
  }
};

// One head on one thread.
struct Head {
  const Attention& a;
  Pool pool;
  int64_t full;     // a row of logits, in whole panels
  float *logits, *turned, *results;
  int32_t* sums;
  Packed keys, values;
  RowsOfHead queries, chances;

  Head(const Attention& of, char* at)
      : a(of), pool{at}, full(up(a.keys, PANEL)),
        logits(pool.take<float>(ROWS_OF_HEAD * full)),
        turned(pool.take<float>(a.of_value->dynamic ? a.values * a.keys : 0)),
        results(pool.take<float>(up(a.values, PANEL))),
        sums(pool.take<int32_t>(ROWS_OF_HEAD * PANEL)), keys(pool, a.keys, a.width),
        values(pool, a.values, a.keys), queries(pool, a.width), chances(pool, a.keys) {}

  static const float* of(const float* from, const int64_t* strides, int64_t b, int64_t h) {
    return from + b * strides[0] + h * strides[1];
  }

  bool pack_keys(const float* from) {
    keys.clear();
    for (int64_t n = 0; n < a.keys; ++n)
      if (!coded(*a.of_key, from + n * a.key_strides[2], a.width, keys.codes + n * a.width,
                 keys.scale + n, keys.zero + n))
        return false;
    keys.pack(a.width, 1);
    return true;
  }

  bool pack_values(const float* from) {
    values.clear();
    if (a.of_value->dynamic) return pack_turned(from);
    float scale = 1;
    int32_t zero = 0;
    for (int64_t n = 0; n < a.keys; ++n)
      if (!coded(*a.of_value, from + n * a.value_strides[2], a.values,
                 values.codes + n * a.values, &scale, &zero))
        return false;
    for (int64_t d = 0; d < a.values; ++d) values.scale[d] = scale, values.zero[d] = zero;
    values.pack(1, a.values);
    return true;
  }

  // Every feature has a scale over all keys.
  bool pack_turned(const float* from) {
    for (int64_t n = 0; n < a.keys; ++n)
      for (int64_t d = 0; d < a.values; ++d)
        turned[d * a.keys + n] = from[n * a.value_strides[2] + d];
    for (int64_t d = 0; d < a.values; ++d)
      if (!coded(*a.of_value, turned + d * a.keys, a.keys, values.codes + d * a.keys,
                 values.scale + d, values.zero + d))
        return false;
    values.pack(a.keys, 1);
    return true;
  }

  // Rows `first` to first + count - 1 of the head.
  bool run(const float* from, int64_t first, int64_t count, int64_t out_at, Clock& clock) const {
    for (int64_t m = 0; m < count; ++m)
      if (!queries.code(*a.of_query, m, from + (first + m) * a.query_strides[2])) return false;
    for (int64_t p = 0; p < keys.panels; ++p) {
      queries.multiply(keys, p, count, sums);
      for (int64_t m = 0; m < count; ++m)
        finish(queries.zeros(keys, p, m), sums + m * PANEL, keys.scale + p * PANEL,
               queries.scale[m], nullptr, PANEL, logits + m * full + p * PANEL);
    }
    clock.done(0);
    for (int64_t m = 0; m < count; ++m)
      if (!chance(first + m, m)) return false;
    clock.done(1);
    for (int64_t p = 0; p < values.panels; ++p) {
      chances.multiply(values, p, count, sums);
      for (int64_t m = 0; m < count; ++m)
        if (!write(p, m, out_at + (first + m) * a.out_strides[2] + p * PANEL)) return false;
    }
    clock.done(2);
    return true;
  }

  bool chance(int64_t row, int64_t m) const {
    float* own = logits + m * full;
    for (int64_t k = 0; k < full; k += LANES) store(own + k, load<F32>(own + k) * a.factor);
    const int64_t seen = a.causal ? least(a.keys, row + 1) : a.keys;
    for (int64_t n = seen; n < full; ++n) own[n] = -INFINITY;
    softmax_row(own, full);
    return chances.code(*a.of_chance, m, own);
  }

  bool write(int64_t p, int64_t m, int64_t at) const {
    const int64_t count = least(PANEL, a.values - p * PANEL);
    float* own = a.of_out ? results : static_cast<float*>(a.out) + at;
    finish(chances.zeros(values, p, m), sums + m * PANEL, values.scale + p * PANEL,
           chances.scale[m], nullptr, count, own);
    float scale;
    int32_t zero;
    return !a.of_out || coded(*a.of_out, own, count, static_cast<int8_t*>(a.out) + at, &scale, &zero);
  }
};

int attention(const Attention& a, int threads) {
  const int64_t heads = a.batch * a.heads;
  if (heads == 0 || a.rows == 0 || a.values == 0) return DONE;
  // few heads are cut, so that every thread has some rows
  const int64_t cuts = heads >= threads ? 1 : (threads + heads - 1) / heads;
  const int64_t share = up((a.rows + cuts - 1) / cuts, ROWS_OF_HEAD);
  int unfit = 0;
  const int status = for_each(
      heads * cuts, Head(a, nullptr).pool.used, threads, [&](int64_t i, char* at) {
        const int64_t b = i / cuts / a.heads, h = i / cuts % a.heads, start = i % cuts * share;
        if (start >= a.rows) return;
        Head head(a, at);
        Clock clock(a.spent);
        bool fit = head.pack_values(Head::of(a.value, a.value_strides, b, h));
        clock.done(2);
        fit = fit && head.pack_keys(Head::of(a.key, a.key_strides, b, h));
        const float* from = Head::of(a.query, a.query_strides, b, h);
        const int64_t out_at = b * a.out_strides[0] + h * a.out_strides[1];
        for (int64_t m = start; fit && m < least(a.rows, start + share); m += ROWS_OF_HEAD)
          fit = head.run(from, m, least(ROWS_OF_HEAD, least(a.rows, start + share) - m), out_at,
                         clock);
        if (!fit) __atomic_store_n(&unfit, 1, __ATOMIC_RELAXED);
      });
  return status ? status : unfit ? NOT_FINITE : DONE;
}

}  // namespace
