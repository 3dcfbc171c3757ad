// AVX2 without VNNI. vpmaddubsw adds two products of bytes in int16 and saturates, so codes of
// more than 6 bits are cut into halves of 4, and partial sums stay int16 only while they must fit:
// u <= 2**bits - 1 and |a| <= 128 give at most 256 u for four inputs, 512 u a unit of eight.
#include <immintrin.h>

#define BYTES 32
#include "vectors.h"

namespace {

typedef int16_t Part __attribute__((vector_size(32)));

constexpr int planes(int bits) { return bits > 6 ? 2 : 1; }
// Units such that 512 (2**bits - 1) units < 2**15.
constexpr int64_t block(int bits) {
  return planes(bits) == 2 ? 4 : 63 / ((1 << bits) - 1);
}
static_assert(block(6) == 1 && block(5) == 2 && block(4) == 4 && block(3) == 9 && block(2) == 21);

constexpr int TILE_ROWS = 6, TILE_VECTORS = 2, FUSED_ROWS = 3, FUSED_MOST = 6;
constexpr int fused_span(int rows, int planes) { return rows * planes == 1 ? 4 : 2; }

// Not the intrinsics: compilers would add products first and run out of registers.
INLINE Part mac(Part p, U32 w, U32 a) {
  Part products;
  asm("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(p), "=&x"(products) : "x"(w), "x"(a));
  return p;
}

INLINE I32 widened(I32 sums, Part part, int factor) {
  return sums + (I32)_mm256_madd_epi16((__m256i)part, _mm256_set1_epi16(factor));
}

}  // namespace

#include "kernels.h"

extern const Path path_avx2;
const Path path_avx2 = PATH;
