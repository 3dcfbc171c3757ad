// How packed weights lie in memory.
//
// 64 output channels are a panel, 8 inputs a unit: 512 codes of b bits, b * 64 bytes, unit after
// unit, panel after panel, one stream. Inside a unit codes are cut into bit planes of 4, 2 and 1
// bits (b is their sum; 8 bits are bytes): first 4 x 64 bytes of 4-bit plane, then 2 x 64 bytes of
// 2-bit plane, then 64 bytes of 1-bit plane. 64 bytes hold 16 channels x 4 inputs; where a plane
// has several codes in a byte they are those of other inputs or channels at the same place:
// with half h (inputs 4h to 4h+3) and quarter q (channels 16q to 16q+15)
//   4 bits: 64 bytes number q,     shifted by 4h
//   2 bits: 64 bytes number q / 2, shifted by 2(2h + q % 2)
//   1 bit:  shifted by 4h + q
//   8 bits: 64 bytes number 4h + q
// Groups of inputs start on a unit: they are filled up with codes 0.
#pragma once

#include "vectors.h"

namespace {

constexpr int PANEL = 64;
constexpr int UNIT = 8;
constexpr int64_t unit_bytes(int bits) { return 64 * bits; }

template <int FROM, int TO>
INLINE U32 moved(U32 v) {
  if constexpr (FROM > TO) return v >> (FROM - TO);
  else return v << (TO - FROM);
}

// The codes of half H and quarter Q, one a byte; part P of the 64 bytes.
template <int BITS, int H, int Q, int P>
INLINE U32 codes_of(const uint8_t* unit) {
  const uint8_t* at = unit + P * BYTES;
  if constexpr (BITS == 8) return load<U32>(at + (4 * H + Q) * 64);
  constexpr int two_at = BITS & 4, one_at = BITS & 6;
  constexpr int two = (BITS & 4) ? 256 : 0, one = two + ((BITS & 2) ? 128 : 0);
  U32 v{};
  if constexpr (BITS & 4) v = (load<U32>(at + Q * 64) >> (4 * H)) & 0x0f0f0f0fu;
  if constexpr (BITS & 2)
    v |= moved<2 * (2 * H + Q % 2), two_at>(load<U32>(at + two + Q / 2 * 64)) &
         (0x03030303u << two_at);
  if constexpr (BITS & 1)
    v |= moved<4 * H + Q, one_at>(load<U32>(at + one)) & (0x01010101u << one_at);
  return v;
}

}  // namespace
