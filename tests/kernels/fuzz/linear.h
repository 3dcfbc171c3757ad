// Packed weights of any width: both ways, groups, threads, strides, limbs, windows.
#pragma once

#include "fuzz.h"

// The code of a channel and an input in a stream: planes of 4, 2 and 1 bits, or whole bytes.
static int code_at(const uint8_t* unit, int bits, int64_t n, int64_t k) {
  const int64_t half = k / 4 % 2, quarter = n / 16 % 4, at = n % 16 * 4 + k % 4;
  if (bits == 8) return unit[(4 * half + quarter) * 64 + at];
  int code = 0, place = 0;
  if (bits & 4) code = unit[quarter * 64 + at] >> (4 * half) & 15, place = 4, unit += 256;
  if (bits & 2) {
    code |= (unit[quarter / 2 * 64 + at] >> (2 * (2 * half + quarter % 2)) & 3) << place;
    place += 2, unit += 128;
  }
  return bits & 1 ? code | (unit[at] >> (4 * half + quarter) & 1) << place : code;
}

// A random weight with its tables, and codes less zero points [outputs][inputs].
struct Weight {
  int bits;
  int64_t outputs, inputs, group, groups, units;
  Many<uint8_t> stream;
  Many<float> scale;
  Many<int32_t> zero, sums;
  std::vector<int> steps;

  Weight(int b, int64_t n, int64_t k, int64_t g, bool extreme)
      : bits(b), outputs(n), inputs(k), group(g), groups(g > 0 && g < k ? (k + g - 1) / g : 1),
        units(((groups > 1 ? g : k) + 7) / 8),
        stream(many<uint8_t>(panels() * groups * units * 64 * b, 0, 255, extreme)),
        scale(scales(panels() * groups * 64)),
        zero(many<int32_t>(panels() * groups * 64, 0, (1 << b) - 1, extreme)),
        sums(panels() * groups * 64), steps(n * k) {
    for (int64_t c = 0; c < n; ++c)
      for (int64_t i = 0; i < k; ++i) {
        const int64_t table = table_of(c, i), at = groups > 1 ? i % g : i;
        const uint8_t* unit = stream.data() + (table / 64 * units + at / 8) * 64 * b;
        steps[c * k + i] = code_at(unit, b, c, at) - zero[table];
        sums[table] += steps[c * k + i];
      }
  }
  int64_t panels() const { return (outputs + 63) / 64; }
  int64_t table_of(int64_t c, int64_t i) const {
    return (c / 64 * groups + (groups > 1 ? i / group : 0)) * 64 + c % 64;
  }
};

// Sums or numbers of one call; -1 in memory shows what was not written.
template <class T>
static Many<T> called(int path, int threads, int way, const Weight& w, const Many<int8_t>& x,
                      int64_t m, int64_t stride, const float* scale, bool one_scale,
                      const int32_t* zero, bool one_zero, const float* bias) {
  Many<T> out(m * w.outputs, T(-1));
  need(!mps_linear(path, threads, way, !scale, x.data(), m, stride, scale, !one_scale, zero,
                   !one_zero, w.stream.data(), w.scale.data(), w.zero.data(), w.sums.data(), bias,
                   w.bits, w.outputs, w.inputs, w.group, 0, nullptr, 0, nullptr, out.data()),
       "status of linear");
  return out;
}

