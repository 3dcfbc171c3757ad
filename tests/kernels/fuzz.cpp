// Calls every path with random shapes on exactly sized memory, and compares with plain loops.
// argv[1]: number of a path. A sanitizer watches.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

extern "C" {
int mps_linear(int, int, int, int, const int8_t*, int64_t, int64_t, const float*, int64_t,
               const int32_t*, int64_t, const uint8_t*, const float*, const int32_t*,
               const int32_t*, const float*, int64_t, int64_t, int64_t, int64_t, void*);
int mps_quantize(int, int, int, int, const float*, int64_t, const int64_t*, int, int, int8_t*,
                 float*, int32_t*);
int mps_batched(int, int, int, int64_t, int64_t, const int8_t*, int64_t, int64_t, int64_t, int64_t,
                const float*, const int32_t*, int64_t, const int8_t*, int64_t, int64_t, int64_t,
                int64_t, const float*, const int32_t*, int64_t, void*);
int mps_depthwise(int, int, const int8_t*, const int16_t*, const int64_t*, int, int32_t*);
}

static uint64_t state = 88172645463325252ull;
static int64_t draw(int64_t low, int64_t high) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return low + static_cast<int64_t>(state % static_cast<uint64_t>(high - low + 1));
}

template <class T>
static std::vector<T> many(int64_t count, int64_t low, int64_t high) {
  std::vector<T> made(count);
  for (auto& each : made) each = static_cast<T>(draw(low, high));
  return made;
}

static void need(bool right, const char* what) {
  if (right) return;
  std::printf("wrong: %s\n", what);
  std::exit(1);
}

// The code of a channel and an input in a stream of 7-bit codes: planes of 4, 2 and 1 bits.
static int code_at(const std::vector<uint8_t>& stream, int64_t units, int64_t n, int64_t k) {
  const uint8_t* unit = stream.data() + (n / 64 * units + k / 8) * 64 * 7;
  const int64_t half = k / 4 % 2, quarter = n / 16 % 4, at = n % 16 * 4 + k % 4;
  return (unit[quarter * 64 + at] >> (4 * half) & 15) |
         (unit[256 + quarter / 2 * 64 + at] >> (2 * (2 * half + quarter % 2)) & 3) << 4 |
         (unit[384 + at] >> (4 * half + quarter) & 1) << 6;
}

static void linear(int path) {
  const int64_t m = draw(0, 9), n = draw(1, 130), k = draw(1, 90), units = (k + 7) / 8;
  const int64_t panels = (n + 63) / 64;
  auto stream = many<uint8_t>(panels * units * 64 * 7, 0, 255);
  auto x = many<int8_t>(m * k, -128, 127);
  auto zero = many<int32_t>(panels * 64, 0, 127), of_x = many<int32_t>(m, -128, 127);
  std::vector<int32_t> sums(panels * 64), out(m * n);
  std::vector<float> scale(panels * 64, 1.0f), of_row(m, 0.5f), bias(n, 2.0f), real(m * n);
  for (int64_t c = 0; c < n; ++c)
    for (int64_t i = 0; i < k; ++i) sums[c] += code_at(stream, units, c, i) - zero[c];
  for (int way = 1; way <= 2; ++way) {
    need(!mps_linear(path, 1, way, 1, x.data(), m, k, nullptr, 0, of_x.data(), 1, stream.data(),
                     scale.data(), zero.data(), sums.data(), nullptr, 7, n, k, k, out.data()) &&
             !mps_linear(path, 1, way, 0, x.data(), m, k, of_row.data(), 1, of_x.data(), 1,
                         stream.data(), scale.data(), zero.data(), sums.data(), bias.data(), 7, n,
                         k, k, real.data()), "status of linear");
    for (int64_t r = 0; r < m; ++r)
      for (int64_t c = 0; c < n; ++c) {
        int32_t sum = 0;
        for (int64_t i = 0; i < k; ++i)
          sum += (x[r * k + i] - of_x[r]) * (code_at(stream, units, c, i) - zero[c]);
        need(out[r * n + c] == sum, "linear");
        need(real[r * n + c] == static_cast<float>(sum) * 0.5f + 2.0f, "scaled linear");
      }
  }
}

