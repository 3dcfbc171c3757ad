// Functions of float32 numbers between products: GELU, softmax, layer norm.
//
// Every operation is rounded by itself and in one order, and sums go over 16 lanes whatever the
// size of vectors: the same bits on all paths, and from the same steps in torch.
#pragma once

#include "quantize.h"

namespace {

constexpr int SUMMED = 16;  // lanes of a sum
constexpr int SUM_PARTS = SUMMED / LANES;
constexpr int TOGETHER = 4;  // vectors; a row of 64 numbers is whole

// A polynomial of some vectors at once: each step waits for the one before.
template <int N, int D>
INLINE void polynomial(const float (&c)[D], const F32 (&x)[N], F32 (&y)[N]) {
  each<N>([&](auto i) LAMBDA { y[i] = F32{} + c[D - 1]; });
  each<D - 1>([&](auto d) LAMBDA {
    each<N>([&](auto i) LAMBDA { y[i] = y[i] * x[i] + c[D - 2 - d]; });
  });
}

// exp of numbers up to 0: 2**n exp(r) with |r| <= log(2) / 2, within 1.1 units in the last place.
// Below -86.5 it is 0.
template <int N>
INLINE void exp_of(F32 (&x)[N]) {
  constexpr float LEAST = -86.5f;
  constexpr float C[] = {0.5f, 0.16666577756404877f, 0.041666556149721146f,
                         0.008363173343241215f, 0.0013926175888627769f};
  F32 turns[N], r[N], y[N];
  each<N>([&](auto i) LAMBDA {
    const F32 own = larger(x[i], F32{} + LEAST);
    turns[i] = own * 1.44269504f + EVEN;  // n in the low bits
    const F32 n = turns[i] - EVEN;
    r[i] = (own - n * 0.693359375f) - n * -0.00021219444f;
  });
  polynomial(C, r, y);
  each<N>([&](auto i) LAMBDA {
    y[i] = (r[i] * r[i] * y[i] + r[i]) + 1.0f;
    const U32 bits = (U32)y[i] + ((U32)turns[i] << 23);
    x[i] = (F32)(bits & ~(U32)(x[i] < LEAST));
  });
}

// x Phi(x). Phi(x) - 1/2 is x times a ratio of polynomials in x**2, a weighted minimax fit up to
// 5.2, where it is 1/2 in float32. Errors are at most 2.5e-7 times the larger of 1 and |x|.
template <int N>
INLINE void gelu_of(F32 (&x)[N]) {
  constexpr float ABOVE[] = {0.398942262f,    0.0325390734f,   0.00460831681f,
                             0.000156806025f, 6.40756025e-06f, 2.47360248e-08f};
  constexpr float BELOW[] = {1.0f,          0.248229697f,    0.0279235691f,
                             0.0018168923f, 7.04784179e-05f, 1.25898544e-06f};
  F32 own[N], square[N], above[N], below[N];
  each<N>([&](auto i) LAMBDA {
    own[i] = smaller(larger(x[i], F32{} - 5.2f), F32{} + 5.2f);
    square[i] = own[i] * own[i];
  });
  polynomial(ABOVE, square, above);
  polynomial(BELOW, square, below);
  each<N>([&](auto i) LAMBDA { x[i] *= own[i] * above[i] / below[i] + 0.5f; });
}

// f(vectors) for some vectors at a time of a row of whole panels, in place.
template <class F>
INLINE void in_place(float* row, int64_t length, F f) {
  for (int64_t k = 0; k < length; k += TOGETHER * LANES) {
    F32 own[TOGETHER];
    each<TOGETHER>([&](auto i) LAMBDA { own[i] = load<F32>(row + k + i * LANES); });
    f(own);
    each<TOGETHER>([&](auto i) LAMBDA { store(row + k + i * LANES, own[i]); });
  }
}

INLINE void gelu_row(float* row, int64_t length) {
  in_place(row, length, [](F32(&own)[TOGETHER]) LAMBDA { gelu_of(own); });
}

INLINE float folded(const F32* sums) {
  alignas(64) float all[SUMMED];
  for (int i = 0; i < SUM_PARTS; ++i) store(all + i * LANES, sums[i]);
  for (int half = SUMMED / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) all[i] += all[i + half];
  return all[0];
}

// The sum of f(k) for vectors at k, of a row of whole SUMMED numbers.
template <class F>
INLINE float summed(int64_t length, F f) {
  F32 sums[SUM_PARTS] = {};
  for (int64_t k = 0; k < length; k += SUMMED)
    each<SUM_PARTS>([&](auto i) LAMBDA { sums[i] += f(k + i * LANES); });
  return folded(sums);
}

// In place, of a row of whole panels that is filled up with -infinity; 0 where all are that.
INLINE void softmax_row(float* x, int64_t length) {
  F32 tops[TOGETHER];
  each<TOGETHER>([&](auto i) LAMBDA { tops[i] = load<F32>(x + i * LANES); });
  for (int64_t k = TOGETHER * LANES; k < length; k += TOGETHER * LANES)
    each<TOGETHER>([&](auto i) LAMBDA { tops[i] = larger(load<F32>(x + k + i * LANES), tops[i]); });
  const F32 most = larger(larger(tops[0], tops[1]), larger(tops[2], tops[3]));
  float top = most[0];
  for (int l = 1; l < LANES; ++l) top = most[l] > top ? most[l] : top;
  if (top == -INFINITY) return static_cast<void>(memset(x, 0, length * sizeof(float)));
  F32 sums[SUM_PARTS] = {};
  in_place(x, length, [&](F32(&own)[TOGETHER]) LAMBDA {
    each<TOGETHER>([&](auto i) LAMBDA { own[i] -= top; });
    exp_of(own);
    each<TOGETHER>([&](auto i) LAMBDA { sums[i % SUM_PARTS] += own[i]; });
  });
  const float share = 1.0f / folded(sums);
  for (int64_t k = 0; k < length; k += LANES) store(x + k, load<F32>(x + k) * share);
}

// In place, of `length` numbers that are followed by zeros up to `full`, as weight and bias are.
INLINE void normalise_row(float* x, int64_t length, int64_t full, const float* weight,
                          const float* bias, float eps) {
  const float count = static_cast<float>(length);
  const float mean = summed(full, [&](int64_t k) LAMBDA { return load<F32>(x + k); }) / count;
  for (int64_t k = 0; k < full; k += LANES) store(x + k, load<F32>(x + k) - mean);
  for (int64_t k = length; k < full; ++k) x[k] = 0.0f;
  const float square = summed(full, [&](int64_t k) LAMBDA {
    const F32 own = load<F32>(x + k);
    return own * own;
  });
  const float unit = 1.0f / sqrtf(square / count + eps);
  for (int64_t k = 0; k < full; k += LANES)
    store(x + k, load<F32>(x + k) * unit * load<F32>(weight + k) + load<F32>(bias + k));
}

// Weight and bias of layer norm up to `full`: 1 and 0 where there is none.
INLINE void whole_tables(const Function& f, int64_t full, float* weight, float* bias) {
  for (int64_t k = 0; k < full; ++k) {
    weight[k] = k >= f.length ? 0.0f : f.weight ? f.weight[k] : 1.0f;
    bias[k] = k < f.length && f.bias ? f.bias[k] : 0.0f;
  }
}

INLINE void apply(const Function& f, int which, int64_t full, const float* tables, float* row) {
  if (which == LAYER_NORM)
    return normalise_row(row, f.length, full, tables, tables + full, f.eps);
  if (which == SOFTMAX) {
    for (int64_t k = f.length; k < full; ++k) row[k] = -INFINITY;
    return softmax_row(row, full);
  }
  gelu_row(row, full);
}

int function(const Function& f, int which, int threads) {
  if (f.count == 0 || f.length == 0) return DONE;
  const int64_t full = up(f.length, which == LAYER_NORM ? SUMMED : PANEL);
  Memory memory(2 * full * sizeof(float));
  if (!memory.at) return NO_MEMORY;
  float* tables = static_cast<float*>(memory.at);
  whole_tables(f, full, tables, tables + full);
  int unfit = 0;
  const int64_t items = (f.count + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
  const int status = for_each(items, full * sizeof(float), threads, [&](int64_t i, char* at) {
    float* row = reinterpret_cast<float*>(at);
    for (int64_t m = i * ROWS_AT_ONCE; m < least(f.count, (i + 1) * ROWS_AT_ONCE); ++m) {
      memcpy(row, f.numbers + m * f.stride, f.length * sizeof(float));
      memset(row + f.length, 0, (full - f.length) * sizeof(float));
      apply(f, which, full, tables, row);
      if (!f.coding) {
        memcpy(f.out + m * f.length, row, f.length * sizeof(float));
        continue;
      }
      float scale;
      int32_t zero;
      if (!coded(*f.coding, row, f.length, f.codes + m * f.length, &scale, &zero))
        __atomic_store_n(&unfit, 1, __ATOMIC_RELAXED);
      else if (f.coding->dynamic) f.scale[m] = scale, f.zero[m] = zero;
    }
  });
  return status ? status : unfit ? NOT_FINITE : DONE;
}

}  // namespace
