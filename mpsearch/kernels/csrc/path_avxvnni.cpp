// AVX-VNNI: the dot product of 4 bytes, added to int32, on 256 bits.
#include <immintrin.h>

#define BYTES 32
#include "exact_parts.h"

namespace {
constexpr int TILE_ROWS = 6, TILE_VECTORS = 2, FUSED_ROWS = 3, FUSED_MOST = 6;
constexpr int fused_span(int rows) { return rows == 1 ? 4 : 2; }
INLINE Part mac(Part p, U32 w, U32 a) {
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(p) : "x"(w), "x"(a));
  return p;
}
}  // namespace

#include "kernels.h"

extern const Path path_avxvnni;
const Path path_avxvnni = PATH;
