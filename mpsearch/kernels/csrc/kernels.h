// All functions of a path. Before this, a path defines BYTES and, in an unnamed namespace:
//   Part               partial sums of LANES outputs
//   mac(p, w, a)       p plus, in every lane, 4 unsigned times 4 signed bytes
//   widened(s, p, f)   int32 sums s plus f times the partial ones
//   planes(bits)       1, or 2 where codes are cut into halves of 4 bits before mac
//   block(bits)        units of 8 inputs after which Part must be widened
//   fused_span(r, p)   quarters of a panel at a time that fit in registers with r rows, p planes
// and the constants TILE_ROWS, TILE_VECTORS (buffered tile), FUSED_ROWS, FUSED_MOST (rows up to
// which unpacking in registers was faster).
#pragma once

#include "batched.h"
#include "decode.h"
#include "depthwise.h"
#include "levels.h"
#include "linear.h"
#include "quantize.h"

#define PATH {linear, quantize, batched, depthwise, levels, decode}
