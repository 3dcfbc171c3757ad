// Products of two activations, of any strides.
#pragma once

#include "fuzz.h"

// Codes [batch, rows, length] by strides: dense, turned, with gaps, or one batch for all.
struct Side {
  int64_t rows, length, of_batch, of_row, of_code, step;
  Many<int8_t> codes;
  Many<int32_t> zero;
  Many<float> scale;

  Side(int64_t batch, int64_t r, int64_t k, int way, bool extreme)
      : rows(r), length(k), of_batch(way == 3 ? 0 : r * k + way * draw(0, 5)),
        of_row(way == 1 ? 1 : k), of_code(way == 1 ? r : 1), step(draw(0, 1)), codes(0), zero(0), scale(0) {
    if (way == 2) of_row = k + draw(0, 7), of_batch = r * of_row;
    const int64_t last = (batch - 1) * of_batch + (r - 1) * of_row + (k - 1) * of_code;
    codes = many<int8_t>(batch && r ? last + 1 : 0, -128, 127, extreme);
    zero = many<int32_t>(step ? batch * r : 1, -128, 127, extreme);
    scale = scales(step ? batch * r : 1);
  }
  int at(int64_t b, int64_t r, int64_t i) const {
    return codes[b * of_batch + r * of_row + i * of_code] - zero[(b * rows + r) * step];
  }
};

static void batched(int path) {
  static const int64_t most[3][3] = {{8, 70, 40}, {5, 66, 1300}, {210, 130, 9}};
  const int64_t* limit = most[draw(0, 2)];
  const int64_t b = draw(0, 3), m = draw(0, limit[0]), n = draw(0, limit[1]), k = draw(1, limit[2]);
  const bool extreme = draw(0, 2) == 0;
  const Side x(b, m, k, draw(0, 3), extreme), y(b, n, k, draw(0, 3), extreme);
  Many<int32_t> sums(b * m * n);
  Many<float> real(b * m * n);
  for (int64_t i = 0; i < b * m * n; ++i) {
    const int64_t of = i / (m * n), r = i / n % m, c = i % n;
    int64_t sum = 0;
    for (int64_t j = 0; j < k; ++j) sum += x.at(of, r, j) * y.at(of, c, j);
    sums[i] = static_cast<int32_t>(sum);
    real[i] = static_cast<float>(sums[i]) * y.scale[(of * n + c) * y.step] * x.scale[(of * m + r) * x.step];
  }
  for (int threads = 1; threads <= 4; threads *= 2) {
    Many<int32_t> out(b * m * n, -1);
    Many<float> scaled(b * m * n, -1.0f);
    for (int raw = 0; raw < 2; ++raw)
      need(!mps_batched(path, threads, raw, b, k, x.codes.data(), m, x.of_batch, x.of_row,
                        x.of_code, x.scale.data(), x.zero.data(), x.step, y.codes.data(), n,
                        y.of_batch, y.of_row, y.of_code, y.scale.data(), y.zero.data(), y.step,
                        raw ? static_cast<void*>(out.data()) : scaled.data()),
           "status of batched");
    need(out == sums, "batched", b, m, n, k);
    need(scaled == real, "scaled batched", b, m, n, k);
  }
}