static void quantize(int path) {
  const int64_t m = draw(1, 9), k = draw(1, 70);
  std::vector<float> x(m * k), scale(m);
  for (auto& each : x) each = static_cast<float>(draw(-1000, 1000)) / 7.0f;
  std::vector<int8_t> codes(m * k);
  std::vector<int32_t> zero(m);
  const int last = draw(0, 1) ? 255 : 15;
  const int64_t shape[6] = {1, 1, m, 0, 0, k};
  need(!mps_quantize(path, 1, 1, 0, x.data(), k, shape, 0, last, codes.data(), scale.data(),
                     zero.data()), "status of quantize");
  for (int64_t i = 0; i < m * k; ++i) {
    const float back = (codes[i] - zero[i / k]) * scale[i / k] - x[i];
    need(back <= 0.51f * scale[i / k] && -back <= 0.51f * scale[i / k], "quantize");
  }
}

static void batched(int path) {
  const int64_t b = draw(0, 3), m = draw(0, 8), n = draw(1, 70), k = draw(1, 40);
  auto x = many<int8_t>(b * m * k, -128, 127), y = many<int8_t>(b * n * k, -128, 127);
  auto of_x = many<int32_t>(b * m, -128, 127), of_y = many<int32_t>(b * n, -128, 127);
  std::vector<int32_t> out(b * m * n);
  const bool turned = draw(0, 1);  // y as [k, n]
  need(!mps_batched(path, 1, 1, b, k, x.data(), m, m * k, k, 1, nullptr, of_x.data(), 1, y.data(), n,
                    n * k, turned ? 1 : k, turned ? n : 1, nullptr, of_y.data(), 1, out.data()),
       "status of batched");
  for (int64_t i = 0; i < b * m * n; ++i) {
    const int64_t row = i / n, column = i / (m * n) * n + i % n;
    const int8_t* from = y.data() + i / (m * n) * n * k + i % n * (turned ? 1 : k);
    int32_t sum = 0;
    for (int64_t j = 0; j < k; ++j)
      sum += (x[row * k + j] - of_x[row]) * (from[j * (turned ? n : 1)] - of_y[column]);
    need(out[i] == sum, "batched");
  }
}

static void depthwise(int path) {
  int64_t s[14] = {draw(1, 2), draw(1, 3), draw(1, 9), draw(1, 9), draw(1, 3), draw(1, 3),
                   draw(1, 2), draw(1, 2), draw(0, 2), draw(0, 2), draw(1, 2), draw(1, 2)};
  for (int i = 0; i < 2; ++i) {
    const int64_t reach = s[10 + i] * (s[4 + i] - 1) + 1, room = s[2 + i] + 2 * s[8 + i];
    if (room < reach) return;
    s[12 + i] = (room - reach) / s[6 + i] + 1;
  }
  const int zero = static_cast<int>(draw(-128, 127));
  auto x = many<int8_t>(s[0] * s[1] * s[2] * s[3], -128, 127);
  auto f = many<int16_t>(s[1] * s[4] * s[5], -255, 255);
  std::vector<int32_t> out(s[0] * s[1] * s[12] * s[13]);
  need(!mps_depthwise(path, 1, x.data(), f.data(), s, zero, out.data()), "status of depthwise");
  for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i) {
    const int64_t plane = i / (s[12] * s[13]), y = i / s[13] % s[12], z = i % s[13];
    int32_t sum = 0;
    for (int64_t t = 0; t < s[4] * s[5]; ++t) {
      const int64_t row = y * s[6] + t / s[5] * s[10] - s[8];
      const int64_t column = z * s[7] + t % s[5] * s[11] - s[9];
      if (row < 0 || row >= s[2] || column < 0 || column >= s[3]) continue;
      sum += f[plane % s[1] * s[4] * s[5] + t] * (x[(plane * s[2] + row) * s[3] + column] - zero);
    }
    need(out[i] == sum, "depthwise");
  }
}

int main(int, char** argv) {
  const int path = std::atoi(argv[1]);
  for (int i = 0; i < 150; ++i) {
    linear(path);
    quantize(path);
    batched(path);
    depthwise(path);
  }
  std::printf("right\n");
}
