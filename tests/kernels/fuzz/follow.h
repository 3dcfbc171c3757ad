// What follows a product in one call, functions between products, and attention: what the calls in
// turn give, on one, two and four threads.
#pragma once

#include <cmath>

#include "linear.h"
#include "pairs.h"

static const int GELU = 0, SOFTMAX = 1, LAYER_NORM = 2;

static Many<float> reals(int64_t count, float size) {
  Many<float> made(count);
  for (int64_t i = 0; i < count; ++i) made[i] = static_cast<float>(draw(-999, 999)) / 999.0f * size;
  return made;
}

static Coding coding(bool dynamic, float size) {
  const int bits = static_cast<int>(draw(2, 8));
  const bool symmetric = draw(0, 1);
  const int first = symmetric ? -(1 << (bits - 1)) : 0, last = first + (1 << bits) - 1;
  const int zero = symmetric ? 0 : static_cast<int>(draw(0, last)) - (last > 127 ? 128 : 0);
  return {first, last, dynamic, symmetric, dynamic ? 0 : zero, dynamic ? 0.0f : size / 100};
}

// Codes of rows, by themselves.
struct Coded {
  Many<int8_t> codes;
  Many<float> scale;
  Many<int32_t> zero;
  Coded(int path, const Coding& how, const float* x, int64_t m, int64_t k, int64_t stride)
      : codes(m * k), scale(how.dynamic ? m : 1, how.scale), zero(how.dynamic ? m : 1, how.zero) {
    const int64_t shape[6] = {1, 1, m, 0, 0, stride};
    need(!mps_quantize(path, 1, how.dynamic, how.symmetric, x, k, shape, how.first, how.last,
                       codes.data(), scale.data(), zero.data()), "status of codes");
  }
};

static Many<float> function_of(int path, int which, const Many<float>& x, int64_t m, int64_t k) {
  Many<float> out(m * k, -1.0f);
  need(!mps_function(path, 1, which, x.data(), m, k, k, nullptr, nullptr, 1e-5f, nullptr,
                     out.data(), nullptr, nullptr, nullptr), "status of a function");
  return out;
}

static void functions(int path) {
  const int64_t m = draw(0, 20), k = draw(1, draw(0, 1) ? 40 : 300);
  const auto x = reals(m * k, static_cast<float>(draw(1, 30))), weight = reals(k, 2), bias = reals(k, 1);
  const auto smooth = function_of(path, GELU, x, m, k), chances = function_of(path, SOFTMAX, x, m, k);
  for (int64_t r = 0; r < m; ++r) {
    double sum = 0, top = -INFINITY;
    for (int64_t i = 0; i < k; ++i) top = std::fmax(top, x[r * k + i]);
    for (int64_t i = 0; i < k; ++i) sum += std::exp(x[r * k + i] - top);
    for (int64_t i = r * k; i < (r + 1) * k; ++i) {
      const double wanted = x[i] * 0.5 * std::erfc(-x[i] / std::sqrt(2.0));
      need(std::fabs(smooth[i] - wanted) < 5e-7 * std::fmax(1, std::fabs(x[i])), "gelu", r, i);
      need(std::fabs(chances[i] - std::exp(x[i] - top) / sum) < 1e-6, "softmax", r, i, k);
    }
  }
  const Coding how = coding(draw(0, 1), 3);
  Many<float> normal(m * k);
  need(!mps_function(path, 1, LAYER_NORM, x.data(), m, k, k, weight.data(), bias.data(), 1e-5f,
                     nullptr, normal.data(), nullptr, nullptr, nullptr), "status of layer norm");
  const Coded wanted(path, how, normal.data(), m, k, k);
  for (int threads = 1; threads <= 4; threads *= 2) {
    Many<int8_t> codes(m * k, 99);
    Many<float> scale(how.dynamic ? m : 0);
    Many<int32_t> zero(how.dynamic ? m : 0);
    need(!mps_function(path, threads, LAYER_NORM, x.data(), m, k, k, weight.data(), bias.data(),
                       1e-5f, &how, nullptr, codes.data(), scale.data(), zero.data()),
         "status of coded layer norm");
    need(codes == wanted.codes, "codes of layer norm", m, k);
    need(!how.dynamic || (scale == wanted.scale && zero == wanted.zero), "scales of layer norm");
  }
}

