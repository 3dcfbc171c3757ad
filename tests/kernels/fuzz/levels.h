// Digits of levels, and codes that a table turns into bytes.
#pragma once

#include "linear.h"

static void levels(int path) {
  const int64_t m = draw(0, 4), k = draw(1, 150), bits = draw(1, 8), planes = draw(1, 3);
  const int64_t count = int64_t(1) << bits, same = draw(0, 1);
  Many<float> x(m * k), scale(same ? 1 : m, 0.5f), bounds(count - 1);
  for (int64_t i = 0; i < m * k; ++i) x[i] = static_cast<float>(draw(-20, 2 * count));
  for (int64_t i = 0; i + 1 < count; ++i) bounds[i] = static_cast<float>(2 * i);
  const auto digits = many<int8_t>(planes * count, -128, 127);
  Many<int8_t> out(planes * m * k);
  need(!mps_levels(path, 1, x.data(), m, k, k, scale.data(), same ? 0 : 1, 1.0f, bounds.data(),
                   bits, digits.data(), planes, out.data()), "status of levels", m, k, bits);
  for (int64_t i = 0; i < planes * m * k; ++i) {
    int64_t rank = 0;
    for (int64_t j = 0; j + 1 < count; ++j) rank += (x[i % (m * k)] - 1.0f) / 0.5f > bounds[j];
    need(out[i] == digits[i / (m * k) * count + rank], "levels", m, k, bits, i);
  }
}

static void decode(int path) {
  const int bits = static_cast<int>(draw(2, 8));
  const int64_t units = draw(0, 9);
  const auto stream = many<uint8_t>(units * 64 * bits, 0, 255);
  const auto table = many<uint8_t>(int64_t(1) << bits, 0, 255);
  Many<uint8_t> out(units * 512);
  need(!mps_decode(path, 1, stream.data(), units, bits, table.data(), out.data()),
       "status of decode", bits, units);
  for (int64_t n = 0; n < 64; ++n)
    for (int64_t k = 0; k < units * 8; ++k) {
      const uint8_t* made = out.data() + k / 8 * 512;
      const int code = code_at(stream.data() + k / 8 * 64 * bits, bits, n, k);
      need(made[(k / 4 % 2 * 4 + n / 16 % 4) * 64 + n % 16 * 4 + k % 4] == table[code], "decode",
           bits, units, n, k);
    }
}
