// Codes of numbers: of every size, with scales that are given or chosen.
#pragma once

#include <cmath>

#include "fuzz.h"

static Many<float> numbers(int64_t count, int64_t kind) {
  Many<float> made(count);
  for (int64_t i = 0; i < count; ++i) {
    const float whole = static_cast<float>(draw(-1000, 1000));
    made[i] = kind == 0 ? whole / 2 : kind == 1 ? std::ldexp(whole / 7, static_cast<int>(draw(-20, 20)))
            : kind == 2 ? std::ldexp(whole, static_cast<int>(draw(-150, 117))) : 0.0f;
  }
  return made;
}

// What a row's scale and zero point must be where neither is too small or too large for float.
static void chosen(const float* row, int64_t length, int first, int last, bool symmetric,
                   float scale, int32_t zero) {
  double low = 0, high = 0;
  for (int64_t i = 0; i < length; ++i) low = std::fmin(low, row[i]), high = std::fmax(high, row[i]);
  double exact = symmetric ? std::fmax(high / last, low / first) : (high - low) / (last - first);
  if (exact == 0) exact = 1;
  if (exact < 0x1p-100 || exact > 0x1p100) return;
  need(scale == static_cast<float>(exact), "scale");
  double start = std::nearbyint(-low / scale);
  start = symmetric ? 0 : std::fmin(std::fmax(start, first), last);
  need(zero == start, "zero point", zero, static_cast<int64_t>(start));
}

static void quantize(int path) {
  const int64_t k = draw(1, draw(0, 3) ? 70 : 700), stride = k + draw(0, 5);
  int64_t shape[6] = {draw(1, 3), draw(1, 2), draw(0, 7)};  // all of one stride
  const int64_t m = shape[0] * shape[1] * shape[2];
  shape[5] = stride, shape[4] = stride * shape[2], shape[3] = shape[4] * shape[1];
  const int bits = static_cast<int>(draw(2, 8)), dynamic = static_cast<int>(draw(0, 1));
  const bool symmetric = draw(0, 1);
  const int first = symmetric ? -(1 << (bits - 1)) : 0, last = first + (1 << bits) - 1;
  const int offset = last > 127 ? 128 : 0;
  auto x = numbers(m ? (m - 1) * stride + k : 0, draw(0, 3));
  const bool bad = m && draw(0, 7) == 0;
  if (bad) x[draw(0, m - 1) * stride + draw(0, k - 1)] = draw(0, 1) ? std::nanf("") : -INFINITY;
  const float own = std::ldexp(1.3f, static_cast<int>(draw(-140, 60)));
  const auto start = static_cast<int32_t>(draw(first, last) - offset);
  Many<int8_t> before(0);
  for (int threads = 1; threads <= 4; threads *= 2) {
    Many<int8_t> codes(m * k, 99);
    Many<float> scale(dynamic ? m : 1, own);
    Many<int32_t> zero(dynamic ? m : 1, start);
    const int status = mps_quantize(path, threads, dynamic, symmetric, x.data(), k, shape, first,
                                    last, codes.data(), scale.data(), zero.data());
    need(status == (bad ? 1 : 0), "status of quantize", status, bad);
    if (bad) continue;
    for (int64_t r = 0; r < m; ++r) {
      const int64_t table = dynamic ? r : 0;
      const float* row = x.data() + r * stride;
      if (dynamic) chosen(row, k, first, last, symmetric, scale[r], zero[r] + offset);
      for (int64_t i = 0; i < k; ++i) {
        const float whole = std::nearbyint(row[i] / scale[table]) + (zero[table] + offset);
        const float wanted = std::fmin(std::fmax(whole, first), last);
        need(codes[r * k + i] + offset == wanted, "quantize", r, i, codes[r * k + i], bits);
      }
    }
    need(threads == 1 || codes == before, "codes of several threads");
    before = codes;
  }
}