static void followed(int path, int bits) {
  const int64_t m = draw(0, 30), n = draw(1, 150), k = draw(1, 80);
  const Weight w(bits, n, k, draw(0, 1) ? 0 : draw(1, k), false);
  const auto x = many<int8_t>(m * k, -128, 127);
  const Many<float> scale(1, 1.0f / static_cast<float>(k << bits));
  const auto bias = reals(n, 1), add = reals(m * n, 1);
  const int32_t zero = static_cast<int32_t>(draw(-128, 127));
  const auto plain = called<float>(path, 1, 0, w, x, m, k, scale.data(), true, &zero, true, bias.data());
  const bool gelu = draw(0, 1);
  const auto smooth = gelu ? function_of(path, GELU, plain, m, n) : plain;
  const Coding how = coding(false, 3);
  const Coded wanted(path, how, smooth.data(), m, n, n);
  for (int threads = 1; threads <= 4; threads *= 2)
    for (int way = 0; way <= 2; ++way) {
      Many<float> out(m * n, -1.0f);
      Many<int8_t> codes(m * n, 99);
      for (int coded = 0; coded < 2; ++coded)
        need(!mps_linear(path, threads, way, 0, x.data(), m, k, scale.data(), 0, &zero, 0,
                         w.stream.data(), w.scale.data(), w.zero.data(), w.sums.data(),
                         bias.data(), bits, n, k, w.group, gelu, coded ? nullptr : add.data(), n,
                         coded ? &how : nullptr,
                         coded ? static_cast<void*>(codes.data()) : out.data()),
             "status of a followed linear layer");
      for (int64_t i = 0; i < m * n; ++i) need(out[i] == smooth[i] + add[i], "added", m, n, k, i);
      need(codes == wanted.codes, "coded outputs", m, n, k, bits);
    }
}

// One head in turn: codes, product, softmax, codes, product.
static Many<float> head(int path, const float* q, const float* k, const float* v, const int64_t* s,
                        const Coding* how, float factor, bool causal) {
  const int64_t m = s[2], n = s[3], width = s[4], values = s[5];
  const Coded a(path, how[0], q, m, width, width), b(path, how[1], k, n, width, width);
  Many<float> logits(m * n), turned(values * n), out(m * values);
  auto product = [&](const Coded& one, int64_t rows, const Coded& two, int64_t columns, int64_t length,
                     float* to) {
    const int64_t step = one.scale.size() > 1 || rows == 1, other = two.scale.size() > 1 || columns == 1;
    // one step for scale and zero point of a side
    need(!mps_batched(path, 1, 0, 1, length, one.codes.data(), rows, 0, length, 1, one.scale.data(),
                      one.zero.data(), step, two.codes.data(), columns, 0, length, 1,
                      two.scale.data(), two.zero.data(), other, to), "status of a product");
  };
  product(a, m, b, n, width, logits.data());
  for (int64_t i = 0; i < m * n; ++i)
    logits[i] = causal && i % n > i / n ? -INFINITY : logits[i] * factor;
  const auto chances = function_of(path, SOFTMAX, logits, m, n);
  for (int64_t i = 0; i < n * values; ++i) turned[i % values * n + i / values] = v[i];
  const Coded c(path, how[2], chances.data(), m, n, n), d(path, how[3], turned.data(), values, n, n);
  product(c, m, d, values, n, out.data());
  return out;
}

static void attention(int path) {
  const int64_t s[18] = {draw(1, 2), draw(1, 3), draw(1, 60), draw(1, draw(0, 1) ? 20 : 150),
                         draw(1, 40), draw(1, draw(0, 2) ? 40 : 90)};
  int64_t shape[18];
  memcpy(shape, s, sizeof s);
  const int64_t widths[4] = {s[4], s[4], s[5], s[5]}, lengths[4] = {s[2], s[3], s[3], s[2]};
  for (int i = 0; i < 4; ++i) {  // dense heads
    shape[8 + 3 * i] = widths[i];
    shape[7 + 3 * i] = widths[i] * lengths[i];
    shape[6 + 3 * i] = shape[7 + 3 * i] * s[1];
  }
  const int64_t heads = s[0] * s[1];
  const auto q = reals(heads * s[2] * s[4], 3), k = reals(heads * s[3] * s[4], 3),
             v = reals(heads * s[3] * s[5], 3);
  Coding how[5];
  for (int i = 0; i < 5; ++i) how[i] = coding(i < 4 && draw(0, 1), i == 2 ? 0.5f : 3.0f);
  const bool causal = draw(0, 1);
  const float factor = 0.2f;
  Many<float> wanted(heads * s[2] * s[5]);
  for (int64_t h = 0; h < heads; ++h) {
    const auto own = head(path, q.data() + h * s[2] * s[4], k.data() + h * s[3] * s[4],
                          v.data() + h * s[3] * s[5], s, how, factor, causal);
    memcpy(wanted.data() + h * s[2] * s[5], own.data(), s[2] * s[5] * sizeof(float));
  }
  const Coded of_wanted(path, how[4], wanted.data(), heads * s[2], s[5], s[5]);
  for (int threads = 1; threads <= 4; threads *= 2) {
    Many<float> out(wanted.size(), -1.0f);
    Many<int8_t> codes(wanted.size(), 99);
    int64_t spent[3] = {};
    for (int coded = 0; coded < 2; ++coded)
      need(!mps_attention(path, threads, q.data(), k.data(), v.data(), shape, how, coded, factor,
                          causal, coded ? static_cast<void*>(codes.data()) : out.data(),
                          spent),
           "status of attention");
    need(out == wanted, "attention", s[2], s[3], s[4], s[5]);
    need(codes == of_wanted.codes, "coded attention", s[2], s[3], s[4], s[5]);
  }
}
