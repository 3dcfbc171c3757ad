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
#ifdef __AVX2__
  if constexpr (BITS <= 4 && BYTES == 32) {
    alignas(16) uint8_t whole[16] = {};
    memcpy(whole, table, 1 << BITS);
    const __m256i both = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i*)whole));
    return (U32)_mm256_shuffle_epi8(both, (__m256i)codes);
  }
#endif
  uint8_t bytes[BYTES];
  store(bytes, codes);
  for (int i = 0; i < BYTES; ++i) bytes[i] = table[bytes[i]];
  return load<U32>(bytes);
}

template <int BITS>
void decode_units(const uint8_t* stream, int64_t units, const uint8_t* table, uint8_t* out) {
  for (int64_t u = 0; u < units; ++u) {
    const uint8_t* unit = stream + u * unit_bytes(BITS);
    each<2>([&](auto h) LAMBDA {
      each<4 * PARTS>([&](auto v) LAMBDA {
        const U32 codes = bits_of<BITS, BITS, h, v / PARTS, v % PARTS>(unit);
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
