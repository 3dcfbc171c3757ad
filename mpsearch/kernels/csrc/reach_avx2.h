// How far int16 sums reach on a row's own numbers: most rows allow longer blocks than the largest
// numbers do, and every block that is not widened is time.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "vectors.h"

namespace {

// What four units (32 codes) add at most to the lanes of int16 sums, for each unit in 64 bits:
// the positive codes of the even pairs and of the odd ones, then the negative codes of both.
INLINE __m256i sums_of_signs(__m256i codes) {
  const __m256i one = _mm256_set1_epi8(1), none = _mm256_setzero_si256();
  const __m256i above = _mm256_maddubs_epi16(_mm256_max_epi8(codes, none), one);
  const __m256i below = _mm256_sub_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(codes), one), above);
  const __m256i both = _mm256_blend_epi32(above, _mm256_shuffle_epi32(below, 0xb1), 0xaa);
  const __m256i rest = _mm256_blend_epi32(_mm256_shuffle_epi32(above, 0xb1), below, 0xaa);
  return _mm256_add_epi16(both, rest);
}

INLINE int largest(__m256i words) {
  __m128i most = _mm_max_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  most = _mm_max_epi16(most, _mm_shuffle_epi32(most, 0x4e));
  most = _mm_max_epi16(most, _mm_shuffle_epi32(most, 0xb1));
  most = _mm_max_epi16(most, _mm_shufflelo_epi16(most, 0xb1));
  return _mm_extract_epi16(most, 0);
}

// The most units (32, 16, ... 1; 0 for none) of a row such that no sum of codes of one sign in a
// lane is beyond `limit`, in any block of so many units from the start of the row.
INLINE int32_t reach_of(const int8_t* x, int64_t units, int limit) {
  constexpr int LEVELS = 6;  // blocks of 1, 2, 4, 8, 16 and 32 units
  __m256i most[LEVELS], open[LEVELS];
  for (int i = 0; i < LEVELS; ++i) most[i] = open[i] = _mm256_setzero_si256();
  for (int64_t u = 0; u < up(units, 32); u += 4) {
    __m256i codes = _mm256_setzero_si256();
    if (u + 4 <= units) codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + u * 8));
    else if (u < units) memcpy(&codes, x + u * 8, (units - u) * 8);
    const __m256i one = sums_of_signs(codes);
    const __m256i two = _mm256_adds_epi16(one, _mm256_shuffle_epi32(one, 0x4e));
    __m256i sum = _mm256_adds_epi16(two, _mm256_permute4x64_epi64(two, 0x4e));
    most[0] = _mm256_max_epi16(most[0], one);
    most[1] = _mm256_max_epi16(most[1], two);
    most[2] = _mm256_max_epi16(most[2], sum);
    for (int i = 3; i < LEVELS; ++i) {
      open[i] = _mm256_adds_epi16(open[i], sum);
      if ((u / 4 + 1) % (1 << (i - 2))) break;
      sum = open[i];
      most[i] = _mm256_max_epi16(most[i], sum);
      open[i] = _mm256_setzero_si256();
    }
  }
  int32_t found = 0;
  for (int i = 0; i < LEVELS && largest(most[i]) <= limit; ++i) found = 1 << i;
  return found;
}

}  // namespace
