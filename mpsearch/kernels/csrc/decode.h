// A stream of narrow codes as one of bytes that a table gives for them, in the order of layout.h.
#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "work.h"

namespace {

// The bytes of `table` (2**BITS of them) at the codes of a vector.
template <int BITS>
INLINE U32 looked_up(U32 codes, const uint8_t* table) {
  alignas(BYTES) uint8_t bytes[BYTES];
  store(bytes, codes);
#ifdef __AVX2__
  // 16 bytes of the table at a time: a place with its top bit set gives 0
  if constexpr (BYTES >= 32) {
    constexpr int PARTS_OF_TABLE = BITS > 4 ? 1 << (BITS - 4) : 1;
    alignas(16) uint8_t whole[PARTS_OF_TABLE * 16] = {};
    memcpy(whole, table, 1 << BITS);
    for (int at = 0; at < BYTES; at += 32) {
      const __m256i own = _mm256_load_si256((const __m256i*)(bytes + at));
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(own, 4), _mm256_set1_epi8(15));
      const __m256i low = _mm256_and_si256(own, _mm256_set1_epi8(15));
      __m256i found = _mm256_setzero_si256();
      for (int t = 0; t < PARTS_OF_TABLE; ++t) {
        const __m256i here = _mm256_cmpeq_epi8(high, _mm256_set1_epi8(static_cast<char>(t)));
        const __m256i place = _mm256_or_si256(low, _mm256_andnot_si256(here, _mm256_set1_epi8(-128)));
        const __m256i part = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i*)whole + t));
        found = _mm256_or_si256(found, _mm256_shuffle_epi8(part, place));
      }
      _mm256_store_si256((__m256i*)(bytes + at), found);
    }
    return load<U32>(bytes);
  }
#endif
  for (int i = 0; i < BYTES; ++i) bytes[i] = table[bytes[i]];
  return load<U32>(bytes);
}

template <int BITS>
void decode_units(const uint8_t* stream, int64_t units, const uint8_t* table, uint8_t* out) {
  for (int64_t u = 0; u < units; ++u) {
    const uint8_t* unit = stream + u * unit_bytes(BITS);
    each<2>([&](auto h) LAMBDA {
      each<4 * PARTS>([&](auto v) LAMBDA {
        const U32 codes = codes_of<BITS, h, v / PARTS, v % PARTS>(unit);
        store(out + u * unit_bytes(8) + (4 * h + v / PARTS) * 64 + v % PARTS * BYTES,
              looked_up<BITS>(codes, table));
      });
    });
  }
}

typedef void (*DecodeUnits)(const uint8_t*, int64_t, const uint8_t*, uint8_t*);
constexpr DecodeUnits DECODE_UNITS[] = {decode_units<2>, decode_units<3>, decode_units<4>,
                                        decode_units<5>, decode_units<6>, decode_units<7>,
                                        decode_units<8>};

int decode(const uint8_t* stream, int64_t units, int64_t bits, const uint8_t* table, uint8_t* out,
           int threads) {
  constexpr int64_t SHARE = 256;  // units of an item of work
  return for_each((units + SHARE - 1) / SHARE, 0, threads, [&](int64_t i, char*) {
    const int64_t first = i * SHARE;
    DECODE_UNITS[bits - 2](stream + first * unit_bytes(bits), least(SHARE, units - first), table,
                           out + first * unit_bytes(8));
  });
}

}  // namespace
