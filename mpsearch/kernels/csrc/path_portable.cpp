// Any processor: plain loops.
#define BYTES 16
#include "exact_parts.h"

namespace {
constexpr int TILE_ROWS = 4, TILE_VECTORS = 2, FUSED_ROWS = 1, FUSED_MOST = 2;
constexpr int fused_span(int) { return 1; }
INLINE Part mac(Part p, U32 w, U32 a) { return plain_mac(p, w, a); }
}  // namespace

#include "kernels.h"

extern const Path path_portable;
const Path path_portable = PATH;