static void linear(int path, int bits) {
  static const int64_t most[5][3] = {{9, 130, 90}, {7, 66, 2200}, {400, 70, 20}, {34, 200, 64},
                                     {2, 3, 3}};
  const int64_t* limit = most[draw(0, 4)];
  const int64_t m = draw(0, limit[0]), n = draw(1, limit[1]), k = draw(1, limit[2]);
  const int64_t groups[] = {0, k, 8 * draw(1, 16), draw(1, k), draw(8, 40)};
  const bool extreme = draw(0, 2) == 0, one_scale = draw(0, 1), one_zero = draw(0, 1);
  const Weight w(bits, n, k, groups[draw(0, 4)], extreme);
  const int64_t stride = draw(0, 2) ? k + draw(0, 1) * draw(0, 9) : draw(1, k);  // rows may overlap
  const auto x = many<int8_t>(m ? (m - 1) * stride + k : 0, -128, 127, extreme);
  const auto zero = many<int32_t>(one_zero ? 1 : m, -128, 127, extreme);
  const auto scale = scales(one_scale ? 1 : m), bias = scales(n);
  const int32_t* zeros = draw(0, 3) ? zero.data() : nullptr;
  const float* biases = draw(0, 1) ? bias.data() : nullptr;
  Many<int32_t> sums(m * n);
  Many<float> real(m * n);
  for (int64_t r = 0; r < m; ++r)
    for (int64_t c = 0; c < n; ++c) {
      float total = 0;
      int64_t sum = 0;
      for (int64_t i = 0; i < k; ++i) {
        sum += (x[r * stride + i] - (zeros ? zeros[one_zero ? 0 : r] : 0)) * w.steps[c * k + i];
        if (i + 1 < k && (w.groups == 1 || (i + 1) % w.group)) continue;
        const float own = static_cast<float>(sum) * w.scale[w.table_of(c, i)];
        total = w.groups == 1 || i < w.group ? own : total + own;
        if (w.groups > 1) sum = 0;
      }
      sums[r * n + c] = static_cast<int32_t>(sum);
      total *= scale[one_scale ? 0 : r];
      real[r * n + c] = biases ? total + biases[c] : total;
    }
  for (int way = 0; way <= 2; ++way)
    for (int threads = 1; threads <= 4; threads *= 2) {
      need(called<float>(path, threads, way, w, x, m, stride, scale.data(), one_scale, zeros,
                         one_zero, biases) == real, "scaled linear", m, n, k, w.group);
      if (w.groups > 1) continue;
      need(called<int32_t>(path, threads, way, w, x, m, stride, nullptr, one_scale, zeros,
                           one_zero, nullptr) == sums, "linear", m, n, k, bits);
    }
}

// 16-bit codes as 256 * high + low, both signed bytes.
static void limbs(int path, int bits) {
  const int64_t m = draw(1, 8), n = draw(1, 70), k = draw(1, 300);
  const Weight w(bits, n, k, 0, draw(0, 1));
  const auto x = many<int16_t>(m * k, -32768, 32767, draw(0, 1));
  Many<int8_t> high(m * k), low(m * k);
  for (int64_t i = 0; i < m * k; ++i) {
    high[i] = static_cast<int8_t>(x[i] >> 8);
    low[i] = static_cast<int8_t>((x[i] & 255) - 128);
  }
  const int32_t zero = static_cast<int32_t>(draw(-32768, 32767));
  const int32_t of_high = zero >> 8, of_low = (zero & 255) - 128;
  const auto above = called<int32_t>(path, 1, 0, w, high, m, k, nullptr, 1, &of_high, 1, nullptr);
  const auto below = called<int32_t>(path, 1, 0, w, low, m, k, nullptr, 1, &of_low, 1, nullptr);
  for (int64_t i = 0; i < m * n; ++i) {
    int64_t sum = 0;
    for (int64_t j = 0; j < k; ++j)
      sum += static_cast<int64_t>(x[i / n * k + j] - zero) * w.steps[i % n * k + j];
    need(int64_t(256) * above[i] + below[i] == sum, "limbs", m, n, k, bits);
  }
}

// The longest sum that fits int32, of the largest numbers.
static void limits(int path, int bits) {
  const int top = (1 << bits) - 1;
  const int64_t k = (int64_t(1) << 31) / (255 * top) > 40000 ? 40000 : ((1ll << 31) - 1) / 255 / top;
  Weight w(bits, 2, k, 0, true);
  for (int64_t i = 0; i < w.stream.size(); ++i) w.stream[i] = 255;
  for (int c = 0; c < 64; ++c) w.zero[c] = c ? 0 : top / 2, w.sums[c] = c ? top * k : (top - top / 2) * k;
  for (int low = 0; low < 2; ++low) {
    const Many<int8_t> x(7 * k, low ? -128 : 127);
    const int32_t zero = low ? 127 : -128;
    for (int way = 1; way <= 2; ++way) {
      const auto out = called<int32_t>(path, 1, way, w, x, 7, k, nullptr, 1, &zero, 1, nullptr);
      for (int r = 0; r < 7; ++r) {
        need(out[2 * r] == (low ? -255 : 255) * (top - top / 2) * k, "half the longest sum", bits);
        need(out[2 * r + 1] == (low ? -255 : 255) * top * k, "the longest sum", bits);
      }
    }
  }
}
