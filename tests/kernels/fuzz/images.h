// Convolutions: one filter a channel, and windows as rows of a linear layer.
#pragma once

#include "linear.h"

// Batch, channels, height, width, kernel, stride, padding, dilation, output; false if none fits.
static bool window(int64_t* s) {
  const int64_t drawn[] = {draw(0, 2), draw(1, 3), draw(1, 12), draw(1, 40), draw(1, 3), draw(1, 3),
                           draw(1, 3), draw(1, 3), draw(0, 4), draw(0, 4), draw(1, 3), draw(1, 3)};
  memcpy(s, drawn, sizeof drawn);
  for (int i = 0; i < 2; ++i) {
    const int64_t reach = s[10 + i] * (s[4 + i] - 1) + 1, room = s[2 + i] + 2 * s[8 + i];
    if (room < reach) return false;
    s[12 + i] = (room - reach) / s[6 + i] + 1;
  }
  return true;
}

// Where tap t of an output lies in its plane; -1 in the padding.
static int64_t seen(const int64_t* s, int64_t y, int64_t x, int64_t t) {
  const int64_t row = y * s[6] + t / s[5] * s[10] - s[8];
  const int64_t column = x * s[7] + t % s[5] * s[11] - s[9];
  return row < 0 || row >= s[2] || column < 0 || column >= s[3] ? -1 : row * s[3] + column;
}

static void depthwise(int path) {
  int64_t s[14];
  if (!window(s)) return;
  const int zero = static_cast<int>(draw(-128, 127));
  const auto x = many<int8_t>(s[0] * s[1] * s[2] * s[3], -128, 127);
  const auto f = many<int16_t>(s[1] * s[4] * s[5], -255, 255, draw(0, 1));
  Many<int32_t> wanted(s[0] * s[1] * s[12] * s[13]);
  for (int64_t i = 0; i < wanted.size(); ++i) {
    const int64_t plane = i / (s[12] * s[13]), y = i / s[13] % s[12];
    for (int64_t t = 0; t < s[4] * s[5]; ++t) {
      const int64_t at = seen(s, y, i % s[13], t);
      if (at >= 0)
        wanted[i] += f[plane % s[1] * s[4] * s[5] + t] * (x[plane * s[2] * s[3] + at] - zero);
    }
  }
  for (int threads = 1; threads <= 4; threads *= 2) {
    Many<int32_t> out(wanted.size(), -1);
    need(!mps_depthwise(path, threads, x.data(), f.data(), s, zero, out.data()),
         "status of depthwise");
    need(out == wanted, "depthwise", s[2], s[3], s[4], s[5]);
  }
}

static void convolution(int path, int bits) {
  int64_t s[14];
  if (!window(s)) return;
  const int64_t taps = s[4] * s[5], k = s[1] * taps, n = draw(1, 66), m = s[12] * s[13];
  const int32_t zero = static_cast<int32_t>(draw(-128, 127));
  const auto image = many<int8_t>(s[1] * s[2] * s[3], -128, 127);
  const Weight w(bits, n, k, 0, false);
  Many<int8_t> rows(m * k);
  for (int64_t i = 0; i < m * k; ++i) {
    const int64_t row = i / k, at = seen(s, row / s[13], row % s[13], i % taps);
    rows[i] = at < 0 ? static_cast<int8_t>(zero) : image[i % k / taps * s[2] * s[3] + at];
  }
  const auto out = called<int32_t>(path, 1, 0, w, rows, m, k, nullptr, 1, &zero, 1, nullptr);
  for (int64_t i = 0; i < m * n; ++i) {
    int64_t sum = 0;
    for (int64_t j = 0; j < k; ++j) {
      const int64_t row = i / n, at = seen(s, row / s[13], row % s[13], j % taps);
      if (at >= 0) sum += (image[j / taps * s[2] * s[3] + at] - zero) * w.steps[i % n * k + j];
    }
    need(out[i] == sum, "convolution", m, n, k, bits);
  }
}
