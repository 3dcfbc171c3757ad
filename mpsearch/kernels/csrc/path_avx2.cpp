// AVX2 without VNNI. vpmaddubsw adds two products of bytes in int16 and saturates, so codes of
// more than 6 bits are multiplied as int16 (vpmaddwd). For fewer, partial sums stay int16 while
// they fit: u <= 2**bits - 1 and |a| <= 128 give at most 256 u for four inputs, 512 u a unit of
// eight; the numbers of a row may allow more. Both only look at sums of products of one sign: what
// int16 wraps to on the way does not matter.
#include <immintrin.h>

#define BYTES 32
#include "work.h"
#include "reach_avx2.h"

namespace {

typedef int16_t Part __attribute__((vector_size(32)));

constexpr bool in_words(int bits) { return bits > 6; }
constexpr bool bounded(int bits) { return bits <= 6; }
// Units such that 512 (2**bits - 1) units < 2**15: what any numbers allow.
constexpr int64_t block(int bits) { return 63 / ((1 << bits) - 1); }
static_assert(block(6) == 1 && block(5) == 2 && block(4) == 4 && block(3) == 9 && block(2) == 21);

// Units that the codes of a row allow: sums of products with codes of `bits` bits stay int16.
INLINE int32_t reach(const int8_t* x, int64_t units, int bits) {
  const int32_t own = reach_of(x, units, 32767 / ((1 << bits) - 1));
  return own > block(bits) ? own : static_cast<int32_t>(block(bits));
}

constexpr int TILE_ROWS = 6, TILE_VECTORS = 2, FUSED_ROWS = 3, FUSED_MOST = 6;
constexpr int fused_span(int rows) { return rows == 1 ? 4 : 2; }

// Not the intrinsics: compilers would add products first and run out of registers.
INLINE Part mac(Part p, U32 w, U32 a) {
  Part products;
  asm("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(p), "=&x"(products) : "x"(w), "x"(a));
  return p;
}

INLINE I32 mac_words(I32 sums, U32 w, U32 a) {
  I32 products;
  asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sums), "=&x"(products) : "x"(w), "x"(a));
  return sums;
}

// Rows as words, 16 codes at a time; how many were done.
INLINE int64_t widen_fours(const int8_t* row, int64_t length, int32_t zero, int16_t* to) {
  const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  const __m256i less = _mm256_set1_epi16(static_cast<int16_t>(zero));
  int64_t k = 0;
  for (; k + 16 <= length; k += 16) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + k));
    const __m256i wide = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(codes, order));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + k), _mm256_sub_epi16(wide, less));
  }
  return k;
}

INLINE I32 widened(I32 sums, Part part) {
  return sums + (I32)_mm256_madd_epi16((__m256i)part, _mm256_set1_epi16(1));
}

}  // namespace

#include "kernels.h"

extern const Path path_avx2;
const Path path_avx2 = PATH;
