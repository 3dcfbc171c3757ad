// Vectors of BYTES bytes, which the file that includes this one defines, and loops that unroll.
//
// Everything lives in an unnamed namespace: the same text is compiled once for each instruction
// set, and the linker must never take one file's copy of a function for another's.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <utility>

#define INLINE inline __attribute__((always_inline))
#define LAMBDA __attribute__((always_inline))
// Sums stay in memory from one block to the next: registers are for the partial ones.
#define STAY asm volatile("" ::: "memory")

namespace {

typedef int32_t I32 __attribute__((vector_size(BYTES)));
typedef uint32_t U32 __attribute__((vector_size(BYTES)));
typedef float F32 __attribute__((vector_size(BYTES)));

constexpr int LANES = BYTES / 4;
constexpr int PARTS = 64 / BYTES;  // vectors in 64 bytes

template <class V>
INLINE V load(const void* from) {
  V v;
  memcpy(&v, from, sizeof v);
  return v;
}

template <class V>
INLINE void store(void* to, V v) {
  memcpy(to, &v, sizeof v);
}

// The same four bytes in every lane.
INLINE U32 splat(const void* from) {
  uint32_t word;
  memcpy(&word, from, sizeof word);
  return U32{} + word;
}

template <class F, int... I>
INLINE void each_of(F f, std::integer_sequence<int, I...>) {
  (f(std::integral_constant<int, I>{}), ...);
}

// f(0), f(1), ... f(N - 1), each with its number as a constant: accumulators stay in registers.
template <int N, class F>
INLINE void each(F f) {
  each_of(f, std::make_integer_sequence<int, N>{});
}

}  // namespace
