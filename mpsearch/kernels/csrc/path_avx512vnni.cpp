// AVX512-VNNI: the dot product of 4 bytes, added to int32, on 512 bits. With EMULATED the same
// source with plain loops for that one instruction, to be tested anywhere.
#define BYTES 64
#include "exact_parts.h"

namespace {
constexpr int TILE_ROWS = 6, TILE_VECTORS = 4, FUSED_ROWS = 6, FUSED_MOST = 16;
constexpr int fused_span(int) { return 4; }
#ifdef EMULATED
__attribute__((noinline)) Part mac(Part p, U32 w, U32 a) { return plain_mac(p, w, a); }
#else
INLINE Part mac(Part p, U32 w, U32 a) {
  // not the intrinsic: gcc 12 keeps its accumulators in memory
  asm("vpdpbusd %2, %1, %0" : "+v"(p) : "v"(w), "v"(a));
  return p;
}
#endif
}  // namespace

#include "kernels.h"

#ifdef EMULATED
extern const Path path_emulated;
const Path path_emulated = PATH;
#else
extern const Path path_avx512vnni;
const Path path_avx512vnni = PATH;
#endif
