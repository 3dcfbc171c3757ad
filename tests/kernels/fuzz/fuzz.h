// What every check needs: the interface, random numbers, memory of exactly the size that is used.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

struct Coding {
  int32_t first, last, dynamic, symmetric, zero;
  float scale;
};

extern "C" {
int mps_runs(int);
int mps_linear(int, int, int, int, const int8_t*, int64_t, int64_t, const float*, int64_t,
               const int32_t*, int64_t, const uint8_t*, const float*, const int32_t*,
               const int32_t*, const float*, int64_t, int64_t, int64_t, int64_t, int, const float*,
               int64_t, const Coding*, void*);
int mps_function(int, int, int, const float*, int64_t, int64_t, int64_t, const float*, const float*,
                 float, const Coding*, float*, int8_t*, float*, int32_t*);
int mps_attention(int, int, const float*, const float*, const float*, const int64_t*, const Coding*,
                  int, float, int, void*, int64_t*);
int mps_quantize(int, int, int, int, const float*, int64_t, const int64_t*, int, int, int8_t*,
                 float*, int32_t*);
int mps_batched(int, int, int, int64_t, int64_t, const int8_t*, int64_t, int64_t, int64_t, int64_t,
                const float*, const int32_t*, int64_t, const int8_t*, int64_t, int64_t, int64_t,
                int64_t, const float*, const int32_t*, int64_t, void*);
int mps_levels(int, int, const float*, int64_t, int64_t, int64_t, const float*, int64_t, float,
               const float*, int64_t, const int8_t*, int64_t, int8_t*);
int mps_decode(int, int, const uint8_t*, int64_t, int64_t, const uint8_t*, uint8_t*);
int mps_depthwise(int, int, const int8_t*, const int16_t*, const int64_t*, int, int32_t*);
}

static uint64_t state = 88172645463325252ull;
static int64_t draw(int64_t low, int64_t high) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return low + static_cast<int64_t>(state % static_cast<uint64_t>(high - low + 1));
}

// `count` numbers that end where memory ends and start anywhere: no more than T needs is aligned.
template <class T>
class Many {
 public:
  explicit Many(int64_t count, T all = T()) : shift_(draw(0, 3)), own_(shift_ + count, all) {}
  T* data() { return own_.data() + shift_; }
  const T* data() const { return own_.data() + shift_; }
  int64_t size() const { return static_cast<int64_t>(own_.size()) - shift_; }
  T& operator[](int64_t i) { return data()[i]; }
  const T& operator[](int64_t i) const { return data()[i]; }
  bool operator==(const Many& other) const {
    return size() == other.size() && !memcmp(data(), other.data(), size() * sizeof(T));
  }

 private:
  int64_t shift_;
  std::vector<T> own_;
};

// Numbers from low to high; only these two if `extreme`.
template <class T>
static Many<T> many(int64_t count, int64_t low, int64_t high, bool extreme = false) {
  Many<T> made(count);
  for (int64_t i = 0; i < count; ++i)
    made[i] = static_cast<T>(!extreme ? draw(low, high) : draw(0, 1) ? low : high);
  return made;
}

static Many<float> scales(int64_t count) {
  Many<float> made(count);
  for (int64_t i = 0; i < count; ++i) made[i] = static_cast<float>(draw(1, 999)) / 256.0f;
  return made;
}

static int64_t compared = 0;

static void need(bool right, const char* what, int64_t a = 0, int64_t b = 0, int64_t c = 0,
                 int64_t d = 0) {
  ++compared;
  if (right) return;
  std::printf("wrong: %s (%lld, %lld, %lld, %lld)\n", what, (long long)a, (long long)b,
              (long long)c, (long long)d);
  std::exit(1);
}
