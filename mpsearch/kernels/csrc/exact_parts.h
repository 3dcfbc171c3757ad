// Partial sums for processors whose dot product adds to int32: nothing to cut or to widen.
#pragma once

#include "vectors.h"

namespace {

typedef I32 Part;
constexpr int64_t block(int) { return int64_t(1) << 40; }
constexpr bool bounded(int) { return false; }
constexpr bool in_words(int) { return false; }
INLINE I32 widened(I32 sums, Part part) { return sums + part; }

// Never called: blocks have no bounds here, and codes stay bytes.
INLINE int32_t reach(const int8_t*, int64_t, int) { return 0; }
INLINE int64_t widen_fours(const int8_t*, int64_t, int32_t, int16_t*) { return 0; }
INLINE I32 mac_words(I32 sums, U32, U32) { return sums; }

// Without an instruction for it: one product of bytes fits int16, a sum of them does not.
INLINE I32 plain_mac(I32 sums, U32 w, U32 a) {
  typedef int16_t I16 __attribute__((vector_size(BYTES)));
  typedef uint16_t U16 __attribute__((vector_size(BYTES)));
  const I32 even = (I32)((I16)((U16)w & 0xff) * ((I16)((U16)a << 8) >> 8));
  const I32 odd = (I32)((I16)((U16)w >> 8) * ((I16)a >> 8));
  return sums + ((I32)((U32)even << 16) >> 16) + (even >> 16) + ((I32)((U32)odd << 16) >> 16) +
         (odd >> 16);
}

}  // namespace
